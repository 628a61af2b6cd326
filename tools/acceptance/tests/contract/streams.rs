//! Event streams: order, resume, pages, tickets, `WebSocket`, limits, and the end of a stream.

use std::{
    thread,
    time::{Duration, Instant},
};

use acceptance::{
    deployment::{Deployment, Organization},
    web_socket::{Frame, WebSocket, ticket},
};
use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use testbed::{
    client::Api,
    event_stream::{EventStream, Opened},
    issuer::Token,
    sessions::{Owned, PATIENCE, SESSIONS},
    stack::Victim,
    wait,
};

use crate::each_database;

each_database!(
    shared: cut_streams_have_every_event_once_and_in_order,
    page_waits_for_the_next_event,
    ticket_opens_one_web_socket,
    unknown_positions_are_gone_and_malformed_ones_invalid,
    streams_over_the_limit_are_refused,
    streams_of_a_revoked_key_end_within_a_second,
    stream_shows_its_organization_alone,
);
each_database!(
    exclusive: stream_resumes_after_the_router_was_killed,
    sigterm_ends_streams_within_a_second,
);

/// Upper bound of the end of a stream after its cause.
const SOON: Duration = Duration::from_secs(1);

/// Returns all events of an organization, oldest first. The first is the creation of its API key,
/// before any stream of the organization begins.
pub(crate) fn audit(api: &Api) -> Result<Vec<Value>> {
    let mut events = Vec::new();
    let mut cursor = String::new();
    loop {
        let page = api.get(&format!("/api/v1/audit?limit=200{cursor}"))?.expect(200)?.json();
        events.extend(page["data"].as_array().context("a list")?.iter().cloned());
        match page["nextCursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    events.reverse();
    ensure!(events[0]["event"] == "api_key.created", "the oldest event is {}", events[0]);
    Ok(events)
}

/// Per session, the numbers are 1, 2, 3 and so on.
pub(crate) fn check_sequences(events: &[Value]) -> Result<()> {
    let mut last = std::collections::HashMap::new();
    for event in events.iter().filter(|event| !event["session"].is_null()) {
        let number = last.entry(event["session"].to_string()).or_insert(0);
        *number += 1;
        ensure!(event["sequence"] == *number, "number {number} is {event}");
    }
    Ok(())
}

/// Reads events until this one, with a new connection after each few.
fn read_until(api: &Api, last_event: &str, mut last: String) -> Result<Vec<Value>> {
    let (mut seen, mut round) = (Vec::<Value>::new(), 0);
    while seen.last().is_none_or(|event| event["id"] != last_event) {
        let mut stream = EventStream::after(api, "", &last)?;
        round += 1;
        for _ in 0..round % 5 {
            seen.push(stream.event()?.context("the stream has no end")?);
            if seen.last().is_some_and(|event| event["id"] == last_event) {
                break;
            }
        }
        last = stream.last;
    }
    Ok(seen)
}

fn cut_streams_have_every_event_once_and_in_order(deployment: &Deployment) -> Result<()> {
    let api = deployment.organization()?.api;
    let mut stream = EventStream::after(&api, "", "")?;
    ensure!(stream.block()?.context("a bookmark")?.contains("id: cur_"), "the first block");
    let writers: Vec<_> = (0..3)
        .map(|writer| {
            let api = api.clone();
            thread::spawn(move || -> Result<()> {
                for n in 0..10 {
                    let session = Owned::create(&api, &format!("{writer} {n}"))?;
                    session.api.delete(&format!("{SESSIONS}/{}", session.id))?.expect(204)?;
                }
                Ok(())
            })
        })
        .collect();
    let mut live = Vec::new();
    // Each session is created, deleted and retired.
    while live.len() < 90 {
        live.push(stream.event()?.context("the stream has no end")?);
    }
    for writer in writers {
        writer.join().map_err(|_| anyhow::anyhow!("a writer panicked"))??;
    }
    check_sequences(&live)?;
    let last = live.last().and_then(|event| event["id"].as_str()).context("an event")?;
    let first = EventStream::after(&api, "after=earliest", "")?.event()?.context("an event")?;
    let audit = audit(&api)?;
    ensure!(first == audit[0], "the oldest event is {first}");
    let cut = read_until(&api, last, first["id"].as_str().unwrap_or_default().to_owned())?;
    ensure!(cut == live, "the cut streams differ");
    let mut by_id = live.clone();
    by_id.sort_by_key(|event| event["id"].to_string());
    ensure!(by_id == audit[1..], "the stream is not the audit log");
    Ok(())
}

fn page_waits_for_the_next_event(deployment: &Deployment) -> Result<()> {
    let api = deployment.organization()?.api;
    let page = |query: &str| -> Result<Value> {
        let headers = [("Accept", "application/json")];
        Ok(api.send("GET", &format!("/api/v1/events?{query}"), &headers, None)?.expect(200)?.json())
    };
    let cursor = page("")?["nextCursor"].as_str().context("a cursor")?.to_owned();
    let waiting = thread::scope(|scope| -> Result<Value> {
        let waiting = scope.spawn(|| page(&format!("after={cursor}&wait=30")));
        Owned::create(&api, "wakes the page")?;
        waiting.join().map_err(|_| anyhow::anyhow!("the request panicked"))?
    })?;
    ensure!(waiting["data"][0]["event"] == "session.created", "{waiting}");
    let next = waiting["nextCursor"].as_str().context("a cursor")?;
    ensure!(page(&format!("after={next}"))?["data"] == serde_json::json!([]), "no further event");
    Ok(())
}

fn ticket_opens_one_web_socket(deployment: &Deployment) -> Result<()> {
    let Organization { api, name } = deployment.organization()?;
    let person = deployment.with_credential(Token::of(&name, "owner").sign());
    for caller in [&api, &person] {
        let ticket = ticket(caller)?;
        let mut socket = WebSocket::open(&api, &ticket, "event=session.created")?
            .map_err(|status| anyhow::anyhow!("refused with {status}"))?;
        Owned::create(&api, "over a WebSocket")?;
        let Frame::Event(event) = socket.frame()? else { anyhow::bail!("closed") };
        ensure!(audit(&api)?.contains(&event), "not the event of the audit log: {event}");
        for text in [&ticket, "tkt_", &ticket[..ticket.len() - 1]] {
            let refused = WebSocket::open(&api, text, "")?.err();
            ensure!(refused == Some(401), "a spent or wrong ticket is {refused:?}");
        }
    }
    let gone = WebSocket::open(&api, &ticket(&api)?, "after=evt_01JGXS1DN0000000000000ZZZZ")?;
    let mut gone = gone.map_err(|status| anyhow::anyhow!("refused with {status}"))?;
    let close = gone.frame()?;
    ensure!(close == Frame::Close(4410), "{close:?}");
    Ok(())
}

fn unknown_positions_are_gone_and_malformed_ones_invalid(deployment: &Deployment) -> Result<()> {
    let (a, b) = (deployment.organization()?, deployment.organization()?);
    Owned::create(&a.api, "of A")?;
    Owned::create(&b.api, "of B")?;
    let (of_a, of_b) = (audit(&a.api)?, audit(&b.api)?);
    let id = |events: &[Value]| events[0]["id"].as_str().unwrap_or_default().to_owned();
    let headers = [("Accept", "application/json")];
    let ask = |position: &str| {
        a.api.send_raw("GET", &format!("/api/v1/events?after={position}"), &headers, None)
    };
    let never = ask("evt_01JGXS1DN0000000000000ZZZZ")?.expect_error(410, "gone")?;
    ensure!(never.json()["error"]["details"]["oldest"] == id(&of_a), "{}", never.json());
    let foreign = ask(&id(&of_b))?.expect_error(410, "gone")?;
    ensure!(foreign.stable_parts() == never.stable_parts(), "B's event differs from none");
    for malformed in ["1", "evt_1", "cur_1", "sess_01JGXS1DN0000000000000ZZZZ"] {
        ask(malformed)?.expect_error(400, "validation_error").context(malformed)?;
    }
    Ok(())
}

fn streams_over_the_limit_are_refused(deployment: &Deployment) -> Result<()> {
    let api = deployment.organization()?.api;
    let mut streams = Vec::new();
    for _ in 0..20 {
        let mut stream = EventStream::after(&api, "", "")?;
        stream.block()?;
        streams.push(stream);
    }
    let refused = EventStream::open(&api, "", "")?;
    ensure!(matches!(refused, Opened::Refused(429)), "the 21st stream: {refused:?}");
    api.get(SESSIONS)?.expect(200)?;
    streams.clear();
    wait::until_true("the places are free", Duration::from_secs(5), || {
        Ok(matches!(EventStream::open(&api, "", "")?, Opened::Stream(_)))
    })
}

/// The command line revokes the key in a process of its own, as another router does.
fn streams_of_a_revoked_key_end_within_a_second(deployment: &Deployment) -> Result<()> {
    let Organization { api, name } = deployment.organization()?;
    let key = deployment.stack.named_key(&name, "streaming", &["manage"])?;
    let caller = deployment.with_credential(key);
    let mut stream = EventStream::after(&caller, "", "")?;
    stream.block()?;
    let mut socket = WebSocket::open(&api, &ticket(&caller)?, "")?
        .map_err(|status| anyhow::anyhow!("refused with {status}"))?;
    let mut neighbour = EventStream::after(&api, "", "")?;
    let unused = ticket(&caller)?;
    let metrics = || Ok::<_, anyhow::Error>(deployment.stack.operator.get("/metrics")?.body);
    let open = String::from_utf8(metrics()?)?;
    for kind in ["sse", "websocket"] {
        ensure!(open.contains(&format!("berth_streams{{kind=\"{kind}\"}} ")), "{kind}: {open}");
    }
    deployment.stack.revoke_key(&name, "streaming")?;
    let revoked = Instant::now();
    while stream.event()?.is_some() {}
    while matches!(socket.frame()?, Frame::Event(_)) {}
    let took = revoked.elapsed();
    ensure!(took < SOON, "the streams ended after {} ms", took.as_millis());
    let refused = WebSocket::open(&api, &unused, "")?.err();
    ensure!(refused == Some(401), "the ticket of a revoked key is {refused:?}");
    let event = neighbour.event()?.context("the neighbour's stream goes on")?;
    ensure!(event["event"] == "api_key.revoked", "{event}");
    let closes = String::from_utf8(metrics()?)?;
    ensure!(closes.contains("berth_stream_closes_total{reason=\"revoked\"} "), "{closes}");
    Ok(())
}

fn stream_shows_its_organization_alone(deployment: &Deployment) -> Result<()> {
    let (a, b) = (deployment.organization()?, deployment.organization()?);
    let mut stream = EventStream::after(&a.api, "after=earliest", "")?;
    for n in 0..20 {
        Owned::create(&b.api, &format!("hidden {n}"))?;
    }
    Owned::create(&a.api, "shown")?;
    loop {
        let event = stream.event()?.context("the stream has no end")?;
        ensure!(event["organization"] == *a.name, "A sees {event}");
        if event["event"] == "session.created" {
            return Ok(());
        }
    }
}

fn stream_resumes_after_the_router_was_killed(deployment: &mut Deployment) -> Result<()> {
    let api = deployment.organization()?.api;
    let mut last = String::new();
    let mut seen = Vec::new();
    let mut stream = EventStream::after(&api, "", &last)?;
    for round in 0..5 {
        Owned::create(&api, &format!("before kill {round}"))?;
        seen.push(stream.event()?.context("the stream has no end")?);
        last.clone_from(&stream.last);
        Owned::create(&api, &format!("perhaps unseen {round}"))?;
        deployment.stack.kill(Victim::Berth)?;
        deployment.stack.recover()?;
        stream = wait::until("the stream resumes", PATIENCE, || {
            EventStream::after(&api, "", &last).map(Some)
        })?;
        seen.push(stream.event()?.context("the stream has no end")?);
        last.clone_from(&stream.last);
    }
    ensure!(seen == audit(&api)?[1..], "the stream has gaps or repetitions");
    Ok(())
}

fn sigterm_ends_streams_within_a_second(deployment: &mut Deployment) -> Result<()> {
    let api = deployment.organization()?.api;
    let mut streams = Vec::new();
    for _ in 0..10 {
        let mut stream = EventStream::after(&api, "", "")?;
        stream.block()?;
        streams.push(stream);
    }
    let mut socket = WebSocket::open(&api, &ticket(&api)?, "")?
        .map_err(|status| anyhow::anyhow!("refused with {status}"))?;
    let ended = thread::scope(|scope| {
        let ends = scope.spawn(|| -> Result<Instant> {
            for stream in &mut streams {
                ensure!(stream.event()?.is_none(), "an event");
            }
            let close = socket.frame()?;
            ensure!(close == Frame::Close(1001), "{close:?}");
            Ok(Instant::now())
        });
        let stopping = Instant::now();
        deployment.stack.stop_berth()?;
        let ended = ends.join().map_err(|_| anyhow::anyhow!("a stream panicked"))??;
        Ok::<_, anyhow::Error>(ended.saturating_duration_since(stopping))
    })?;
    deployment.stack.start_berth()?;
    ensure!(ended < SOON, "the streams ended after {} ms", ended.as_millis());
    Ok(())
}
