//! Messages of phones, over the control interface of the simulated WhatsApp.

use std::time::Duration;

use anyhow::{Context as _, Result};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::{phones::Phone, wait};

/// A message as a phone shows it.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PhoneMessage {
    /// Position in the order of arrival.
    pub order: u64,
    /// Id; unique within a chat and a sender only.
    pub id: String,
    /// Number of the partner.
    pub chat: String,
    /// Number of the sender.
    pub from: String,
    /// Device of the sender; 0 is the phone.
    pub from_device: u64,
    /// Whether the phone's own account sent the message.
    pub from_me: bool,
    /// Namespace of the addresses: `pn` or `lid`.
    pub addressing: String,
    /// Kind of content: `text`, `image`, …, `unreadable`, `malformed`.
    pub kind: String,
    /// Text, caption or emoji, if any.
    pub text: Option<String>,
    /// Id of the message that an edit, a deletion or a reaction refers to.
    pub target: Option<String>,
    /// Time of the server, in Unix seconds.
    pub timestamp: u64,
    /// Time of arrival, in Unix milliseconds.
    pub at: u64,
    /// Whether the phone could decrypt the message.
    pub readable: bool,
    /// Whether the phone notified its owner.
    pub notified: bool,
    /// Number of retries that the phone asked for.
    pub retries: u64,
    /// Attribute `edit` of the stanza, if any.
    pub edit: Option<String>,
    /// Lifetime in seconds, if the message names one.
    pub expiration: Option<u64>,
    /// Receipts for a message of the phone's own account.
    pub receipts: Vec<PhoneReceipt>,
    /// Content as its fields, for all kinds but texts.
    #[serde(default)]
    pub content: Value,
}

/// A receipt for a message.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct PhoneReceipt {
    /// `delivered`, `read` or `played`.
    pub kind: String,
    /// Number of the recipient.
    pub from: String,
    /// Device of the recipient that sent the receipt; 0 is the phone.
    pub device: u64,
    /// Time of arrival, in Unix milliseconds.
    pub at: u64,
}

/// The presence or the typing of another account, as a phone shows it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct PhoneObservation {
    /// `presence` or `typing`.
    pub kind: String,
    /// Number of the account.
    pub from: String,
    /// Device of the account; 0 is the phone.
    pub device: u64,
    /// `available`, `unavailable`, `composing`, `recording` or `paused`.
    pub state: String,
    /// Time in Unix milliseconds.
    pub at: u64,
}

impl PhoneMessage {
    /// Returns whether the message has a receipt of this kind from a device; from any device for
    /// `None`.
    pub fn has_receipt(&self, kind: &str, device: Option<u64>) -> bool {
        let is_it = |r: &PhoneReceipt| r.kind == kind && device.is_none_or(|id| r.device == id);
        self.receipts.iter().any(is_it)
    }
}

impl Phone {
    /// Writes a text to a number or an address, and returns the id.
    pub fn send_text(&self, to: &str, text: &str) -> Result<String> {
        Ok(self.send(&json!({ "to": to, "text": text }))?.id)
    }

    /// Writes a message: the body of `POST /phones/{number}/messages`.
    pub fn send(&self, message: &Value) -> Result<PhoneMessage> {
        let reply = self.post_to("/messages", message)?.expect(201)?;
        Ok(serde_json::from_slice(&reply.body)?)
    }

    /// Writes texts in this order, and returns their ids.
    pub fn send_texts(&self, to: &str, texts: &[String]) -> Result<Vec<String>> {
        let body = json!({ "to": to, "texts": texts });
        let reply = self.post_to("/messages:bulk", &body)?.expect(201)?.json();
        Ok(serde_json::from_value(reply["ids"].clone())?)
    }

    /// Returns all messages in the order of their arrival.
    pub fn messages(&self) -> Result<Vec<PhoneMessage>> {
        self.list("")
    }

    /// Returns the messages of one chat.
    pub fn messages_in(&self, chat: &str) -> Result<Vec<PhoneMessage>> {
        self.list(&format!("?chat={chat}"))
    }

    /// Returns the messages after a position.
    pub fn messages_after(&self, order: u64) -> Result<Vec<PhoneMessage>> {
        self.list(&format!("?after={order}"))
    }

    /// Returns the messages with this id; more than one when a message was delivered twice.
    pub fn messages_with_id(&self, id: &str) -> Result<Vec<PhoneMessage>> {
        self.list(&format!("?id={id}"))
    }

    fn list(&self, query: &str) -> Result<Vec<PhoneMessage>> {
        let messages = self.get_from(&format!("/messages{query}"))?.expect(200)?.json();
        Ok(serde_json::from_value(messages["messages"].clone())?)
    }

    /// Waits until the phone shows a message that fits.
    pub fn wait_message(
        &self,
        what: &str,
        patience: Duration,
        fits: impl Fn(&PhoneMessage) -> bool,
    ) -> Result<PhoneMessage> {
        wait::until(what, patience, || Ok(self.messages()?.into_iter().find(|m| fits(m))))
    }

    /// Marks a received message as read.
    pub fn read(&self, id: &str) -> Result<()> {
        self.post_to(&format!("/messages/{id}:read"), &json!({}))?.expect(200).map(drop)
    }

    /// Marks a received voice message as played.
    pub fn play(&self, id: &str) -> Result<()> {
        self.post_to(&format!("/messages/{id}:play"), &json!({}))?.expect(200).map(drop)
    }

    /// Ends or restores the connection of the phone.
    pub fn set_online(&self, online: bool) -> Result<()> {
        self.does(if online { "online" } else { "offline" }, &json!({})).map(drop)
    }

    /// Makes the phone forget all Signal sessions, so that the next message to it is undecryptable.
    pub fn forget_sessions(&self) -> Result<()> {
        self.does("forget-sessions", &json!({})).map(drop)
    }

    /// Changes settings: the body of `POST /phones/{number}:configure`.
    pub fn configure(&self, changes: &Value) -> Result<Value> {
        self.does("configure", changes)
    }

    /// Shows a contact that the owner is `composing`, `recording` or `paused`.
    pub fn type_to(&self, to: &str, state: &str) -> Result<()> {
        self.does("typing", &json!({ "to": to, "state": state })).map(drop)
    }

    /// Announces the owner as `available` or `unavailable`.
    pub fn announce(&self, state: &str) -> Result<()> {
        self.does("presence", &json!({ "state": state })).map(drop)
    }

    /// Gives a contact a privacy token.
    pub fn trust(&self, to: &str) -> Result<()> {
        self.does("trust", &json!({ "to": to })).map(drop)
    }

    /// Returns what the phone shows of presence and typing, oldest first.
    pub fn observations(&self) -> Result<Vec<PhoneObservation>> {
        let body = self.get_from("/observations")?.expect(200)?.json();
        Ok(serde_json::from_value(body["observations"].clone())?)
    }

    /// Queues a stanza for a linked device as it is: the body of `:send-stanza`.
    pub fn send_stanza(&self, device: u64, stanza: &Value) -> Result<()> {
        self.post_to(&format!("/devices/{device}:send-stanza"), stanza)?.expect(200).map(drop)
    }

    /// Returns the LID (hidden id), without the server part.
    pub fn lid(&self) -> Result<String> {
        let phone = self.get_from("")?.expect(200)?.json();
        phone["lid"].as_str().map(str::to_owned).context("a phone has a LID")
    }
}
