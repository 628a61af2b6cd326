//! Accounts: their two addresses, their other spellings, tokens, presence, settings and history.

use crate::client::PATIENCE;
use crate::engine::Engine;
use crate::{ANN, BOB, jid, two_phones, until};
use std::collections::BTreeSet;
use wacore::types::events::Event;
use wacore_binary::Jid;
use whatsapp_sim::{
    Addressing, ChatMessage, Fault, FaultRule, FaultTarget, OutgoingMessage, Phone, PhoneChanges,
    Typing,
};

fn lid(phone: &Phone) -> String {
    format!("{}@lid", phone.lid())
}

fn migrated() -> PhoneChanges {
    PhoneChanges { lid_migrated: Some(true), ..PhoneChanges::default() }
}

#[tokio::test]
async fn migrated_account_is_addressed_by_lid() {
    let (simulator, ann, bob) = two_phones().await;
    ann.configure(&migrated()).unwrap();
    bob.configure(&migrated()).unwrap();
    let engine = Engine::link(&simulator, &ann).await;
    // The property is fetched after the connection.
    let has_props = |phone: &Phone| {
        let wire = simulator.wire(phone.number(), engine.device.id);
        wire.stanzas.iter().any(|stanza| stanza.class.as_deref() == Some("abt"))
    };
    assert!(ann.wait_for(PATIENCE, has_props).await);
    until(async || engine.client.is_lid_migrated().await).await;
    engine.send(&jid(BOB), "to a number", "L1").await;
    assert_eq!(engine.wait_ack("L1").await, None);
    let shown = bob.wait_message(PATIENCE, |m| m.id == "L1").await.unwrap();
    assert_eq!((shown.addressing, shown.chat.as_str()), (Addressing::Lid, ANN));
    bob.send(ANN, &OutgoingMessage::text("by LID")).unwrap();
    let text = engine.wait_texts(1).await.remove(0);
    assert_eq!((text.chat.as_str(), text.text.as_str()), (&*lid(&bob), "by LID"));
    engine.wait_receipt("Delivered", "L1").await;
}

#[tokio::test]
async fn linked_account_migrates_at_its_next_connection() {
    let (simulator, ann, bob) = two_phones().await;
    let mut engine = Engine::link(&simulator, &ann).await;
    engine.send(&jid(BOB), "by number", "M1").await;
    let shown = bob.wait_message(PATIENCE, |m| m.id == "M1").await.unwrap();
    assert_eq!(shown.addressing, Addressing::Pn);
    ann.configure(&migrated()).unwrap();
    engine.restart().await;
    until(async || engine.client.is_lid_migrated().await).await;
    engine.send(&jid(BOB), "by LID", "M2").await;
    assert_eq!(engine.wait_ack("M2").await, None);
    let shown = bob.wait_message(PATIENCE, |m| m.id == "M2").await.unwrap();
    assert_eq!((shown.addressing, shown.readable), (Addressing::Lid, true));
    assert_eq!(shown.chat, ANN);
    // Both names are one account: what was sent by number is a repetition by LID.
    engine.send(&lid(&bob), "again", "M1").await;
    assert_eq!(engine.wait_ack("M1").await, None);
    engine.send(&lid(&bob), "last", "M3").await;
    bob.wait_message(PATIENCE, |m| m.id == "M3").await.unwrap();
    assert_eq!(bob.messages_with_id("M1").len(), 1);
}

#[tokio::test]
async fn number_behind_a_lid_is_learnt_when_it_is_shown() {
    let (simulator, ann, bob) = two_phones().await;
    let hidden = PhoneChanges { number_hidden: Some(true), ..migrated() };
    bob.configure(&hidden).unwrap();
    let engine = Engine::link(&simulator, &ann).await;
    let bob_lid: Jid = lid(&bob).parse().unwrap();
    bob.send(ANN, &OutgoingMessage::text("who am I")).unwrap();
    assert_eq!(engine.wait_texts(1).await[0].chat, lid(&bob));
    assert!(engine.client.get_lid_pn_entry(&bob_lid).await.unwrap().is_none());
    bob.configure(&PhoneChanges { number_hidden: Some(false), ..PhoneChanges::default() }).unwrap();
    bob.send(ANN, &OutgoingMessage::text("it is me")).unwrap();
    engine.wait_texts(2).await;
    let entry = engine.client.get_lid_pn_entry(&bob_lid).await.unwrap().unwrap();
    assert_eq!(&*entry.phone_number, BOB);
}

#[tokio::test]
async fn message_by_lid_from_an_unmigrated_account_is_refused() {
    let (simulator, ann, bob) = two_phones().await;
    bob.configure(&PhoneChanges { number_hidden: Some(true), ..migrated() }).unwrap();
    let engine = Engine::link(&simulator, &ann).await;
    // The engine cannot know the number, so that it addresses by LID.
    engine.send(&lid(&bob), "too early", "L2").await;
    assert_eq!(engine.wait_ack("L2").await.as_deref(), Some("400"));
}

#[tokio::test]
async fn directory_answers_the_canonical_number() {
    let (simulator, ann, bob) = two_phones().await;
    let aliases = Some(BTreeSet::from(["155500000021".to_owned()]));
    bob.configure(&PhoneChanges { aliases: aliases.clone(), ..PhoneChanges::default() }).unwrap();
    let taken = PhoneChanges { aliases, ..PhoneChanges::default() };
    assert!(ann.configure(&taken).is_err());
    assert!(simulator.add_phone("155500000021", "Other").is_err());
    let engine = Engine::link(&simulator, &ann).await;
    let asked = ["155500000021", BOB, "15559999999"].map(Jid::pn);
    let answers = engine.client.contacts().is_on_whatsapp(&asked).await.unwrap();
    let answers: Vec<_> = answers.iter().map(|a| (a.jid.to_string(), a.is_registered)).collect();
    let expected = [(jid(BOB), true), (jid(BOB), true), (jid("15559999999"), false)];
    assert_eq!(answers, expected);
    engine.send(&jid("155500000021"), "to an alias", "D1").await;
    assert_eq!(engine.wait_ack("D1").await.as_deref(), Some("404"));
    // A person may choose any spelling.
    ann.send("+155500000021", &OutgoingMessage::text("by hand")).unwrap();
    assert_eq!(bob.messages(None).last().unwrap().text.as_deref(), Some("by hand"));
}

#[tokio::test]
async fn first_message_needs_a_token_and_an_answer_brings_one() {
    let (simulator, ann, bob) = two_phones().await;
    let engine = Engine::link(&simulator, &ann).await;
    let rule = FaultRule::always(FaultTarget::Message, Fault::Refuse(463));
    let to = Some(BOB.to_owned());
    simulator.faults().add(FaultRule { to, unless_token: true, ..rule });
    engine.send(&jid(BOB), "unasked", "T1").await;
    assert_eq!(engine.wait_ack("T1").await.as_deref(), Some("463"));
    bob.trust(ANN).unwrap();
    let acknowledged = |_: &Phone| {
        let wire = simulator.wire(ANN, engine.device.id);
        let mut acks = wire.stanzas.iter().filter(|s| s.class.as_deref() == Some("notification"));
        acks.any(|ack| ack.stanza_type.as_deref() == Some("privacy_token"))
    };
    assert!(ann.wait_for(PATIENCE, acknowledged).await);
    engine.send(&jid(BOB), "trusted", "T2").await;
    assert_eq!(engine.wait_ack("T2").await, None);
    assert_eq!(bob.wait_message(PATIENCE, |m| m.id == "T2").await.unwrap().chat, ANN);
}

#[tokio::test]
async fn salt_is_published_and_makes_tokens_for_first_messages() {
    let (simulator, ann, bob) = two_phones().await;
    let engine = Engine::link(&simulator, &ann).await;
    let rule = FaultRule::always(FaultTarget::Message, Fault::Refuse(463));
    simulator.faults().add(FaultRule { unless_token: true, ..rule });
    ann.configure(&PhoneChanges { nct_salt: Some(true), ..PhoneChanges::default() }).unwrap();
    let device = || engine.client.persistence_manager().get_device_snapshot();
    until(async || device().nct_salt.is_some()).await;
    engine.send(&jid(BOB), "with a derived token", "N1").await;
    assert_eq!(engine.wait_ack("N1").await, None);
    assert!(bob.wait_message(PATIENCE, |m| m.id == "N1").await.is_some());
}

#[tokio::test]
async fn history_brings_names_tokens_and_mappings() {
    let (simulator, ann, bob) = two_phones().await;
    // The engine 0.7.0 stores a token under the name of its chat before it learns the mappings, and
    // later asks for the token by LID: only chats that are named by LID bring a usable token.
    ann.configure(&migrated()).unwrap();
    ann.send(BOB, &OutgoingMessage::text("long ago")).unwrap();
    bob.trust(ANN).unwrap();
    let engine = Engine::link_with_history(&simulator, &ann).await;
    engine
        .wait("history", |events| {
            events.iter().find_map(|event| matches!(&**event, Event::HistorySync(_)).then_some(()))
        })
        .await;
    let entry = engine.client.get_lid_pn_entry(&Jid::pn(BOB)).await.unwrap().unwrap();
    assert_eq!(&*entry.lid, bob.lid().as_str());
    let backend = engine.client.persistence_manager().backend();
    until(async || backend.get_tc_token(&bob.lid()).await.unwrap().is_some()).await;
}

#[tokio::test]
async fn presence_and_typing_are_shown_and_passed_on() {
    let (simulator, ann, bob) = two_phones().await;
    let engine = Engine::link(&simulator, &ann).await;
    let seen = |phone: &Phone, kind: &str| -> Vec<String> {
        let all = phone.observations().into_iter().filter(|o| o.kind == kind && o.from == ANN);
        all.map(|observation| observation.state).collect()
    };
    // The engine announces itself when it connects.
    assert!(ann.wait_for(PATIENCE, |phone| seen(phone, "presence") == ["available"]).await);
    // Bob's phone shows the presence of the accounts that it has a chat with, from now on.
    ann.send(BOB, &OutgoingMessage::text("a chat")).unwrap();
    let to_bob: Jid = jid(BOB).parse().unwrap();
    engine.client.chatstate().send_composing(&to_bob).await.unwrap();
    engine.client.chatstate().send_paused(&to_bob).await.unwrap();
    engine.client.presence().set_unavailable().await.unwrap();
    assert!(bob.wait_for(PATIENCE, |phone| seen(phone, "presence") == ["unavailable"]).await);
    assert_eq!(seen(&bob, "typing"), ["composing", "paused"]);
    let notified = |text: &str| {
        bob.send(ANN, &OutgoingMessage::text(text)).unwrap();
        let is_it = |message: &ChatMessage| message.text.as_deref() == Some(text);
        ann.messages(None).into_iter().find(is_it).unwrap().notified
    };
    assert!(notified("nobody is there"));
    engine.client.presence().set_available().await.unwrap();
    assert!(bob.wait_for(PATIENCE, |phone| seen(phone, "presence").len() == 2).await);
    assert!(!notified("somebody is there"));

    engine.client.presence().subscribe(to_bob).await.unwrap();
    bob.type_to(ANN, Typing::Recording).unwrap();
    engine
        .wait("typing", |events| {
            events.iter().find_map(|event| matches!(&**event, Event::ChatPresence(_)).then_some(()))
        })
        .await;
    let subscribed = |_: &Phone| {
        let wire = simulator.wire(ANN, engine.device.id);
        wire.stanzas.iter().any(|s| s.stanza_type.as_deref() == Some("subscribe"))
    };
    assert!(ann.wait_for(PATIENCE, subscribed).await);
    bob.announce(false);
    engine
        .wait("presence", |events| {
            events.iter().find_map(|event| matches!(&**event, Event::Presence(_)).then_some(()))
        })
        .await;
}
