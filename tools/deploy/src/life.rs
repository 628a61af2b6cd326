//! The life of a session on a running deployment: created, linked, talking, reported to a webhook, deleted.

use anyhow::{Context as _, Result};
use serde_json::json;
use testbed::{
    client::Api,
    phones::{Phone, Phones},
    receiver::Receiver,
    sessions::{Owned, PATIENCE, path_of},
    wait,
    webhook::Webhook,
};

/// A linked session with its phone, a contact, and the receiver of a webhook.
pub(crate) struct Life {
    pub(crate) session: Owned,
    phone: Phone,
    contact: Phone,
    receiver: Receiver,
}

impl Life {
    /// Creates a session, links it by QR code, and exchanges messages with a contact.
    pub(crate) fn begin(api: &Api, phones: &Phones) -> Result<Self> {
        let receiver = Receiver::start()?;
        let fields = json!({
            "events": ["session.*", "message.*"],
            "secret": "a-secret-of-at-least-24-characters",
        });
        Webhook::create(api, &receiver.url(), fields)?;
        let (phone, contact) = (phones.new_phone("Ada")?, phones.new_phone("Bob")?);
        let session = Owned::create(api, "Support")?;
        session.link(&phone)?;
        let life = Self { session, phone, contact, receiver };
        life.talk("one")?;
        Ok(life)
    }

    /// Sends a text to the contact, and receives the answer, which the webhook gets.
    pub(crate) fn talk(&self, words: &str) -> Result<()> {
        let (api, id) = (&self.session.api, &self.session.id);
        let text = json!({ "to": self.contact.number, "text": words });
        // 202 when the result of a hand-over is unknown, as when the node stops meanwhile: it is repeated
        // after 15 s.
        let sent = api.post(&path_of(id, "/messages"), &text)?;
        let sent = if sent.status == 202 { sent } else { sent.expect(200)? }.json();
        let sent = sent["waMessageId"].as_str().context("a message has an id")?.to_owned();
        self.contact.wait_message("the text", PATIENCE, |message| message.id == sent)?;
        let answer = self.contact.send_text(&self.phone.number, &format!("re: {words}"))?;
        let chat = path_of(id, &format!("/chats/{}/messages", self.contact.number));
        wait::until_true("the answer is listed", PATIENCE, || {
            let list = api.get(&chat)?.expect(200)?.json();
            let messages = list["data"].as_array().context("a list has data")?.clone();
            Ok(messages.iter().any(|message| message["waMessageId"] == answer.as_str()))
        })?;
        self.receiver.until("the webhook gets the answer", PATIENCE, |deliveries| {
            deliveries.iter().any(|delivery| delivery.event().to_string().contains(&answer))
        })?;
        Ok(())
    }

    /// Returns the ids of the devices that the phone lists.
    pub(crate) fn devices(&self) -> Result<Vec<u64>> {
        Ok(self.phone.devices()?.iter().map(|device| device.id).collect())
    }

    /// Removes the device on the phone, and waits until the owner sees the reason.
    pub(crate) fn unlink_on_phone(&self) -> Result<()> {
        let devices = self.phone.devices()?;
        let device = devices.first().context("the phone shows the device")?;
        self.phone.unlink(device.id)?;
        self.session.until_reason("logged_out_by_phone").map(drop)
    }

    /// Deletes the session, and waits until the phone shows no device and the webhook gets the end.
    pub(crate) fn end(self) -> Result<()> {
        self.session.delete()?;
        self.session.must_be_gone_for_its_owner()?;
        wait::until_true("the phone shows no device", PATIENCE, || {
            Ok(self.phone.devices()?.is_empty())
        })?;
        self.receiver.until("the webhook gets the end", PATIENCE, |deliveries| {
            deliveries.iter().any(|delivery| delivery.event()["event"] == "session.retired")
        })?;
        Ok(())
    }
}
