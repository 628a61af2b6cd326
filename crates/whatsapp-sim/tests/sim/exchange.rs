//! Messages between phones and engines: both ways, with receipts, retries and offline queues.

use crate::client::PATIENCE;
use crate::engine::Engine;
use crate::{ANN, BOB, jid, received, two_phones};
use std::collections::BTreeSet;
use std::time::Duration;
use whatsapp_sim::{
    ChatMessage, Fault, FaultRule, FaultTarget, OutgoingMessage, Phone, PhoneChanges, WireRecord,
};

fn kinds(message: &ChatMessage) -> Vec<&str> {
    message.receipts.iter().map(|receipt| receipt.kind.as_str()).collect()
}

#[tokio::test]
async fn text_reaches_phone_devices_and_own_devices_with_receipts() {
    let (simulator, ann, bob) = two_phones().await;
    let (one, two) = (Engine::link(&simulator, &ann).await, Engine::link(&simulator, &ann).await);
    let bobs = Engine::link(&simulator, &bob).await;
    one.send(&jid(BOB), "hello", "A1").await;
    assert_eq!(one.wait_ack("A1").await, None);

    let [text] = &bobs.wait_texts(1).await[..] else { panic!("one text") };
    assert_eq!((text.id.as_str(), text.text.as_str(), text.from_me), ("A1", "hello", false));
    assert_eq!((text.chat.as_str(), text.sender.as_str()), (jid(ANN).as_str(), &*one.device.jid));
    let [copy] = &two.wait_texts(1).await[..] else { panic!("one copy") };
    assert_eq!((copy.id.as_str(), copy.chat.as_str(), copy.from_me), ("A1", &*jid(BOB), true));
    let shown = bob.wait_message(PATIENCE, |m| m.id == "A1").await.unwrap();
    assert_eq!((shown.from.as_str(), shown.from_device), (ANN, one.device.id));
    assert_eq!((shown.text.as_deref(), shown.readable), (Some("hello"), true));

    one.wait_receipt("Delivered", "A1").await;
    two.wait_receipt("Delivered", "A1").await;
    bob.read("A1").unwrap();
    one.wait_receipt("Read", "A1").await;
    bobs.wait_receipt("ReadSelf", "A1").await;
    let own = ann.wait_message(PATIENCE, |m| m.id == "A1" && m.receipts.len() == 3).await.unwrap();
    assert!(own.from_me);
    let mut kinds = kinds(&own);
    kinds.sort_unstable();
    assert_eq!(kinds, ["delivered", "delivered", "read"]);
}

#[tokio::test]
async fn text_of_a_phone_reaches_devices_of_both_accounts() {
    let (simulator, ann, bob) = two_phones().await;
    let (anns, bobs) = (Engine::link(&simulator, &ann).await, Engine::link(&simulator, &bob).await);
    let sent = ann.send(BOB, &OutgoingMessage::text("from the phone")).unwrap();
    let [text] = &bobs.wait_texts(1).await[..] else { panic!("one text") };
    assert_eq!((&text.id, text.sender.as_str()), (&sent.id, &*jid(ANN)));
    let [copy] = &anns.wait_texts(1).await[..] else { panic!("one copy") };
    assert_eq!((&copy.id, copy.from_me, copy.chat.as_str()), (&sent.id, true, &*jid(BOB)));
    let own = |m: &ChatMessage| m.id == sent.id && m.receipts.len() == 2;
    assert_eq!(kinds(&ann.wait_message(PATIENCE, own).await.unwrap()), ["delivered"; 2]);
    assert_eq!(received(&bob), ["from the phone"]);
}

#[tokio::test]
async fn thousand_texts_each_way_arrive_once_in_order_with_receipts() {
    let (simulator, ann, bob) = two_phones().await;
    let (anns, bobs) = (Engine::link(&simulator, &ann).await, Engine::link(&simulator, &bob).await);
    let send = async |engine: &Engine, to: String, prefix: &str| {
        for n in 0..1000 {
            engine.send(&to, &format!("{prefix}{n}"), &format!("{prefix}ID{n}")).await;
        }
    };
    tokio::join!(send(&anns, jid(BOB), "A"), send(&bobs, jid(ANN), "B"));
    for (engine, phone, prefix) in [(&anns, &ann, "B"), (&bobs, &bob, "A")] {
        let expected: Vec<_> = (0..1000).map(|n| format!("{prefix}{n}")).collect();
        let texts = engine.wait_texts(1000).await;
        let texts: Vec<_> = texts.into_iter().map(|text| text.text).collect();
        assert_eq!(texts, expected);
        assert!(phone.wait_for(PATIENCE, |phone| received(phone).len() == 1000).await);
        assert_eq!(received(phone), expected);
    }
    for (engine, prefix) in [(&anns, "A"), (&bobs, "B")] {
        engine.wait_receipt("Delivered", &format!("{prefix}ID999")).await;
        let all = engine.receipts().into_iter().flat_map(|(_, ids)| ids);
        let delivered: BTreeSet<_> = all.filter(|id| id.starts_with(prefix)).collect();
        assert_eq!(delivered.len(), 1000);
    }
}

#[tokio::test]
async fn offline_texts_arrive_in_batches() {
    let (simulator, ann, bob) = two_phones().await;
    let mut engine = Engine::link(&simulator, &ann).await;
    engine.stop().await;
    assert!(ann.wait_for(PATIENCE, |phone| !phone.devices()[0].connected).await);
    for n in 0..300 {
        bob.send(ANN, &OutgoingMessage::text(&n.to_string())).unwrap();
    }
    simulator.clear_wire();
    engine.restart().await;
    let texts: Vec<_> = engine.wait_texts(300).await.into_iter().map(|text| text.text).collect();
    assert_eq!(texts, (0..300).map(|n| n.to_string()).collect::<Vec<_>>());
    // The receipts come at the end and confirm all, so that the next connection has no backlog.
    let wire = || simulator.wire(ANN, engine.device.id);
    let count = |name: &str| {
        let is_it = |s: &&WireRecord| s.child.as_deref() == Some(name) || s.kind == name;
        wire().stanzas.iter().filter(is_it).count()
    };
    let inactive = |s: &&WireRecord| s.kind == "receipt" && s.child.as_deref() == Some("list");
    let receipts = || wire().stanzas.into_iter().filter(|s| inactive(&s)).collect::<Vec<_>>();
    assert!(ann.wait_for(PATIENCE, |_| receipts().len() == 2).await);
    assert_eq!((count("offline_preview"), count("offline"), count("message")), (1, 1, 300));
    assert!(count("offline_batch") >= 1);
    assert!(receipts().iter().all(|s| s.stanza_type.as_deref() == Some("inactive")));
    engine.restart().await;
    assert_eq!(engine.texts(), []);
}

#[tokio::test]
async fn repeated_id_is_acknowledged_and_shown_once() {
    let (simulator, ann, bob) = two_phones().await;
    let engine = Engine::link(&simulator, &ann).await;
    for _ in 0..2 {
        engine.send(&jid(BOB), "once", "SAME").await;
        assert_eq!(engine.wait_ack("SAME").await, None);
    }
    // Another sender's message with the same id is another message.
    ann.send(BOB, &OutgoingMessage { id: Some("OTHER".into()), ..OutgoingMessage::text("x") })
        .unwrap();
    let shown = |phone: &Phone| phone.messages_with_id("SAME").len();
    assert!(bob.wait_for(PATIENCE, |phone| shown(phone) == 1).await);
    engine.send(&jid(BOB), "marker", "MARKER").await;
    bob.wait_message(PATIENCE, |m| m.id == "MARKER").await.unwrap();
    assert_eq!(shown(&bob), 1);
    let sent = simulator.wire(ANN, engine.device.id);
    let is_ack = |s: &&WireRecord| s.class.as_deref() == Some("message");
    let acks = sent.stanzas.iter().filter(is_ack).filter(|s| s.id.as_deref() == Some("SAME"));
    assert_eq!(acks.count(), 2);

    simulator.set_deduplication(false);
    engine.send(&jid(BOB), "once", "SAME").await;
    assert!(bob.wait_for(PATIENCE, |phone| shown(phone) == 2).await);
}

#[tokio::test]
async fn forgotten_sessions_end_in_a_readable_message() {
    let (simulator, ann, bob) = two_phones().await;
    let engine = Engine::link(&simulator, &ann).await;
    // An answer makes the engine use the session without its opening keys.
    engine.send(&jid(BOB), "one", "F1").await;
    bob.wait_message(PATIENCE, |m| m.id == "F1").await.unwrap();
    bob.send(ANN, &OutgoingMessage::text("two")).unwrap();
    engine.wait_texts(1).await;
    bob.forget_sessions();
    engine.send(&jid(BOB), "three", "F3").await;
    let healed = bob.wait_message(Duration::from_secs(2), |m| m.id == "F3" && m.readable).await;
    let healed = healed.expect("readable within two seconds");
    assert_eq!((healed.text.as_deref(), healed.retries > 0), (Some("three"), true));
    assert_eq!(bob.messages_with_id("F3").len(), 1);
    engine.wait_receipt("Delivered", "F3").await;

    // The other direction: a garbled message is encrypted again by the phone.
    let garbled = OutgoingMessage { garbled: true, ..OutgoingMessage::text("four") };
    let sent = bob.send(ANN, &garbled).unwrap();
    let texts = engine.wait_texts(2).await;
    assert_eq!((&texts[1].id, texts[1].text.as_str()), (&sent.id, "four"));
}

#[tokio::test]
async fn message_garbled_on_its_way_is_encrypted_again_for_phone_and_device() {
    let (simulator, ann, bob) = two_phones().await;
    let (anns, bobs) = (Engine::link(&simulator, &ann).await, Engine::link(&simulator, &bob).await);
    for id in ["G1", "G2"] {
        simulator.faults().next_message(Fault::Garble);
        anns.send(&jid(BOB), id, id).await;
        let healed = bob.wait_message(PATIENCE, |m| m.id == id && m.readable).await.unwrap();
        assert!(healed.retries > 0);
        assert_eq!(bob.messages_with_id(id).len(), 1);
        let texts = bobs.wait_texts(if id == "G1" { 1 } else { 2 }).await;
        assert_eq!(texts.last().unwrap().text, id);
    }
}

#[tokio::test]
async fn phone_gives_its_device_an_undecryptable_message() {
    let (simulator, ann, bob) = two_phones().await;
    let bobs = Engine::link(&simulator, &bob).await;
    bob.configure(&PhoneChanges { placeholder_resend: Some(true), ..PhoneChanges::default() })
        .unwrap();
    let garbled = OutgoingMessage { garbled: true, ..OutgoingMessage::text("from my phone") };
    let sent = ann.send(BOB, &garbled).unwrap();
    // The sender's second ciphertext and the phone both bring the text.
    let texts = bobs.wait_texts(2).await;
    assert!(texts.iter().all(|text| text.id == sent.id && text.text == "from my phone"));
}

#[tokio::test]
async fn faults_of_messages_apply() {
    let (simulator, ann, bob) = two_phones().await;
    let engine = Engine::link(&simulator, &ann).await;
    simulator.faults().next_message(Fault::Refuse(479));
    engine.send(&jid(BOB), "refused", "E1").await;
    assert_eq!(engine.wait_ack("E1").await.as_deref(), Some("479"));
    simulator.faults().next_message(Fault::Swallow);
    engine.send(&jid(BOB), "swallowed", "E2").await;
    simulator.faults().next_message(Fault::LoseAnswer);
    engine.send(&jid(BOB), "no answer", "E3").await;
    simulator.faults().next_message(Fault::Delay(Duration::from_millis(50)));
    engine.send(&jid(BOB), "late answer", "E4").await;
    assert_eq!(engine.wait_ack("E4").await, None);
    assert_eq!(received(&bob), ["no answer", "late answer"]);
    let answered = |id: &str| {
        let wire = simulator.wire(ANN, engine.device.id);
        let acks = wire.stanzas.iter().filter(|s| s.class.as_deref() == Some("message"));
        acks.into_iter().any(|ack| ack.id.as_deref() == Some(id))
    };
    assert!(!answered("E2") && !answered("E3") && answered("E4"));
    // Nobody has this number.
    engine.send(&jid("15559999999"), "nobody", "E5").await;
    assert_eq!(engine.wait_ack("E5").await.as_deref(), Some("404"));
}

#[tokio::test]
async fn silent_network_delivers_after_the_silence() {
    let (simulator, ann, bob) = two_phones().await;
    let engine = Engine::link(&simulator, &ann).await;
    // The engine asks for the keys of a new contact.
    engine.send(&jid(BOB), "first", "S0").await;
    assert_eq!(engine.wait_ack("S0").await, None);
    let rule = FaultRule::always(FaultTarget::Everything, Fault::Swallow);
    let id = simulator.faults().add(rule);
    engine.send(&jid(BOB), "lost", "S1").await;
    bob.send(ANN, &OutgoingMessage::text("held back")).unwrap();
    let sent = |id: &str| {
        let wire = simulator.wire(ANN, engine.device.id);
        wire.stanzas.iter().any(|s| s.kind == "message" && s.id.as_deref() == Some(id))
    };
    assert!(ann.wait_for(PATIENCE, |_| sent("S1")).await);
    assert!(engine.texts().is_empty() && received(&bob) == ["first"]);
    assert!(simulator.remove_fault(Some(id)));
    assert_eq!(engine.wait_texts(1).await[0].text, "held back");
    assert_eq!(received(&bob), ["first"], "what was swallowed stays lost");
}

#[tokio::test]
async fn offline_phone_receives_later() {
    let (simulator, ann, bob) = two_phones().await;
    let engine = Engine::link(&simulator, &ann).await;
    bob.set_online(false);
    engine.send(&jid(BOB), "later", "O1").await;
    assert_eq!(engine.wait_ack("O1").await, None);
    assert_eq!(received(&bob), [""; 0]);
    assert!(bob.send(ANN, &OutgoingMessage::text("x")).is_err());
    bob.set_online(true);
    engine.wait_receipt("Delivered", "O1").await;
    assert_eq!(received(&bob), ["later"]);
}
