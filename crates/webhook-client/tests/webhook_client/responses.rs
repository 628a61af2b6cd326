//! Hostile responses: items 3 to 15 and 18 to 34 of the list of hostile receivers.

use std::{
    fmt::Write as _,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::time::sleep;

use crate::{
    receiver::Receiver,
    world::{HEAD, case, response, run, send, sender},
};

const PAUSE: Duration = Duration::from_millis(100);

fn head_with(count: usize) -> String {
    let mut head = "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n".to_owned();
    for n in 1..count {
        write!(head, "x-{n}: y\r\n").unwrap();
    }
    head + "\r\n"
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slow_or_missing_head_is_a_timeout() {
    run(vec![
        case("silent", &["timeout"], |mut peer| async move { peer.hold().await }),
        case("one byte at a time", &["timeout"], |mut peer| async move {
            peer.request().await;
            peer.trickle(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n", PAUSE).await;
        }),
        case("slow headers without end", &["timeout"], |mut peer| async move {
            peer.request().await;
            peer.write(b"HTTP/1.1 200 OK\r\n").await;
            while peer.write(b"x: y\r\n").await {
                sleep(PAUSE).await;
            }
        }),
        case("slow interim responses without end", &["timeout"], |mut peer| async move {
            peer.request().await;
            while peer.write(b"HTTP/1.1 102 Processing\r\n\r\n").await {
                sleep(PAUSE).await;
            }
        }),
        case("after the deadline", &["timeout"], |mut peer| async move {
            peer.request().await;
            sleep(HEAD + PAUSE).await;
            peer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await;
        }),
        response("half a head", &["timeout"], "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n"),
    ])
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn oversized_head_is_malformed() {
    run(vec![
        case("headers without end", &["malformed"], |mut peer| async move {
            peer.request().await;
            peer.write(b"HTTP/1.1 200 OK\r\n").await;
            while peer.write(b"x: y\r\n").await {}
        }),
        case("interim responses without end", &["malformed"], |mut peer| async move {
            peer.request().await;
            while peer.write(b"HTTP/1.1 103 Early Hints\r\n\r\n").await {}
        }),
        response("one long header", &["malformed"], {
            format!("HTTP/1.1 200 OK\r\nx: {}\r\n\r\n", "y".repeat(1 << 20))
        }),
        response("long reason", &["malformed"], {
            format!("HTTP/1.1 200 {}\r\n\r\n", "y".repeat(20_000))
        }),
        response("101 headers", &["malformed"], head_with(101)),
        response("10,000 headers", &["malformed"], head_with(10_000)),
        response("100 headers", &["2xx"], head_with(100)),
        response("some interim responses", &["2xx"], {
            let interim =
                "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n";
            format!("{interim}HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")
        }),
    ])
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn body_never_changes_the_class() {
    let written = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&written);
    run(vec![
        case("slow body without end", &["2xx"], |mut peer| async move {
            peer.request().await;
            peer.write(b"HTTP/1.1 200 OK\r\n\r\n").await;
            while peer.write(b"x").await {
                sleep(Duration::from_millis(10)).await;
            }
        }),
        case("fast body of 1 GB", &["2xx"], move |mut peer| {
            let counter = Arc::clone(&counter);
            async move {
                peer.request().await;
                peer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 1073741824\r\n\r\n").await;
                while peer.write(&[b'x'; 16_384]).await {
                    counter.fetch_add(16_384, Ordering::SeqCst);
                }
            }
        }),
        case("body after the deadline", &["2xx"], |mut peer| async move {
            peer.request().await;
            peer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n").await;
            sleep(HEAD).await;
            peer.write(b"ok").await;
        }),
        case("reset within the body", &["2xx"], |mut peer| async move {
            peer.request().await;
            peer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nx").await;
            sleep(PAUSE).await;
            peer.reset();
        }),
        response("gzip bomb", &["2xx"], {
            let head =
                b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 10000\r\n\r\n";
            [head.as_slice(), &[0x1f, 0x8b, 8, 0], &[0; 9_996]].concat()
        }),
        response("huge chunk", &["2xx"], {
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nFFFFFFFFFFFFFFFFF\r\nx"
        }),
        response("negative chunk", &["2xx"], {
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n-1\r\nx"
        }),
        response("endless chunk extension", &["2xx"], {
            let head = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1;";
            format!("{head}{}", "x".repeat(1 << 18))
        }),
        response("endless trailers", &["2xx"], {
            let head = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0\r\n";
            format!("{head}{}", "x: y\r\n".repeat(1 << 15))
        }),
        response("longer length than body", &["2xx"], {
            "HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nok"
        }),
        response("chunked and length", &["2xx"], {
            "HTTP/1.1 200 OK\r\ncontent-length: 3\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n"
        }),
        response("equal lengths", &["2xx"], {
            "HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 2\r\n\r\nok"
        }),
    ])
    .await;
    // What the receiver wrote is what the buffers of two sockets hold.
    let written = written.load(Ordering::SeqCst);
    assert!(written < 32 << 20, "the receiver wrote {written} bytes");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn invalid_response_is_malformed() {
    let status = |status: &str| format!("HTTP/1.1 {status} X\r\ncontent-length: 0\r\n\r\n");
    let length = |length: &str| format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n");
    let header = |line: &'static [u8]| [b"HTTP/1.1 200 OK\r\n", line, b"\r\n\r\n"].concat();
    let mut cases: Vec<_> = ["600", "999", "1000", "99", "099", "0", "20", "abc", "-200"]
        .map(|text| response(text, &["malformed"], status(text)))
        .into();
    cases.extend(
        ["-1", "+1", "1x", "99999999999999999999", "1\r\ncontent-length: 2"]
            .map(|text| response(text, &["malformed"], length(text))),
    );
    cases.extend([
        response("NUL in a value", &["malformed"], header(b"x: a\0b")),
        response("folded value", &["malformed"], header(b"x: a\r\n b")),
        response("space before the colon", &["malformed"], header(b"x : a")),
        response("no colon", &["malformed"], header(b"x")),
        response("latin-1 value", &["2xx"], header(b"x: \xe4\r\ncontent-length: 0")),
        response("bare line feeds", &["2xx"], "HTTP/1.1 200 OK\nx: y\ncontent-length: 0\n\n"),
        response("HTTP/0.9", &["malformed"], "<html>ok</html>"),
        response("HTTP/2 as version", &["malformed"], "HTTP/2 200 OK\r\n\r\n"),
        response("HTTP/3.0 as version", &["malformed"], "HTTP/3.0 200 OK\r\n\r\n"),
        response("HTTP/1.0 chunked", &["malformed"], {
            "HTTP/1.0 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n"
        }),
        response("HTTP/1.0", &["2xx"], "HTTP/1.0 200 OK\r\ncontent-length: 0\r\n\r\n"),
        response("switched protocols", &["malformed"], {
            "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: h2c\r\n\r\n"
        }),
    ]);
    run(cases).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn receiver_that_speaks_first_is_malformed() {
    let goaway = [0, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0, 8, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];
    let mut cases: Vec<_> = [
        ("SSH", b"SSH-2.0-OpenSSH_9.2p1\r\n".to_vec()),
        ("SMTP", b"220 mail.example ESMTP\r\n".to_vec()),
        ("HTTP/2", goaway.to_vec()),
    ]
    .map(|(name, banner)| {
        case(name, &["malformed"], move |mut peer| {
            let banner = banner.clone();
            async move {
                peer.write(&banner).await;
                peer.hold().await;
            }
        })
    })
    .into();
    // Whether the response or the request is first is a race that the receiver decides.
    cases.push(case("response before the request", &["2xx", "malformed"], |mut peer| async move {
        peer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await;
        peer.hold().await;
    }));
    run(cases).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn status_decides_the_class() {
    let head = |status: &str| format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\n\r\n");
    let success =
        ["200 OK", "201 X", "202 X", "203 X", "205 X", "206 X", "207 X", "226 X", "299 X"];
    let mut cases: Vec<_> = success.map(|text| response(text, &["2xx"], head(text))).into();
    cases.extend([
        response("204 with a body", &["2xx"], "HTTP/1.1 204 No Content\r\n\r\nbody"),
        response("304", &["3xx"], head("304 Not Modified")),
        response("401", &["4xx"], {
            "HTTP/1.1 401 X\r\nwww-authenticate: Basic\r\ncontent-length: 0\r\n\r\n"
        }),
        response("407", &["4xx"], head("407 Proxy Authentication Required")),
        response("410", &["4xx"], head("410 Gone")),
        response("429", &["429"], head("429 Too Many Requests")),
        response("500", &["5xx"], head("500 X")),
        response("503", &["5xx"], head("503 X")),
        response("without reason", &["2xx"], "HTTP/1.1 200\r\ncontent-length: 0\r\n\r\n"),
    ]);
    let outcomes = run(cases).await;
    let statuses: Vec<_> = outcomes.iter().filter_map(|outcome| outcome.status).collect();
    let expected =
        [200, 201, 202, 203, 205, 206, 207, 226, 299, 204, 304, 401, 407, 410, 429, 500, 503, 200];
    assert_eq!(statuses, expected);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redirect_is_not_followed() {
    let (sender, target) = (sender(), Receiver::healthy().await);
    for status in [301, 302, 303, 307, 308] {
        let targets =
            [target.url(), "http://169.254.169.254/latest/".into(), "/hook".into(), "//".into()];
        for location in targets {
            let receiver = Receiver::start(move |mut peer| {
                let head = format!(
                    "HTTP/1.1 {status} X\r\nlocation: {location}\r\ncontent-length: 0\r\n\r\n"
                );
                async move {
                    while peer.request().await.is_some() {
                        peer.write(head.as_bytes()).await;
                    }
                }
            })
            .await;
            let outcome = send(&sender, &receiver.url()).await;
            assert_eq!((outcome.class.as_str(), outcome.status), ("3xx", Some(status)));
            assert_eq!(receiver.requests().len(), 1);
        }
    }
    assert_eq!(target.accepted(), 0);
}

#[tokio::test]
async fn retry_after_is_read_from_one_valid_header() {
    for (lines, seconds) in [
        ("retry-after: 7", Some(7)),
        ("Retry-After: Sun, 06 Nov 1994 08:49:47 GMT", Some(10)),
        ("retry-after: 1000000000000", Some(21_600)),
        ("retry-after: 7\r\nretry-after: 7", None),
        ("retry-after: soon", None),
        ("retry-after: \u{e4}", None),
    ] {
        let receiver = Receiver::start(move |mut peer| async move {
            peer.request().await;
            let head = format!("HTTP/1.1 503 X\r\n{lines}\r\ncontent-length: 0\r\n\r\n");
            peer.write(head.as_bytes()).await;
        })
        .await;
        let outcome = send(&sender(), &receiver.url()).await;
        assert_eq!(outcome.retry_after, seconds.map(Duration::from_secs), "{lines}");
    }
}

#[tokio::test]
async fn request_has_the_documented_form() {
    let receiver = Receiver::healthy().await;
    let outcome = send(&sender(), &format!("{}?key=1", receiver.url())).await;
    assert_eq!(outcome.class.as_str(), "2xx");
    let request = receiver.requests().remove(0);
    assert!(request.starts_with("POST /hook?key=1 HTTP/1.1\r\n"), "{request}");
    assert!(request.ends_with("\r\n\r\n{\"id\":\"evt_1\"}"), "{request}");
    let host = format!("\r\nhost: {}\r\n", receiver.address);
    let lines = [host.as_str(), "\r\nuser-agent: berth/test\r\n", "\r\ncontent-length: 14\r\n"];
    assert!(lines.iter().all(|line| request.contains(line)), "{request}");
    for absent in ["accept-encoding", "signature", "hmac", "transfer-encoding", "connection"] {
        assert!(!request.contains(absent), "{absent}: {request}");
    }
}
