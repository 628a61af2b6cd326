//! Invalid input: the right 4xx in the envelope, over both protocols, never a 5xx and never a hang.

use std::time::Duration;

use bytes::Bytes;
use http_hyper::Limits;
use serde_json::json;
use tokio::{io::AsyncWriteExt, net::TcpStream};

use crate::{
    client::{BOTH, ReceivedResponse, Version, ask, parse, raw, read_to_end, send, try_send},
    test_server::TestServer,
};

const SESSIONS: &str = "/api/v1/sessions";

async fn create(
    server: &TestServer,
    version: Version,
    kind: &str,
    body: impl Into<Bytes>,
) -> ReceivedResponse {
    let request = ask("POST", SESSIONS).header("x-api-key", "acme").header("content-type", kind);
    let answer = send(server.address, version, request, body).await;
    answer.assert_well_formed("create");
    answer
}

#[tokio::test]
async fn body_of_wrong_json_is_a_validation_error() {
    let server = TestServer::open().await;
    let before = server.fingerprint();
    let deep = format!("{{\"metadata\":{}", "[".repeat(30_000));
    let unknown = (0..3000).fold(String::new(), |text, n| text + &format!("\"k{n}\":0,"));
    let many = format!("{{{unknown}\"label\":\"x\"}}");
    let bodies: [(&[u8], &str); 21] = [
        (b"{", ""),
        (b"nonsense", ""),
        (b"{} {}", ""),
        (b"\xff\xfe", ""),
        (b"{\"label\":\"\xff\"}", ""),
        (b"{\"label\":\"\\ud800\"}", ""),
        (b"\xef\xbb\xbf{}", ""),
        (deep.as_bytes(), ""),
        (many.as_bytes(), "/k0"),
        (b"[]", ""),
        (b"null", ""),
        (b"\"label\"", ""),
        (b"{\"label\":\"a\",\"label\":\"b\"}", "/label"),
        (b"{\"label\":\"\\u0000\"}", ""),
        (b"{\"label\":[]}", "/label"),
        (b"{\"ratePerMin\":-1}", "/ratePerMin"),
        (b"{\"ratePerMin\":1e-2}", "/ratePerMin"),
        (b"{\"ratePerMin\":99999999999999999999}", "/ratePerMin"),
        (b"{\"metadata\":null}", "/metadata"),
        (b"{\"start\":1}", "/start"),
        (b"{\"a~/b\":1}", "/a~0~1b"),
    ];
    for version in BOTH {
        for (body, field) in bodies {
            let about = String::from_utf8_lossy(&body[..body.len().min(60)]);
            let answer = create(&server, version, "application/json", body.to_vec()).await;
            assert_eq!((answer.status.as_u16(), answer.code().as_str()), (400, "validation_error"));
            assert_eq!(answer.faults().first().map(String::as_str), Some(field), "{about}");
            assert!(answer.faults().len() <= 100);
        }
    }
    assert_eq!(server.fingerprint(), before);
}

#[tokio::test]
async fn body_must_be_json() {
    let server = TestServer::open().await;
    for version in BOTH {
        for kind in
            ["text/plain", "application/x-www-form-urlencoded", "application/json; charset=latin1"]
        {
            let answer = create(&server, version, kind, "{}").await;
            assert_eq!(
                (answer.status.as_u16(), answer.code().as_str()),
                (415, "unsupported_media_type")
            );
        }
        let bare = ask("POST", SESSIONS).header("x-api-key", "acme");
        assert_eq!(send(server.address, version, bare, "{}").await.status, 415);
        let bare = ask("POST", SESSIONS).header("x-api-key", "acme");
        assert_eq!(send(server.address, version, bare, "").await.status, 201);
    }
}

#[tokio::test]
async fn action_accepts_no_body_or_an_empty_object() {
    let server = TestServer::open().await;
    let path = format!("{SESSIONS}/{}:stop", server.linked().await.id);
    assert_eq!(server.post("acme", &path, &json!({})).await.status, 200);
    let answer = server.post("acme", &path, &json!({ "force": true })).await;
    assert_eq!((answer.status.as_u16(), answer.faults()), (400, vec!["/force".to_owned()]));
    assert_eq!(server.post("acme", &path, &json!([])).await.status, 400);
}

#[tokio::test]
async fn invalid_phone_is_rejected_before_any_lookup() {
    let server = TestServer::open().await;
    let id = server.linked().await.id.as_str().to_owned();
    for body in [
        json!({}),
        json!({"phone": 4_915_112_345_i64}),
        json!({"phone": "+4915112345"}),
        json!({"phone": "123456"}),
    ] {
        let mine = server.post("acme", &format!("{SESSIONS}/{id}/pairing-code"), &body).await;
        assert_eq!((mine.status.as_u16(), mine.faults()), (400, vec!["/phone".to_owned()]));
        let hidden = server.post("zeta", &format!("{SESSIONS}/{id}/pairing-code"), &body).await;
        let never = server.post("zeta", &format!("{SESSIONS}/none/pairing-code"), &body).await;
        assert_eq!(hidden.comparable(), never.comparable());
        assert_eq!(hidden.comparable(), mine.comparable());
    }
}

#[tokio::test]
async fn oversized_body_is_rejected_in_every_encoding() {
    let server = TestServer::open().await;
    let before = server.fingerprint();
    let large = format!("{{\"label\":\"{}\"}}", "x".repeat(2 * 1024 * 1024));
    for version in BOTH {
        let answer = create(&server, version, "application/json", large.clone()).await;
        assert_eq!((answer.status.as_u16(), answer.code().as_str()), (413, "payload_too_large"));
        // The rejection arrives although the body was not read.
        let request = ask("POST", SESSIONS).header("x-api-key", "garbage");
        assert_eq!(send(server.address, version, request, large.clone()).await.status, 401);
    }
    let mut chunked = format!(
        "POST {SESSIONS} HTTP/1.1\r\nhost: x\r\nx-api-key: acme\r\n\
         content-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n"
    );
    let chunk = format!("8000\r\n{}\r\n", " ".repeat(0x8000));
    chunked.push_str(&chunk.repeat(384));
    chunked.push_str("0\r\n\r\n");
    let answer = parse(&raw(server.address, chunked.as_bytes()).await);
    answer.assert_well_formed("chunked");
    assert_eq!((answer.status.as_u16(), answer.code().as_str()), (413, "payload_too_large"));
    // A body of exactly the limit is accepted.
    let fits = format!("{}{{}}", " ".repeat(64 * 1024 - 2));
    assert_eq!(create(&server, Version::Two, "application/json", fits).await.status, 201);
    assert_ne!(server.fingerprint(), before);
}

#[tokio::test]
async fn slow_body_times_out() {
    let limits = Limits { body_time: Duration::from_millis(100), ..Limits::default() };
    let server = TestServer::with(limits).await;
    let head = format!(
        "POST {SESSIONS} HTTP/1.1\r\nhost: x\r\nx-api-key: acme\r\n\
         content-type: application/json\r\ncontent-length: 100\r\n\r\n{{"
    );
    let answer = parse(&raw(server.address, head.as_bytes()).await);
    answer.assert_well_formed("slow");
    assert_eq!((answer.status.as_u16(), answer.code().as_str()), (408, "request_timeout"));
}

#[tokio::test]
async fn truncated_or_malformed_body_is_a_validation_error() {
    let server = TestServer::open().await;
    let head = format!(
        "POST {SESSIONS} HTTP/1.1\r\nhost: x\r\nx-api-key: acme\r\ncontent-type: application/json\r\n"
    );
    let garbled = format!("{head}transfer-encoding: chunked\r\n\r\nzz\r\n{{}}\r\n");
    let answer = parse(&raw(server.address, garbled.as_bytes()).await);
    assert_eq!((answer.status.as_u16(), answer.code().as_str()), (400, "validation_error"));
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    stream.write_all(format!("{head}content-length: 100\r\n\r\n{{").as_bytes()).await.unwrap();
    stream.shutdown().await.unwrap();
    let answer = parse(&read_to_end(&mut stream).await);
    assert_eq!((answer.status.as_u16(), answer.faults()), (400, vec![String::new()]));
}

#[tokio::test]
async fn invalid_path_is_not_found() {
    let server = TestServer::open().await;
    let id = server.linked().await.id.as_str().to_owned();
    let long = "a".repeat(10_000);
    let paths = [
        "/".to_owned(),
        "/api/v1".to_owned(),
        "/api/v1/sessions/".to_owned(),
        "//api/v1/sessions".to_owned(),
        "/api/v1/Sessions".to_owned(),
        "/api/v2/sessions".to_owned(),
        format!("{SESSIONS}/{id}/"),
        format!("{SESSIONS}/{id}:bogus"),
        format!("{SESSIONS}/{id}%3Alogout"),
        format!("{SESSIONS}/%ff%fe"),
        format!("{SESSIONS}/%zz"),
        format!("{SESSIONS}/%"),
        format!("{SESSIONS}/%00"),
        format!("{SESSIONS}/{id}%00"),
        format!("{SESSIONS}/{id}%20"),
        format!("{SESSIONS}/..%2f..%2fetc"),
        format!("{SESSIONS}/{long}"),
        format!("{SESSIONS}/{long}/qr"),
        format!("{SESSIONS}/{}", id.to_lowercase()),
        format!("{SESSIONS}/{id}/unknown"),
    ];
    for version in BOTH {
        for path in &paths {
            let answer = server.say(version, "acme", "GET", path, None).await;
            answer.assert_well_formed(path);
            assert_eq!(
                (answer.status.as_u16(), answer.code().as_str()),
                (404, "not_found"),
                "{path}"
            );
        }
        // There is nothing to protect, so that no credential is required.
        for path in ["/api/v1/nothing".to_owned(), format!("{SESSIONS}/{id}:bogus")] {
            for method in ["GET", "POST"] {
                assert_eq!(server.say(version, "", method, &path, None).await.status, 404);
            }
        }
        // An encoded colon does not start a verb.
        let path = format!("{SESSIONS}/{id}%3Alogout");
        assert_eq!(server.say(version, "acme", "POST", &path, None).await.status, 405);
    }
    assert!(server.find(&domain::SessionId::parse(&id).unwrap()).await.is_paired());
}

#[tokio::test]
async fn invalid_numbers_in_a_query_are_validation_errors() {
    let server = TestServer::open().await;
    let huge = "9".repeat(5000);
    for version in BOTH {
        for limit in ["0", "201", "-1", "1.5", "1e1", "", "x", "%00", "%ff", "+1", &huge] {
            let path = format!("{SESSIONS}?limit={limit}");
            let answer = server.say(version, "acme", "GET", &path, None).await;
            answer.assert_well_formed(&path);
            assert_eq!((answer.status.as_u16(), answer.faults()), (400, vec!["limit".to_owned()]));
        }
        let both = format!("{SESSIONS}?limit=0&cursor=x&limit=1&stauts=working");
        let answer = server.say(version, "acme", "GET", &both, None).await;
        let mut faults = answer.faults();
        faults.sort();
        assert_eq!(faults, ["cursor", "limit", "limit", "stauts"]);
    }
}

#[tokio::test]
async fn unreadable_request_gets_an_error_envelope() {
    let server = TestServer::open().await;
    let large =
        format!("GET /livez HTTP/1.1\r\nhost: x\r\nx-large: {}\r\n\r\n", "x".repeat(100_000));
    let many = (0..200).fold(String::new(), |text, n| text + &format!("x-{n}: 1\r\n"));
    let many = format!("GET /livez HTTP/1.1\r\nhost: x\r\n{many}\r\n");
    let requests: [(&[u8], u16, &str); 6] = [
        (large.as_bytes(), 431, "headers_too_large"),
        (many.as_bytes(), 431, "headers_too_large"),
        (b"GET /api/v1/sessions/\xff\xfe HTTP/1.1\r\nhost: x\r\n\r\n", 400, "validation_error"),
        (b"GET /\x00 HTTP/1.1\r\nhost: x\r\n\r\n", 400, "validation_error"),
        (b"GET /livez HTTP/1.1\r\nbad header\r\n\r\n", 400, "validation_error"),
        (
            b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 hello from TLS\r\n\r\n",
            400,
            "validation_error",
        ),
    ];
    for (request, status, code) in requests {
        let answer = parse(&raw(server.address, request).await);
        let about = String::from_utf8_lossy(&request[..request.len().min(40)]).into_owned();
        answer.assert_well_formed(&about);
        assert_eq!((answer.status.as_u16(), answer.code().as_str()), (status, code), "{about}");
    }
}

#[tokio::test]
async fn large_http_2_headers_are_rejected_and_the_connection_continues() {
    let server = TestServer::open().await;
    for size in [20_000, 100_000] {
        let request = ask("GET", "/livez").header("x-large", "x".repeat(size));
        // Over HTTP/2, hyper answers with a bare 431 or ends the connection.
        if let Ok(answer) = try_send(server.address, Version::Two, request, "").await {
            assert_eq!(answer.status, 431);
        }
    }
    assert_eq!(send(server.address, Version::Two, ask("GET", "/livez"), "").await.status, 200);
}
