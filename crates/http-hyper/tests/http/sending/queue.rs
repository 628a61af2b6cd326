//! Tests: messages wait, leave, expire and are cancelled as the API says.

use super::*;

#[tokio::test]
async fn rate_of_the_session_is_kept() {
    let server = TestServer::open().await;
    let session = server.linked().await.id;
    let patch = SettingsPatch { rate_per_min: Some(Some(2)), ..SettingsPatch::default() };
    let sessions = &server.world.sessions;
    sessions.update(&World::acme(), session.as_str(), None, patch).await.unwrap();
    for _ in 0..2 {
        let sent = server.post("reader", &messages(&session), &hello()).await;
        assert_eq!(sent.status, 200, "{sent:?}");
    }
    let refused = server.post("reader", &messages(&session), &hello()).await;
    assert_eq!((refused.status.as_u16(), refused.code().as_str()), (429, "rate_limited"));
    assert_eq!(refused.header("ratelimit-policy"), "\"messages_per_minute\";q=2;w=60");
    let seconds: u64 = refused.header("retry-after").parse().unwrap();
    assert!((1..=60).contains(&seconds), "{seconds}");
    let path = format!("{}?async", messages(&session));
    assert_eq!(server.post("reader", &path, &hello()).await.status, 202);
    server.reconciler.send_messages().await;
    let waiting = format!("{}?status=queued", messages(&session));
    let list = server.ask("reader", "GET", &waiting).await.json();
    assert_eq!(list["data"].as_array().unwrap().len(), 1, "{list}");
    server.world.environment.advance(Duration::from_secs(seconds + 1));
    server.reconciler.send_messages().await;
    let list = server.ask("reader", "GET", &waiting).await.json();
    assert_eq!(list["data"], json!([]));
}

#[tokio::test]
async fn queued_message_is_cancelled_once_and_never_after_the_hand_over() {
    let server = TestServer::open().await;
    let ids = server.queued().await;
    let (session, wa_id) = ids.split_once('|').unwrap();
    let path = format!("/api/v1/sessions/{session}/messages/{wa_id}:cancel");
    for _ in 0..2 {
        let cancelled = server.ask("reader", "POST", &path).await;
        assert_eq!(cancelled.status, 200, "{cancelled:?}");
        let message = cancelled.json();
        assert_eq!([&message["status"], &message["ackLevel"]], [&json!("cancelled"), &json!(-1)]);
    }
    let events = server.world.memory.events();
    let told = events.iter().filter(|event| event.name().as_str() == "message.status").count();
    assert_eq!(told, 1);
    server.world.sessions.start(&World::acme(), session, None).await.unwrap();
    server.reconciler.round().await;
    server.reconciler.send_messages().await;
    let session = SessionId::parse(session).unwrap();
    let message = server.only(&session).await;
    assert_eq!(message["status"], json!("cancelled"));
    let sent = server.post("reader", &messages(&session), &hello()).await.json();
    let path = format!("{}/{}:cancel", messages(&session), sent["waMessageId"].as_str().unwrap());
    let refused = server.ask("reader", "POST", &path).await;
    assert_eq!((refused.status.as_u16(), refused.code().as_str()), (409, "conflict"));
    let unknown = format!("{}/3EB0FFFF:cancel", messages(&session));
    assert_eq!(server.ask("reader", "POST", &unknown).await.status, 404);
}

#[tokio::test]
async fn messages_expire_and_unlinked_sessions_send_nothing() {
    let server = TestServer::open().await;
    let unpaired = server.pairing().await.id;
    for path in [messages(&unpaired), format!("{}?async", messages(&unpaired))] {
        let refused = server.post("reader", &path, &hello()).await;
        assert_eq!((refused.status.as_u16(), refused.code().as_str()), (409, "conflict"));
    }
    let ids = server.queued().await;
    let session = SessionId::parse(ids.split_once('|').unwrap().0).unwrap();
    server.world.environment.advance(Duration::from_secs(24 * 60 * 60 + 1));
    server.reconciler.send_messages().await;
    let message = server.only(&session).await;
    assert_eq!(message["error"]["code"], json!("expired"));
}

#[tokio::test]
async fn fate_that_the_node_reports_is_the_status() {
    let server = TestServer::open().await;
    for (outcome, reason) in [
        (SendOutcome::Uncertain, FailureReason::Uncertain),
        (SendOutcome::EncryptionFailed, FailureReason::EncryptionFailed),
    ] {
        let ids = server.queued().await;
        let (session, wa_id) = ids.split_once('|').unwrap();
        let path = format!("/api/v1/sessions/{session}/messages/{wa_id}");
        let message = server.ask("reader", "GET", &path).await.json();
        let result = JournalFact::SendResult(SendResult {
            outbox: OutboxId::parse(message["outboxId"].as_str().unwrap()).unwrap(),
            wa_id: WaMessageId::parse(wa_id).unwrap(),
            outcome,
        });
        server.deliver(&SessionId::parse(session).unwrap(), vec![result]).await;
        let message = server.ask("reader", "GET", &path).await.json();
        assert_eq!(message["error"]["code"], json!(reason.as_str()));
    }
}
