//! Streams of server-sent events and pages of the event feed: order, resume, filters, rights, and
//! positions that are gone.

use std::time::{Duration, Instant};

use domain::{
    SessionId, Settings,
    ports::{Environment, WorkerStore},
    testing::World,
};
use serde_json::{Value, json};

use crate::{
    client::{BOTH, ReceivedResponse, Version, ask, raw, send},
    event_client::EventClient,
    test_server::TestServer,
};

const EVENTS: &str = "/api/v1/events";

/// Creates sessions of acme; returns the events as the audit log shows them, oldest first.
async fn create_sessions(server: &TestServer, count: usize) -> Vec<Value> {
    let before = server.world.memory.events().len();
    for _ in 0..count {
        server.world.acme_session().await;
    }
    audit(server).await.split_off(before)
}

/// Returns all events of acme, oldest first.
async fn audit(server: &TestServer) -> Vec<Value> {
    let page = server.ask("acme", "GET", "/api/v1/audit?limit=200").await.json();
    let mut events = page["data"].as_array().unwrap().clone();
    events.reverse();
    events
}

async fn page(server: &TestServer, caller: &str, query: &str) -> ReceivedResponse {
    server.ask(caller, "GET", &format!("{EVENTS}?{query}")).await
}

fn id(event: &Value) -> &str {
    event["id"].as_str().unwrap()
}

#[tokio::test]
async fn stream_has_every_event_once_in_order_as_the_audit_log_shows_it() {
    let server = TestServer::open().await;
    for version in BOTH {
        let mut stream = EventClient::over(version, server.address, "acme", "", "").await;
        assert_eq!(stream.status, 200);
        for (name, value) in [
            ("content-type", "text/event-stream"),
            ("cache-control", "no-store"),
            ("x-accel-buffering", "no"),
            ("vary", "accept"),
        ] {
            assert_eq!(stream.headers[name], value);
        }
        let first = stream.block().await.unwrap();
        assert!(first.retry.is_some_and(|millis| (1_000..3_000).contains(&millis)), "{first:?}");
        assert!(first.id.starts_with("cur_") && first.data.is_none());
        for event in create_sessions(&server, 20).await {
            assert_eq!(stream.event().await, event);
        }
    }
}

#[tokio::test]
async fn stream_resumes_after_an_event_or_a_bookmark() {
    let server = TestServer::open().await;
    let mut stream = EventClient::open(server.address, "acme", "", "").await;
    let bookmark = stream.block().await.unwrap().id;
    drop(stream);
    let events = create_sessions(&server, 5).await;
    for (query, last, rest) in [
        ("", bookmark.as_str(), 0),
        (&format!("after={bookmark}"), "", 0),
        ("", id(&events[1]), 2),
        (&format!("after={bookmark}"), id(&events[3]), 4),
        ("after=earliest", "", 0),
        ("after=earliest", id(&events[2]), 3),
    ] {
        let mut stream = EventClient::open(server.address, "acme", query, last).await;
        for event in &events[rest..] {
            assert_eq!(stream.event().await, *event, "{query} {last}");
        }
    }
    let mut live = EventClient::open(server.address, "acme", "", "").await;
    let next = create_sessions(&server, 1).await;
    assert_eq!(live.event().await, next[0], "a stream without a position has no older event");
}

#[tokio::test]
async fn stream_begins_with_a_bookmark_even_if_events_are_there() {
    let server = TestServer::open().await;
    create_sessions(&server, 3).await;
    for _ in 0..50 {
        let mut stream = EventClient::open(server.address, "acme", "after=earliest", "").await;
        let first = stream.block().await.unwrap();
        assert!(first.id.starts_with("cur_") && first.data.is_none(), "{first:?}");
    }
}

#[tokio::test]
async fn cut_streams_have_every_event_once() {
    let server = TestServer::open().await;
    let mut stream = EventClient::open(server.address, "acme", "", "").await;
    let (mut last, mut seen) = (stream.block().await.unwrap().id, Vec::new());
    let mut all = Vec::new();
    for round in 0..40 {
        all.extend(create_sessions(&server, round % 4).await);
        let mut stream = EventClient::open(server.address, "acme", "", &last).await;
        // Each round reads another number of blocks and then hangs up.
        for _ in 0..round % 5 {
            if seen.len() == all.len() {
                break;
            }
            let block = stream.block().await.unwrap();
            last = block.id.clone();
            seen.extend(block.data.is_some().then(|| block.event()));
        }
    }
    let mut stream = EventClient::open(server.address, "acme", "", &last).await;
    while seen.len() < all.len() {
        seen.push(stream.event().await);
    }
    assert_eq!(seen, all);
}

#[tokio::test]
async fn filters_select_sessions_and_kinds() {
    let server = TestServer::open().await;
    let (mine, other) = (server.linked().await.id, server.linked().await.id);
    let all = audit(&server).await;
    for (query, selected) in [
        (
            format!("session={mine}"),
            Box::new(|event: &Value| event["session"] == mine.as_str())
                as Box<dyn Fn(&Value) -> bool>,
        ),
        (format!("session={mine}&session={other}"), Box::new(|event| !event["session"].is_null())),
        (
            "event=auth.*".to_owned(),
            Box::new(|event| event["event"].as_str().unwrap().starts_with("auth.")),
        ),
        (
            format!("event=auth.paired&event=session.created&session={other}"),
            Box::new(|event| {
                event["session"] == other.as_str()
                    && ["auth.paired", "session.created"]
                        .contains(&event["event"].as_str().unwrap())
            }),
        ),
        ("event=*".to_owned(), Box::new(|_| true)),
    ] {
        let expected: Vec<_> = all.iter().filter(|event| selected(event)).cloned().collect();
        assert!(!expected.is_empty(), "{query}");
        let mut stream =
            EventClient::open(server.address, "acme", &format!("after=earliest&{query}"), "").await;
        for event in &expected {
            assert_eq!(stream.event().await, *event, "{query}");
        }
        let found =
            page(&server, "acme", &format!("after=earliest&limit=200&{query}")).await.json();
        assert_eq!(found["data"], json!(expected), "{query}");
    }
    // Foreign, missing and impossible sessions are equal.
    let zeta = server.world.sessions.create(&World::zeta(), Settings::default(), false, None).await;
    for id in [zeta.unwrap().id.as_str(), SessionId::from_bits(7 << 90).as_str(), "nobody"] {
        let found = page(&server, "acme", &format!("after=earliest&session={id}")).await.json();
        assert_eq!(found["data"], json!([]), "{id}");
    }
}

#[tokio::test]
async fn hidden_events_leave_no_trace() {
    let server = TestServer::open().await;
    let mine = server.linked().await.id;
    let caller = format!("only-{mine}");
    let mut confined = EventClient::open(server.address, &caller, "after=earliest", "").await;
    let mut reader = EventClient::open(server.address, "reader", "after=earliest", "").await;
    let hidden = server.linked().await.id;
    server.key().await;
    server.world.sessions.delete(&World::acme(), mine.as_str(), None).await.unwrap();
    let own: Vec<_> = audit(&server)
        .await
        .into_iter()
        .filter(|event| event["session"] == mine.as_str())
        .collect();
    for event in &own {
        assert_eq!(confined.event().await, *event);
    }
    // Kinds need a capability that the reader lacks, so that it gets the first bookmark alone.
    assert!(reader.block().await.unwrap().data.is_none());
    for (caller, seen) in [(caller.as_str(), own), ("reader", Vec::new())] {
        let all = page(&server, caller, "after=earliest&limit=200").await;
        assert_eq!(all.json()["data"], json!(seen), "{caller}");
        let secrets = [hidden.as_str(), "api_key"];
        let text = String::from_utf8(all.body.to_vec()).unwrap();
        assert!(secrets.iter().all(|secret| !text.contains(secret)), "{text}");
    }
    let lengths = ["acme", &caller, "reader"].map(async |caller: &str| {
        page(&server, caller, "").await.json()["nextCursor"].as_str().unwrap().len()
    });
    let lengths = futures_util::future::join_all(lengths).await;
    assert!(lengths.iter().all(|length| *length == lengths[0]), "{lengths:?}");
    for caller in ["guest", "nowhere", "operator", "platform"] {
        assert_eq!(page(&server, caller, "after=nonsense").await.status, 403, "{caller}");
    }
}

#[tokio::test]
async fn unknown_positions_are_one_410() {
    let server = TestServer::open().await;
    let mine = server.linked().await.id;
    server.world.sessions.create(&World::zeta(), Settings::default(), false, None).await.unwrap();
    let foreign_page = page(&server, "zeta", "after=earliest").await.json();
    let foreign = foreign_page["data"][0]["id"].as_str().unwrap();
    let bookmark = foreign_page["nextCursor"].as_str().unwrap();
    let never = "evt_01JGXS1DN0000000000000ZZZZ";
    let all = audit(&server).await;
    let reference = page(&server, "acme", &format!("after={never}")).await;
    assert_eq!((reference.status.as_u16(), reference.code().as_str()), (410, "gone"));
    assert_eq!(reference.json()["error"]["details"], json!({ "oldest": id(&all[0]) }));
    for text in [foreign, bookmark, &format!("cur_{}", "A".repeat(48))] {
        let gone = page(&server, "acme", &format!("after={text}")).await;
        assert_eq!(gone.comparable(), reference.comparable(), "{text}");
        let stream = EventClient::open(server.address, "acme", "", text).await;
        assert_eq!(stream.status, 410);
        assert_eq!(stream.error().await, reference.json());
    }
    // An event of no session, out of the reach of a confined caller, and of a kind that needs another
    // capability.
    server.key().await;
    let key = audit(&server).await.pop().unwrap();
    assert_eq!(key["event"], "api_key.created");
    for caller in [format!("only-{mine}"), "reader".to_owned()] {
        let hidden = page(&server, &caller, &format!("after={}", id(&key))).await;
        let missing = page(&server, &caller, &format!("after={never}")).await;
        assert_eq!(hidden.status, 410, "{caller}");
        assert_eq!(hidden.comparable(), missing.comparable(), "{caller}");
    }
    let oldest = page(&server, "reader", &format!("after={never}")).await.json();
    assert_eq!(oldest["error"]["details"], json!({ "oldest": null }));
}

#[tokio::test]
async fn removed_events_are_the_same_410_and_the_rest_remains() {
    let server = TestServer::open().await;
    let cursor = page(&server, "acme", "").await.json()["nextCursor"].as_str().unwrap().to_owned();
    let old = create_sessions(&server, 3).await;
    server.world.environment.advance(Duration::from_secs(60));
    let kept = create_sessions(&server, 2).await;
    let before = Environment::now(&*server.world.environment).minus(Duration::from_secs(30));
    while server.world.memory.prune_feed(before, 2).await.unwrap() > 0 {}
    let missing = page(&server, "acme", "after=evt_01JGXS1DN0000000000000ZZZZ").await;
    assert_eq!(missing.json()["error"]["details"], json!({ "oldest": id(&kept[0]) }));
    for text in [id(&old[0]), id(&old[2]), &cursor] {
        let removed = page(&server, "acme", &format!("after={text}")).await;
        assert_eq!(removed.comparable(), missing.comparable(), "{text}");
    }
    let mut stream = EventClient::open(server.address, "acme", "after=earliest", "").await;
    for event in &kept {
        assert_eq!(stream.event().await, *event);
    }
    let rest = page(&server, "acme", &format!("after={}", id(&kept[0]))).await.json();
    assert_eq!(rest["data"], json!(kept[1..]));
}

#[tokio::test]
async fn malformed_positions_and_filters_are_validation_errors() {
    let server = TestServer::open().await;
    let many = |pair: &str, count| vec![pair; count].join("&");
    let before = server.fingerprint();
    for (query, fields) in [
        ("after=1".to_owned(), vec!["after"]),
        ("after=".to_owned(), vec!["after"]),
        ("after=evt_1&after=evt_1".to_owned(), vec!["after", "after"]),
        ("after=cur_x&event=none&wait=31".to_owned(), vec!["event", "after", "wait"]),
        (many("session=x", 101), vec!["session"]),
        (many("event=*", 33), vec!["event"]),
        ("limit=0&bookmarks=true".to_owned(), vec!["bookmarks", "limit"]),
    ] {
        let answer = page(&server, "acme", &query).await;
        assert_eq!((answer.status.as_u16(), answer.code().as_str()), (400, "validation_error"));
        assert_eq!(answer.faults(), fields, "{query}");
    }
    for last in ["1", "earliest", "sess_01JGXS1DN00000000000000001", &"x".repeat(9_000)] {
        let stream = EventClient::open(server.address, "acme", "", last).await;
        assert_eq!(stream.status, 400, "{last}");
        let fields = &stream.error().await["error"]["details"]["fields"];
        assert_eq!(fields[0]["parameter"], "Last-Event-ID");
    }
    let head = format!("GET {EVENTS} HTTP/1.1\r\nhost: x\r\nx-api-key: acme\r\nlast-event-id: ");
    for (last, status) in [("evt_1\rx", "400"), ("evt_1\0", "400"), (&"x".repeat(1_000_000), "431")]
    {
        let answer = raw(server.address, format!("{head}{last}\r\n\r\n").as_bytes()).await;
        assert!(answer.starts_with(format!("HTTP/1.1 {status} ").as_bytes()), "{status}");
    }
    for query in ["wait=1", "limit=5"] {
        let stream = EventClient::open(server.address, "acme", query, "").await;
        assert_eq!(stream.status, 400, "{query} is for pages");
    }
    assert_eq!(server.fingerprint(), before);
}

#[tokio::test]
async fn pages_cover_every_event_once_and_wait_for_the_next() {
    let server = TestServer::open().await;
    let mut cursor =
        page(&server, "acme", "").await.json()["nextCursor"].as_str().unwrap().to_owned();
    let (created, mut seen) = (create_sessions(&server, 7).await, Vec::new());
    while seen.len() < created.len() {
        let found = page(&server, "acme", &format!("after={cursor}&limit=3")).await.json();
        let data = found["data"].as_array().unwrap();
        assert!((1..=3).contains(&data.len()));
        seen.extend(data.iter().cloned());
        found["nextCursor"].as_str().unwrap().clone_into(&mut cursor);
    }
    assert_eq!(seen, created);
    let empty = page(&server, "acme", &format!("after={cursor}")).await.json();
    assert_eq!(empty["data"], json!([]));

    // A cursor is good under any filter.
    let query = format!("after={cursor}&wait=30&event=session.deleted");
    let waiting = page(&server, "acme", &query);
    let deleted = async {
        let session = server.world.acme_session().await.id;
        server.world.sessions.delete(&World::acme(), session.as_str(), None).await.unwrap();
    };
    let (found, ()) = tokio::join!(waiting, deleted);
    assert_eq!(found.json()["data"][0]["event"], "session.deleted");

    let since = Instant::now();
    let query = format!("wait=1&after={}", found.json()["nextCursor"].as_str().unwrap());
    assert_eq!(page(&server, "acme", &query).await.json()["data"], json!([]));
    assert!(since.elapsed() >= Duration::from_secs(1));
}

#[tokio::test]
async fn accept_chooses_between_stream_and_page() {
    let server = TestServer::open().await;
    for (accept, kind) in [
        ("application/json", "application/json"),
        ("application/json, text/plain, */*", "application/json"),
        ("text/event-stream", "text/event-stream"),
        ("*/*", "text/event-stream"),
        ("text/html", "text/event-stream"),
    ] {
        // HEAD has the headers of a stream and no body.
        let request = ask("HEAD", EVENTS).header("accept", accept).header("x-api-key", "acme");
        let answer = send(server.address, Version::One, request, "").await;
        assert_eq!(
            (answer.status.as_u16(), answer.header("content-type")),
            (200, kind),
            "{accept}"
        );
    }
}
