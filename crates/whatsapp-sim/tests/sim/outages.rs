//! The end of the simulator as an outage: the next one with the same files delivers everything that
//! was acknowledged, and nothing twice.

use crate::client::PATIENCE;
use crate::engine::Engine;
use crate::{ANN, BOB, jid, received, until};
use std::path::{Path, PathBuf};
use whatsapp_sim::{Config, OutgoingMessage, Phone, Simulator};

fn config(folder: &Path) -> Config {
    Config { state: Some(folder.join("state.json")), ..Config::default() }
}

async fn phones(folder: &Path) -> (Simulator, Phone, Phone) {
    let simulator = Simulator::start(config(folder)).await.unwrap();
    let ann = simulator.add_phone(ANN, "Ann").unwrap();
    let bob = simulator.add_phone(BOB, "Bob").unwrap();
    (simulator, ann, bob)
}

/// Copies the files as a process that is killed now would leave them.
fn killed(folder: &Path, copy: PathBuf) -> PathBuf {
    std::fs::create_dir(&copy).unwrap();
    for name in ["state.json", "state.json.messages"] {
        std::fs::copy(folder.join(name), copy.join(name)).unwrap();
    }
    copy
}

/// Waits until the state file contains a text.
async fn saved(folder: &Path, text: &str) {
    let file = folder.join("state.json");
    until(async || std::fs::read_to_string(&file).unwrap().contains(text)).await;
}

#[tokio::test]
async fn acknowledged_messages_survive_a_kill() {
    let folder = tempfile::tempdir().unwrap();
    let (simulator, ann, bob) = phones(folder.path()).await;
    let mut engine = Engine::link(&simulator, &ann).await;
    engine.send(&jid(BOB), "before", "K0").await;
    assert_eq!(engine.wait_ack("K0").await, None);
    bob.send(ANN, &OutgoingMessage::text("answer")).unwrap();
    engine.wait_texts(1).await;
    bob.set_online(false);
    saved(folder.path(), "\"greeted\":true").await;
    saved(folder.path(), "\"online\":false").await;
    for n in 1..=20 {
        engine.send(&jid(BOB), &n.to_string(), &format!("K{n}")).await;
        assert_eq!(engine.wait_ack(&format!("K{n}")).await, None);
    }
    let copy = killed(folder.path(), folder.path().join("killed"));
    // Unknown to the copy.
    engine.send(&jid(BOB), "too late", "LATE").await;
    assert_eq!(engine.wait_ack("LATE").await, None);

    let (second, ann, bob) = phones(&copy).await;
    assert_eq!(received(&bob), ["before"]);
    engine.url = second.url();
    engine.restart().await;
    assert_eq!(engine.texts(), [], "what was confirmed is not delivered again");
    bob.set_online(true);
    let mut expected = vec!["before".to_owned()];
    expected.extend((1..=20).map(|n| n.to_string()));
    assert_eq!(received(&bob), expected);
    // A repeated id is known, and the sessions go on.
    engine.send(&jid(BOB), "20", "K20").await;
    assert_eq!(engine.wait_ack("K20").await, None);
    engine.send(&jid(BOB), "after", "K21").await;
    let after = bob.wait_message(PATIENCE, |m| m.id == "K21").await.unwrap();
    assert_eq!((after.readable, after.retries), (true, 0));
    expected.push("after".to_owned());
    assert_eq!(received(&bob), expected);
    bob.send(ANN, &OutgoingMessage::text("answer after")).unwrap();
    assert_eq!(engine.wait_texts(1).await[0].text, "answer after");
    assert_eq!(received(&ann), ["answer", "answer after"]);
}

#[tokio::test]
async fn queues_of_absent_devices_survive_a_kill() {
    let folder = tempfile::tempdir().unwrap();
    let (simulator, ann, bob) = phones(folder.path()).await;
    let mut engine = Engine::link(&simulator, &ann).await;
    saved(folder.path(), "\"greeted\":true").await;
    engine.stop().await;
    assert!(ann.wait_for(PATIENCE, |phone| !phone.devices()[0].connected).await);
    for n in 0..20 {
        bob.send(ANN, &OutgoingMessage::text(&n.to_string())).unwrap();
    }
    let copy = killed(folder.path(), folder.path().join("killed"));
    let (second, _, _) = phones(&copy).await;
    engine.url = second.url();
    engine.restart().await;
    let texts: Vec<_> = engine.wait_texts(20).await.into_iter().map(|text| text.text).collect();
    assert_eq!(texts, (0..20).map(|n| n.to_string()).collect::<Vec<_>>());
}

#[tokio::test]
async fn kill_between_acknowledgement_and_phone_loses_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let (simulator, ann, _) = phones(folder.path()).await;
    let engine = Engine::link(&simulator, &ann).await;
    saved(folder.path(), "\"greeted\":true").await;
    engine.send(&jid(BOB), "between", "B1").await;
    assert_eq!(engine.wait_ack("B1").await, None);
    engine.wait_receipt("Delivered", "B1").await;
    let copy = killed(folder.path(), folder.path().join("killed"));
    let journal = copy.join("state.json.messages");
    let whole = std::fs::read_to_string(&journal).unwrap();
    // What was written before the acknowledgement: up to the last message on its way to a phone.
    let last = whole.rfind("{\"is\":\"parcel\"").unwrap();
    let end = last + whole[last..].find('\n').unwrap() + 1;
    assert!(end < whole.len());
    std::fs::write(&journal, &whole[..end]).unwrap();
    let (_second, ann, bob) = phones(&copy).await;
    assert_eq!(received(&bob), ["between"]);
    let own = ann.messages_with_id("B1");
    assert_eq!((own.len(), own[0].text.as_deref()), (1, Some("between")));
}

#[tokio::test]
async fn torn_last_line_is_ignored_and_a_torn_middle_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let (simulator, ann, _) = phones(folder.path()).await;
    saved(folder.path(), BOB).await;
    ann.send(BOB, &OutgoingMessage::text("whole")).unwrap();
    let torn = killed(folder.path(), folder.path().join("torn"));
    drop(simulator);
    let journal = torn.join("state.json.messages");
    let whole = std::fs::read_to_string(&journal).unwrap();
    std::fs::write(&journal, format!("{whole}{{\"is\":\"mess")).unwrap();
    let (second, _, bob) = phones(&torn).await;
    assert_eq!(received(&bob), ["whole"]);
    drop(second);
    std::fs::write(&journal, format!("{{\"is\":\"mess\n{whole}")).unwrap();
    assert!(Simulator::start(config(&torn)).await.is_err());
}
