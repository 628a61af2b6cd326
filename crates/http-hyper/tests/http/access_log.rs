//! The access log of the API.

use std::{
    io::Write,
    sync::{Arc, Mutex},
};

use http_hyper::Limits;
use serde_json::Value;
use tokio::time::timeout;
use tracing::subscriber::DefaultGuard;

use crate::{
    client::{GENEROUS, Version},
    test_server::TestServer,
    unauthenticated_peers::{LARGE, Windowless},
};

const SESSIONS: &str = "/api/v1/sessions";

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, text: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(text);
        Ok(text.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Collects the log lines of this thread while the guard lives.
fn capture() -> (Log, DefaultGuard) {
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .json()
        .flatten_event(true)
        .with_max_level(tracing::Level::INFO)
        .with_writer(move || writer.clone())
        .finish();
    (log, tracing::subscriber::set_default(subscriber))
}

impl Log {
    /// Returns the lines of the access log.
    fn requests(&self) -> Vec<Value> {
        let text = String::from_utf8(self.0.lock().unwrap().clone()).unwrap();
        let lines = text.lines().map(|line| serde_json::from_str(line).unwrap());
        lines.filter(|line: &Value| line["message"] == "request").collect()
    }
}

#[tokio::test]
async fn access_log_has_one_line_per_request_with_cause_and_without_path() {
    let (log, _guard) = capture();
    let server = TestServer::open().await;
    let id = server.linked().await.id.as_str().to_owned();
    let requests = [
        ("acme", format!("{SESSIONS}/{id}"), 200, "INFO"),
        ("revoked", format!("{SESSIONS}/{id}"), 401, "INFO"),
        ("down", SESSIONS.to_owned(), 503, "WARN"),
        ("panic", SESSIONS.to_owned(), 500, "WARN"),
        ("", "/nowhere/at/all".to_owned(), 404, "INFO"),
    ];
    for (caller, path, _, _) in &requests {
        server.ask(caller, "GET", path).await;
    }
    let lines = log.requests();
    assert_eq!(lines.len(), requests.len(), "{lines:?}");
    for (line, (_, _, status, level)) in lines.iter().zip(&requests) {
        assert_eq!((&line["status"], &line["level"]), (&(*status).into(), &(*level).into()));
        assert_eq!(line["method"], "GET");
        assert!(line["duration_ms"].is_number() && line["bytes"].as_u64().unwrap() > 0);
        assert_eq!(line["aborted"], Value::Null);
        assert!(line["request_id"].as_str().unwrap().starts_with("req_"));
        assert!(!line.to_string().contains(&id) && !line.to_string().contains("/at/all"));
    }
    assert_eq!(lines[0]["route"], "/api/v1/sessions/{session}");
    assert_eq!(lines[0]["operation"], "session_view");
    assert_eq!(lines[0]["organization"], "acme-canary");
    assert_eq!(lines[0]["actor"], "user:user-of-acme-canary");
    assert_eq!(lines[1]["refused"], crate::test_server::SECRET_CAUSE);
    assert!(lines[2]["cause"].as_str().unwrap().contains("the key set is on the moon"));
    assert!(lines[3]["cause"].as_str().unwrap().contains("the doorman fell over"));
}

#[tokio::test]
async fn response_that_its_caller_does_not_read_is_logged_at_its_end_as_aborted() {
    let (log, _guard) = capture();
    let server = TestServer::with(Limits { write_time: 10 * GENEROUS, ..Limits::default() }).await;
    let mut peer = Windowless::connect(server.address).await;
    let answer = peer.ask(LARGE).await;
    assert_eq!(server.say(Version::One, "acme", "GET", SESSIONS, None).await.status, 200);
    assert_eq!(log.requests().len(), 1, "the other response is not written yet");
    drop((answer, peer));
    let logged = async {
        while log.requests().len() < 2 {
            tokio::task::yield_now().await;
        }
    };
    timeout(GENEROUS, logged).await.expect("the request ends with its connection");
    let line = &log.requests()[1];
    assert_eq!((&line["operation"], &line["status"]), (&"docs_script".into(), &200.into()));
    assert_eq!((&line["aborted"], &line["bytes"]), (&true.into(), &0.into()));
}
