//! Acknowledgements that do not come: the status stays true, and a repetition has the same id.

use std::time::Duration;

use acceptance::{
    deployment::{Deployment, fresh, fresh_with},
    messenger::{Messenger, PROMPT, must_show, text},
};
use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use testbed::{options::DatabaseKind, phones::Phone, sessions::PATIENCE, wait};

use crate::each_database;

each_database!(shared: message_that_cannot_be_encrypted_is_never_sent);

mod silence_of_whatsapp_is_reported {
    use super::{DatabaseKind, fresh_with, short_deadlines, silence_of_whatsapp};

    #[test]
    fn sqlite() -> anyhow::Result<()> {
        let name = "contract-silence";
        fresh_with(DatabaseKind::Sqlite, name, &short_deadlines(), silence_of_whatsapp)
    }

    #[test]
    fn postgres() -> anyhow::Result<()> {
        let name = "contract-silence";
        fresh_with(DatabaseKind::Postgres, name, &short_deadlines(), silence_of_whatsapp)
    }
}

mod doubles_appear_only_where_an_acknowledgement_was_lost {
    use super::{DatabaseKind, fresh, without_deduplication};

    #[test]
    fn sqlite() -> anyhow::Result<()> {
        fresh(DatabaseKind::Sqlite, "contract-doubles", without_deduplication)
    }

    #[test]
    fn postgres() -> anyhow::Result<()> {
        fresh(DatabaseKind::Postgres, "contract-doubles", without_deduplication)
    }
}

/// The time after which the session gives a message up in these tests.
const GIVEN_UP: Duration = Duration::from_secs(5);

fn short_deadlines() -> [(&'static str, String); 2] {
    [
        ("BERTH_ACKNOWLEDGEMENT_DEADLINE", format!("{}s", GIVEN_UP.as_secs())),
        ("BERTH_SEND_DEADLINE", "1s".to_owned()),
    ]
}

/// Returns the fault of the messages of an account until it is removed.
fn of_messages(action: &str, from: &Phone, to: &Phone) -> Value {
    json!({ "on": "message", "action": action, "from": from.number, "to": to.number })
}

/// Row 18: WhatsApp answers pings alone. Messages are shown as waiting for an acknowledgement, and
/// then as uncertain; none is `sent`.
fn silence_of_whatsapp(deployment: &mut Deployment) -> Result<()> {
    let messenger = Messenger::start(deployment, "Unheard")?;
    let phones = deployment.stack.phones.clone();
    let (contact, late) = (phones.new_phone("Guest")?, phones.new_phone("Late")?);
    for to in [&contact, &late] {
        // Requests wait for a second here, so that an answer may be 202.
        messenger.queue_text(to, "before")?;
    }
    messenger.until_sent(PROMPT)?;
    let number = messenger.phone.number.as_str();
    let silence = json!({ "on": "everything", "action": "swallow", "times": null, "from": number });
    let silence = phones.add_fault(&silence)?;
    let waiting = messenger.send("", "key", &text(&contact.number, "unheard"))?.expect(202)?.json();
    ensure!(waiting["status"] == "queued", "{waiting}");
    ensure!(waiting["error"]["code"] == "waiting_for_ack", "{waiting}");
    let id = waiting["waMessageId"].as_str().context("an id")?.to_owned();
    let message = messenger.get(&format!("/messages/{id}"))?;
    ensure!(message["status"] == "queued" && message["ackLevel"] == 0, "{message}");
    ensure!(message["error"]["code"] == "waiting_for_ack", "{message}");
    let failed = messenger.until_status(&id, &["failed"])?;
    ensure!(failed["error"]["code"] == "uncertain", "{failed}");
    let again = messenger.send("", "key", &text(&contact.number, "unheard"))?;
    ensure!(again.header("idempotency-replayed") == Some("true"), "not a repetition");
    ensure!(again.status == 422 || again.json()["waMessageId"] == id, "{}", again.json());
    phones.remove_fault(silence)?;
    // A message that arrived although its acknowledgement is missing is settled by a late receipt.
    late.set_online(false)?;
    phones.add_fault(&of_messages("lose-ack", &messenger.phone, &late))?;
    let arrived = messenger.queue_text(&late, "arrives late")?;
    let failed = messenger.until_status(&arrived, &["failed"])?;
    ensure!(failed["error"]["code"] == "uncertain", "{failed}");
    late.set_online(true)?;
    messenger.until_status(&arrived, &["delivered"])?;
    let after = messenger.queue_text(&contact, "afterwards")?;
    contact.wait_message("it arrives", PROMPT, |it| it.id == after)?;
    messenger.until_status(&after, &["sent", "delivered"])?;
    ensure!(contact.messages_with_id(&id)?.is_empty(), "an uncertain message was sent later");
    let events = messenger.events("message.status")?;
    let statuses = |id: &str| -> Vec<_> {
        let of_it = |it: &&Value| it["payload"]["waMessageId"] == id;
        events.iter().filter(of_it).map(|it| it["payload"]["status"].clone()).collect()
    };
    ensure!(statuses(&id) == [json!("failed")], "{:?}", statuses(&id));
    let settled = statuses(&arrived);
    ensure!(settled.first() == Some(&json!("failed")), "{settled:?}");
    ensure!(settled.last() == Some(&json!("delivered")), "{settled:?}");
    Ok(())
}

/// Row 18: where WhatsApp does not deduplicate, only a message whose acknowledgement was lost is
/// shown twice. One that was lost itself is sent again and shown once.
fn without_deduplication(deployment: &mut Deployment) -> Result<()> {
    let messenger = Messenger::start(deployment, "Repeater")?;
    messenger.send_without_limits()?;
    let phones = deployment.stack.phones.clone();
    phones.set_deduplication(false)?;
    let contacts: Vec<_> = ["Plain", "Swallowed", "Unacknowledged", "Received"]
        .into_iter()
        .map(|name| phones.new_phone(name))
        .collect::<Result<_>>()?;
    let [plain, swallowed, unacknowledged, received] = &contacts[..] else { unreachable!() };
    for contact in &contacts {
        messenger.send_text(contact, "before")?;
        contact.wait_message("it arrives", PROMPT, |it| it.readable)?;
    }
    phones.add_fault(&of_messages("swallow", &messenger.phone, swallowed))?;
    phones.add_fault(&of_messages("lose-ack", &messenger.phone, unacknowledged))?;
    phones.add_fault(&of_messages("lose-ack", &messenger.phone, received))?;
    // Without a receipt, nothing tells that the message has arrived.
    unacknowledged.set_online(false)?;
    let ids: Vec<_> = contacts
        .iter()
        .map(|contact| messenger.queue_text(contact, "once?"))
        .collect::<Result<_>>()?;
    messenger.until_status(&ids[0], &["sent", "delivered"])?;
    messenger.until_status(&ids[3], &["sent", "delivered"])?;
    for id in &ids[1..3] {
        let message = messenger.get(&format!("/messages/{id}"))?;
        ensure!(message["status"] == "queued", "not acknowledged, and yet {message}");
        ensure!(message["error"]["code"] == "waiting_for_ack", "{message}");
    }
    messenger.until_sent(PATIENCE)?;
    unacknowledged.set_online(true)?;
    let device = messenger.device()?;
    let number = messenger.phone.number.as_str();
    let stanzas = phones.stanzas(number, device)?;
    for ((contact, id), times) in contacts.iter().zip(&ids).zip([1, 2, 2, 1]) {
        ensure!(stanzas.times_sent(id) == times, "{}: {:?}", contact.name, stanzas.times_sent(id));
        messenger.until_status(id, &["delivered"])?;
    }
    wait::until_true("the double is shown", PROMPT, || {
        Ok(unacknowledged.messages_with_id(&ids[2])?.len() == 2)
    })?;
    for (contact, id) in [(plain, &ids[0]), (swallowed, &ids[1]), (received, &ids[3])] {
        must_show(contact, &messenger.phone, std::slice::from_ref(id))
            .with_context(|| contact.name.clone())?;
    }
    Ok(())
}

/// Row 20: a contact whose devices cannot be keyed gets nothing, and the message is never `sent`.
fn message_that_cannot_be_encrypted_is_never_sent(deployment: &Deployment) -> Result<()> {
    let messenger = Messenger::start(deployment, "Keyless")?;
    let phones = &deployment.stack.phones;
    let (before, contact) = (phones.new_phone("Before")?, phones.new_phone("Unkeyed")?);
    // The devices of the own account are keyed already: a copy for them is no delivery.
    messenger.send_text(&before, "before")?;
    let fault = json!({ "on": "iq", "namespace": "encrypt", "child": "key", "action": "error",
        "code": 503, "times": null, "from": messenger.phone.number });
    let fault = phones.add_fault(&fault)?;
    let id = messenger.queue_text(&contact, "unkeyed")?;
    let message = messenger.until_status(&id, &["failed", "sent", "delivered"])?;
    ensure!(message["status"] == "failed", "{message}");
    ensure!(message["error"]["code"] == "encryption_failed", "{message}");
    let events = messenger.events("message.status")?;
    let of_it = |it: &&Value| it["payload"]["waMessageId"] == id.as_str();
    let told: Vec<_> = events.iter().filter(of_it).collect();
    ensure!(told.len() == 1 && told[0]["payload"]["status"] == "failed", "{told:?}");
    ensure!(contact.messages()?.is_empty(), "the contact got something");
    phones.remove_fault(fault)?;
    let next = messenger.send_text(&contact, "keyed")?;
    let received = contact.wait_message("it arrives", PROMPT, |it| it.id == next)?;
    ensure!(received.readable, "{received:?}");
    Ok(())
}
