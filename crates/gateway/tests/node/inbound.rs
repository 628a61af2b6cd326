//! Messages and receipts that arrive, from a phone to the router.

use gateway_protocol::{
    JournalItem, MessageFlag, MessageSource, MessageType, ReceiptLevel, UndecryptableReason,
};
use whatsapp_sim::{MessageContent, OutgoingMessage, Phone, PhoneChanges};

use crate::{
    fixture::{NodeFixture, running, stopped},
    outbound::text_to,
    wait::{PATIENCE, until},
};

const ANN: &str = "15550000001";
const BOB: &str = "15550000002";

/// A node with Ann's session `s1` and the phones of Ann and Bob.
async fn linked() -> (NodeFixture, Phone, Phone) {
    let fixture = NodeFixture::new().await;
    let ann = fixture.whatsapp.add_phone(ANN, "Ann").unwrap();
    let bob = fixture.whatsapp.add_phone(BOB, "Bob").unwrap();
    fixture.linked("s1", &ann).await;
    (fixture, ann, bob)
}

fn write(phone: &Phone, to: &str, content: MessageContent) -> String {
    phone.send(to, &OutgoingMessage::new(content)).unwrap().id
}

fn write_text(phone: &Phone, to: &str, text: &str) -> String {
    phone.send(to, &OutgoingMessage::text(text)).unwrap().id
}

fn jid(number: &str) -> String {
    format!("{number}@s.whatsapp.net")
}

#[tokio::test(flavor = "multi_thread")]
async fn text_of_a_contact_and_text_typed_on_the_phone_are_delivered_with_all_names() {
    let (fixture, ann, bob) = linked().await;
    let id = write_text(&bob, ANN, "hello");
    let got = fixture.router.message("s1", "hello").await;
    assert_eq!((got.wa_id, got.source), (id, MessageSource::Contact));
    let both = [jid(BOB), format!("{}@lid", bob.lid())];
    let names = |one: Option<String>, other: Option<String>| {
        let mut names = [one.unwrap_or_default(), other.unwrap_or_default()];
        names.sort_by_key(|name| name.ends_with("@lid"));
        names
    };
    assert_eq!(names(Some(got.chat), got.chat_alt), both);
    assert_eq!(names(got.sender, got.sender_alt), both);
    assert_eq!(got.sender_name.as_deref(), Some("Bob"));
    assert_eq!((got.message_type, got.flags, got.content), (MessageType::Text, vec![], None));

    let id = write_text(&ann, BOB, "from the phone");
    let own = fixture.router.message("s1", "from the phone").await;
    assert_eq!((own.wa_id, own.source, own.sender), (id, MessageSource::Phone, None));
    assert_eq!(names(Some(own.chat), own.chat_alt), both);
    fixture.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_that_waited_for_the_session_arrive_in_order_and_once() {
    let (fixture, ann, bob) = linked().await;
    fixture.api.declare("s1", &stopped(2)).await.unwrap();
    assert!(ann.wait_for(PATIENCE, |phone| !phone.devices()[0].connected).await);
    let texts: Vec<String> = (0..300).map(|number| format!("text {number}")).collect();
    for text in &texts {
        write_text(&bob, ANN, text);
    }
    write_text(&ann, BOB, "typed while the session was stopped");
    fixture.api.declare("s1", &running(3)).await.unwrap();
    fixture.router.message("s1", "text 299").await;
    let own = fixture.router.message("s1", "typed while the session was stopped").await;
    assert_eq!(own.source, MessageSource::Phone);
    let messages = fixture.router.messages_of("s1");
    let received = messages.iter().filter(|message| message.sender.is_some());
    let bodies: Vec<_> = received.clone().filter_map(|message| message.body.clone()).collect();
    assert_eq!(bodies, texts);
    assert!(received.clone().all(|message| message.flags == [MessageFlag::Offline]));
    fixture.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn router_that_is_away_costs_no_message() {
    let (fixture, _, bob) = linked().await;
    write_text(&bob, ANN, "before");
    fixture.router.message("s1", "before").await;
    fixture.router.state().away = true;
    let texts: Vec<String> = (0..50).map(|number| format!("text {number}")).collect();
    for text in &texts {
        write_text(&bob, ANN, text);
    }
    // Each is acknowledged to WhatsApp: on disk here, and not stored there.
    let delivered = |phone: &Phone| {
        let texts = phone.messages(None);
        texts.iter().filter(|text| text.receipts.iter().any(|r| r.device > 0)).count() == 51
    };
    assert!(bob.wait_for(PATIENCE, delivered).await);
    let journal = fixture.api.health().await.journal.unwrap();
    assert!(journal.items >= 50 && journal.oldest_ms.is_some(), "{journal:?}");
    fixture.router.state().away = false;
    fixture.router.message("s1", "text 49").await;
    let bodies = fixture.router.messages_of("s1").into_iter().filter_map(|message| message.body);
    assert_eq!(bodies.collect::<Vec<_>>()[1..], texts);
    until("the journal is empty", || async {
        fixture.api.health().await.journal.filter(|journal| journal.items == 0)
    })
    .await;
    fixture.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn delivery_whose_answer_is_lost_is_repeated_under_the_same_numbers() {
    let (fixture, _, bob) = linked().await;
    fixture.router.state().lost_answers = 3;
    let texts: Vec<String> = (0..20).map(|number| format!("text {number}")).collect();
    for text in &texts {
        write_text(&bob, ANN, text);
    }
    fixture.router.message("s1", "text 19").await;
    until("the journal is empty", || async {
        let health = fixture.api.health().await;
        let is_over = fixture.router.state().lost_answers == 0;
        health.journal.filter(|journal| is_over && journal.items == 0)
    })
    .await;
    let bodies = fixture.router.messages_of("s1").into_iter().filter_map(|message| message.body);
    assert_eq!(bodies.collect::<Vec<_>>(), texts);
    fixture.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn refused_session_does_not_delay_another_and_a_deleted_one_is_removed() {
    let (fixture, _, bob) = linked().await;
    let cy = fixture.whatsapp.add_phone("15550000003", "Cy").unwrap();
    fixture.linked("s2", &cy).await;
    fixture.router.state().not_stored = vec!["s1".to_owned()];
    write_text(&bob, ANN, "to Ann");
    write_text(&bob, "15550000003", "to Cy");
    fixture.router.message("s2", "to Cy").await;
    let refused =
        |health: gateway_protocol::Health| health.journal.filter(|journal| journal.refused > 0);
    until("a refusal", || async { refused(fixture.api.health().await) }).await;
    assert_eq!(fixture.router.messages_of("s1"), []);
    fixture.router.state().not_stored.clear();
    fixture.router.message("s1", "to Ann").await;

    fixture.router.state().gone = vec!["s1".to_owned()];
    write_text(&bob, ANN, "too late");
    until("the journal is empty", || async {
        let health = fixture.api.health().await;
        health.journal.filter(|journal| journal.items == 0)
    })
    .await;
    fixture.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn kinds_of_later_versions_are_delivered_with_their_content() {
    let (fixture, _, bob) = linked().await;
    let caption = Some("a caption".to_owned());
    write(&bob, ANN, MessageContent::Image { caption, mimetype: None });
    let image = fixture.router.message("s1", "a caption").await;
    assert_eq!(image.message_type, MessageType::Image);
    let media = image.media.unwrap();
    assert_eq!(media.mime_type.as_deref(), Some("image/jpeg"));
    assert!(image.content.is_some());

    let file_name = Some("invoice.pdf".to_owned());
    let caption = Some("the invoice".to_owned());
    write(&bob, ANN, MessageContent::Document { caption, file_name, mimetype: None });
    let document = fixture.router.message("s1", "the invoice").await;
    assert_eq!(document.message_type, MessageType::Document);
    assert_eq!(document.media.unwrap().file_name.as_deref(), Some("invoice.pdf"));

    let target = write_text(&bob, ANN, "first");
    let edited = MessageContent::Edit { target: target.clone(), text: "second".to_owned() };
    write(&bob, ANN, edited);
    let edit = fixture.router.message("s1", "second").await;
    assert_eq!(edit.message_type, MessageType::Edit);
    assert_eq!(edit.target.unwrap().id, target);
    let emoji = "\u{1f44d}".to_owned();
    write(&bob, ANN, MessageContent::Reaction { target: target.clone(), emoji: emoji.clone() });
    let reaction = fixture.router.message("s1", &emoji).await;
    assert_eq!(reaction.message_type, MessageType::Reaction);
    assert_eq!(reaction.target.unwrap().id, target);

    write(&bob, ANN, MessageContent::Revoke { target: target.clone() });
    let revoked = fixture.router.item("s1", "revoke", |item| match item {
        JournalItem::Message(m) if m.message_type == MessageType::Revoke => m.target.clone(),
        _ => None,
    });
    assert_eq!(revoked.await.id, target);
    let options = ["a", "b"].map(str::to_owned).into();
    write(&bob, ANN, MessageContent::Poll { name: "which?".to_owned(), options });
    assert_eq!(fixture.router.message("s1", "which?").await.message_type, MessageType::Poll);
    write(&bob, ANN, MessageContent::ViewOnce { caption: Some("once".to_owned()) });
    let once = fixture.router.message("s1", "once").await;
    assert!(once.flags.contains(&MessageFlag::ViewOnce), "{once:?}");
    write(&bob, ANN, MessageContent::Timer { seconds: 86_400 });
    let timer = fixture.router.item("s1", "timer", |item| match item {
        JournalItem::Chat(chat) => Some(chat.ephemeral_seconds),
        _ => None,
    });
    assert_eq!(timer.await, 86_400);
    fixture.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn hostile_content_is_counted_and_does_not_end_the_session() {
    let (fixture, _, bob) = linked().await;
    let malformed = write(&bob, ANN, MessageContent::Bytes(vec![0xff; 64]));
    let undecryptable = fixture.router.item("s1", "undecryptable", |item| match item {
        JournalItem::Undecryptable(item) => Some((item.wa_id.clone(), item.reason)),
        _ => None,
    });
    assert_eq!(undecryptable.await, (malformed, UndecryptableReason::Decryption));
    // A field that no version knows; a deep nesting of wrappers; 64 kB of combining characters.
    let unknown = write(&bob, ANN, MessageContent::Bytes(vec![0xfa, 0x7f, 1, b'x']));
    let mut nested = vec![10, 2, b'h', b'i'];
    for _ in 0..60 {
        // ephemeralMessage (40) { message (1) { … } }
        let inner = length_delimited(&[10], &nested);
        nested = length_delimited(&[0xc2, 0x02], &inner);
    }
    let nested = write(&bob, ANN, MessageContent::Bytes(nested));
    let combining = "\u{301}".repeat(32_768);
    write_text(&bob, ANN, &combining);
    assert_eq!(fixture.router.message("s1", &combining).await.message_type, MessageType::Text);
    let ids: Vec<String> = until("every message", || async {
        let ids: Vec<String> = fixture.router.items_of("s1").iter().filter_map(id).collect();
        let all = [&unknown, &nested].iter().all(|id| ids.contains(id));
        all.then_some(ids)
    })
    .await;
    assert_eq!(ids.len(), 4, "{ids:?}");
    write_text(&bob, ANN, "still here");
    fixture.router.message("s1", "still here").await;
    fixture.end().await;
}

fn id(item: &JournalItem) -> Option<String> {
    match item {
        JournalItem::Message(message) => Some(message.wa_id.clone()),
        JournalItem::Undecryptable(item) => Some(item.wa_id.clone()),
        _ => None,
    }
}

fn length_delimited(tag: &[u8], content: &[u8]) -> Vec<u8> {
    let mut field = tag.to_vec();
    let mut length = content.len();
    while length >= 0x80 {
        field.push(u8::try_from(length & 0x7f).unwrap() | 0x80);
        length >>= 7;
    }
    field.push(u8::try_from(length).unwrap());
    field.extend(content);
    field
}

#[tokio::test(flavor = "multi_thread")]
async fn unreadable_message_is_told_and_its_repetition_is_the_message() {
    let (fixture, _, bob) = linked().await;
    // The engine asks for no repetition of a first message whose envelope it cannot parse; after a
    // message from here, the phone's messages are no first ones.
    fixture.api.send("s1", &text_to(&[("out_1", 1, BOB)], 1)).await.unwrap();
    assert!(bob.wait_for(PATIENCE, |phone| phone.texts() == ["out_1"]).await);
    let garbled = OutgoingMessage { garbled: true, ..OutgoingMessage::text("at last") };
    let id = bob.send(ANN, &garbled).unwrap().id;
    let message = fixture.router.message("s1", "at last").await;
    assert_eq!(message.wa_id, id);
    let undecryptable = fixture.router.item("s1", "undecryptable", |item| match item {
        JournalItem::Undecryptable(item) => Some(item.wa_id.clone()),
        _ => None,
    });
    assert_eq!(undecryptable.await, id);
    fixture.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_senders_with_one_id_have_two_messages() {
    let (fixture, _, bob) = linked().await;
    let cy = fixture.whatsapp.add_phone("15550000003", "Cy").unwrap();
    let with_id =
        |text| OutgoingMessage { id: Some("3EB0AA".into()), ..OutgoingMessage::text(text) };
    bob.send(ANN, &with_id("from Bob")).unwrap();
    fixture.router.message("s1", "from Bob").await;
    cy.send(ANN, &with_id("from Cy")).unwrap();
    let other = fixture.router.message("s1", "from Cy").await;
    assert_eq!(other.wa_id, "3EB0AA");
    fixture.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn receipts_of_the_recipient_are_delivered() {
    let (fixture, ann, bob) = linked().await;
    fixture.api.send("s1", &text_to(&[("out_1", 1, BOB)], 1)).await.unwrap();
    let level = |wanted: ReceiptLevel| {
        move |item: &JournalItem| match item {
            JournalItem::Receipt(receipt) if receipt.level == wanted => Some(receipt.clone()),
            _ => None,
        }
    };
    let delivered = fixture.router.item("s1", "delivered", level(ReceiptLevel::Delivered)).await;
    assert_eq!(delivered.ids, ["WAout_1"]);
    bob.read("WAout_1").unwrap();
    let read = fixture.router.item("s1", "read", level(ReceiptLevel::Read)).await;
    assert_eq!((read.ids, read.participant), (vec!["WAout_1".to_owned()], None));
    let id = write_text(&bob, ANN, "a question");
    fixture.router.message("s1", "a question").await;
    ann.read(&id).unwrap();
    let own = fixture.router.item("s1", "read by the owner", level(ReceiptLevel::ReadSelf)).await;
    assert_eq!(own.ids, [id]);
    fixture.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn phone_still_notifies_and_senders_see_that_messages_arrive() {
    let (fixture, ann, bob) = linked().await;
    let device = ann.devices()[0].id;
    let presence = |wanted: &'static str| {
        let wire = fixture.whatsapp.wire(ANN, device);
        wire.stanzas
            .iter()
            .rev()
            .find(|s| s.kind == "presence")
            .is_some_and(|stanza| stanza.stanza_type.as_deref() == Some(wanted))
    };
    until("offline", || async { presence("unavailable").then_some(()) }).await;
    let id = write_text(&bob, ANN, "ring");
    let seen = ann.wait_message(PATIENCE, |message| message.id == id).await.unwrap();
    assert!(seen.notified, "the phone rings");
    let by_device = |phone: &Phone| {
        let mine = phone.messages_with_id(&id);
        mine.iter().any(|m| m.receipts.iter().any(|r| r.kind == "delivered" && r.device == device))
    };
    assert!(bob.wait_for(PATIENCE, by_device).await);
    fixture.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn names_that_belong_together_are_delivered_when_the_engine_learns_them() {
    let fixture = NodeFixture::new().await;
    let ann = fixture.whatsapp.add_phone(ANN, "Ann").unwrap();
    let bob = fixture.whatsapp.add_phone(BOB, "Bob").unwrap();
    ann.configure(&PhoneChanges { lid_migrated: Some(true), ..PhoneChanges::default() }).unwrap();
    fixture.linked("s1", &ann).await;
    write_text(&bob, ANN, "hello");
    let (lid, phone) = (bob.lid(), BOB.to_owned());
    fixture
        .router
        .item("s1", "names of Bob", |item| match item {
            JournalItem::Contact(names) => names.contacts.iter().find_map(|names| {
                let both = (names.lid.as_ref() == Some(&lid), names.phone.as_ref() == Some(&phone));
                (both == (true, true)).then_some(())
            }),
            _ => None,
        })
        .await;
    fixture.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn forgotten_session_leaves_nothing_in_the_journal() {
    let (fixture, ann, bob) = linked().await;
    fixture.router.state().away = true;
    write_text(&bob, ANN, "a canary of 424242");
    let delivered = |phone: &Phone| {
        phone.messages(None).iter().any(|text| text.receipts.iter().any(|r| r.device > 0))
    };
    assert!(bob.wait_for(PATIENCE, delivered).await);
    ann.unlink(ann.devices()[0].id).unwrap();
    fixture.api.until("s1", "not linked", |s| s.identity.is_none()).await;
    fixture.api.forget("s1", 2).await.unwrap();
    for file in std::fs::read_dir(fixture.data.path()).unwrap() {
        let file = file.unwrap().path();
        let bytes = std::fs::read(&file).unwrap();
        let canary = b"a canary of 424242";
        assert!(!bytes.windows(canary.len()).any(|window| window == canary), "{file:?}");
    }
    fixture.end().await;
}
