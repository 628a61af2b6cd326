//! A node that is killed while messages arrive and leave loses none and repeats none.

use std::{path::Path, process::Child, time::Duration};

use gateway_protocol::{
    Heartbeat, JournalItem, OutgoingContent, OutgoingMessage as Outgoing, SendMessages, SendState,
};
use tempfile::TempDir;
use whatsapp_sim::{Config, Fault, FaultRule, FaultTarget, OutgoingMessage, Simulator};

use crate::{
    fake_router::FakeRouter,
    fixture::{Api, pairing, running},
    program::program,
    wait::{PATIENCE, until},
};

const ANN: &str = "15550000001";
const BOB: &str = "15550000002";

/// A process of the node, which is killed when dropped.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Starts the program and waits until it has registered.
async fn start(data: &Path, router: &FakeRouter, whatsapp: &Simulator) -> (Process, Api) {
    let before = router.state().registrations.len();
    let mut command = program(data, &router.url, Some(&whatsapp.url()));
    command.stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null());
    let process = Process(command.spawn().unwrap());
    let address = until("registration", async || {
        let state = router.state();
        // The first heartbeat tells that the answer to the registration has arrived.
        let node = state.registrations.get(before)?;
        let is_registered = |heartbeat: &Heartbeat| heartbeat.incarnation == node.incarnation;
        state.heartbeats.iter().any(is_registered).then(|| node.address.clone())
    })
    .await;
    let address = address.strip_prefix("http://").unwrap().parse().unwrap();
    (process, Api::new(address))
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_node_loses_no_message_and_stores_each_once() {
    let whatsapp = Simulator::start(Config::default()).await.unwrap();
    let (router, data) = (FakeRouter::start().await, TempDir::new().unwrap());
    let ann = whatsapp.add_phone(ANN, "Ann").unwrap();
    let bob = whatsapp.add_phone(BOB, "Bob").unwrap();
    let (mut process, api) = start(data.path(), &router, &whatsapp).await;
    api.declare("s1", &pairing(1, 1, None)).await.unwrap();
    let qr = api.qr("s1").await;
    ann.scan(&qr).await.unwrap();
    api.working("s1").await;

    let mut texts = Vec::new();
    for round in 0..4_u64 {
        for number in 0..60 {
            let text = format!("text {round} {number}");
            bob.send(ANN, &OutgoingMessage::text(&text)).unwrap();
            texts.push(text);
        }
        // The kill meets the middle of the messages of this round.
        let enough = texts.len() - 60 + 15 * usize::try_from(round).unwrap();
        router.until("messages", |state| state.stored.len() >= enough).await;
        drop(process);
        let (next, api) = start(data.path(), &router, &whatsapp).await;
        process = next;
        api.declare("s1", &running(2 + round)).await.unwrap();
    }
    router.message("s1", texts.last().unwrap()).await;
    let mut distinct = Vec::new();
    for message in router.messages_of("s1") {
        // What the router does with the same chat, sender and id.
        let key = (message.chat, message.sender, message.wa_id);
        if !distinct.iter().any(|(known, _)| *known == key) {
            distinct.push((key, message.body.unwrap_or_default()));
        }
    }
    let bodies: Vec<String> = distinct.into_iter().map(|(_, body)| body).collect();
    assert_eq!(bodies, texts);
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_node_sends_each_message_under_one_id() {
    let whatsapp = Simulator::start(Config::default()).await.unwrap();
    let (router, data) = (FakeRouter::start().await, TempDir::new().unwrap());
    let ann = whatsapp.add_phone(ANN, "Ann").unwrap();
    let bob = whatsapp.add_phone(BOB, "Bob").unwrap();
    let (mut process, mut api) = start(data.path(), &router, &whatsapp).await;
    api.declare("s1", &pairing(1, 1, None)).await.unwrap();
    let qr = api.qr("s1").await;
    ann.scan(&qr).await.unwrap();
    api.working("s1").await;

    let outgoing = |number: usize| Outgoing {
        outbox: format!("out_{number}"),
        chat: i64::try_from(number % 5).unwrap(),
        wa_id: format!("3EB0{number:018X}"),
        to: format!("{BOB}@s.whatsapp.net"),
        content: OutgoingContent::Text { text: format!("text {number}") },
        typing_ms: None,
        ephemeral: None,
        not_after: i64::MAX,
    };
    let is_over = |number: usize| {
        let outbox = format!("out_{number}");
        router.items_of("s1").iter().any(|item| match item {
            JournalItem::Ack(ack) => ack.outbox == outbox && ack.code.is_none(),
            JournalItem::SendResult(end) => end.outbox == outbox && end.state == SendState::Sent,
            _ => false,
        })
    };
    let total = 60;
    for round in 0..4_u64 {
        let epoch = 1 + round;
        let goal = if round == 3 { total } else { 12 * (usize::try_from(round).unwrap() + 1) };
        let limit = PATIENCE + Duration::from_secs(30);
        let handing_over = async {
            loop {
                let open: Vec<_> = (0..total).filter(|number| !is_over(*number)).collect();
                if total - open.len() >= goal {
                    return;
                }
                let items = open.into_iter().map(outgoing).collect();
                let request = SendMessages { epoch, account: Some(ANN.to_owned()), items };
                let _ = api.send("s1", &request).await;
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(limit, handing_over).await.unwrap();
        if round < 3 {
            drop(process);
            (process, api) = start(data.path(), &router, &whatsapp).await;
            api.declare("s1", &running(epoch + 1)).await.unwrap();
            api.working("s1").await;
        }
    }
    drop(process);
    let mut shown = bob.texts();
    shown.sort();
    let mut expected: Vec<String> = (0..total).map(|number| format!("text {number}")).collect();
    expected.sort();
    assert_eq!(shown, expected, "each is shown once");
}

#[tokio::test(flavor = "multi_thread")]
async fn message_that_was_decrypted_and_never_stored_arrives_all_the_same() {
    let whatsapp = Simulator::start(Config::default()).await.unwrap();
    let (router, data) = (FakeRouter::start().await, TempDir::new().unwrap());
    let ann = whatsapp.add_phone(ANN, "Ann").unwrap();
    let bob = whatsapp.add_phone(BOB, "Bob").unwrap();
    let (process, api) = start(data.path(), &router, &whatsapp).await;
    api.declare("s1", &pairing(1, 1, None)).await.unwrap();
    let qr = api.qr("s1").await;
    ann.scan(&qr).await.unwrap();
    api.working("s1").await;
    bob.send(ANN, &OutgoingMessage::text("first")).unwrap();
    router.message("s1", "first").await;

    // The receipt is lost, and the journal with the text, before the router has the text.
    let rule = whatsapp.faults().add(FaultRule::always(FaultTarget::Receipt, Fault::Swallow));
    router.state().not_stored.push("s1".to_owned());
    let before = router.state().deliveries;
    bob.send(ANN, &OutgoingMessage::text("lost")).unwrap();
    router.until("a delivery", |state| state.deliveries > before).await;
    // The engine writes its Signal sessions 25 ms after a message.
    tokio::time::sleep(Duration::from_millis(500)).await;
    drop(process);
    for file in ["journal.db", "journal.db-wal", "journal.db-shm"] {
        let _ = std::fs::remove_file(data.path().join(file));
    }
    whatsapp.faults().remove(Some(rule));
    router.state().not_stored.clear();

    let (_process, api) = start(data.path(), &router, &whatsapp).await;
    api.declare("s1", &running(2)).await.unwrap();
    let told = |item: &JournalItem| matches!(item, JournalItem::Undecryptable(_)).then_some(());
    router.item("s1", "a message without content", told).await;
    router.message("s1", "lost").await;
}
