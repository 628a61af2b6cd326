//! Faults, settings and recorded stanzas of the simulated WhatsApp, over its control interface.

use std::{collections::BTreeMap, time::Duration};

use anyhow::{Context as _, Result};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::{phones::Phones, wait};

/// The stanzas between WhatsApp and one device.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct DeviceStanzas {
    /// Number of stanzas by direction (`in` is from the device) and tag.
    pub counts: BTreeMap<String, BTreeMap<String, u64>>,
    /// Stanzas, oldest first.
    pub stanzas: Vec<DeviceStanza>,
}

/// A stanza between WhatsApp and one device.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct DeviceStanza {
    /// Time in Unix milliseconds.
    pub at: u64,
    /// `in` (from the device) or `out`.
    pub direction: String,
    /// Tag: `message`, `receipt`, `ack`, `iq`, ….
    pub kind: String,
    /// Attribute `type`, if any.
    #[serde(rename = "type")]
    pub stanza_type: Option<String>,
    /// Attribute `id`, if any.
    pub id: Option<String>,
    /// Address of the other end, if any.
    pub peer: Option<String>,
    /// Class of an acknowledgement, or namespace of a query.
    pub class: Option<String>,
    /// Error code of an acknowledgement.
    pub error: Option<String>,
    /// Tag of the first child.
    pub child: Option<String>,
    /// Number of devices that a message is for.
    pub participants: u64,
}

impl DeviceStanzas {
    /// Returns the messages that the device sent, oldest first.
    pub fn sent_messages(&self) -> impl Iterator<Item = &DeviceStanza> {
        self.stanzas.iter().filter(|s| s.direction == "in" && s.kind == "message")
    }

    /// Returns how often the device sent a message with this id.
    pub fn times_sent(&self, id: &str) -> usize {
        self.sent_messages().filter(|stanza| stanza.id.as_deref() == Some(id)).count()
    }
}

impl Phones {
    /// Adds a fault: the body of `POST /faults`. Returns its id.
    pub fn add_fault(&self, rule: &Value) -> Result<u64> {
        let reply = self.control().post("/faults", rule)?.expect(201)?.json();
        reply["id"].as_u64().context("a fault has an id")
    }

    /// Refuses the next message of any device with this code.
    pub fn refuse_message(&self, code: u16) -> Result<u64> {
        self.add_fault(&json!({ "on": "message", "action": "error", "code": code }))
    }

    /// Loses the next message of any device.
    pub fn swallow_message(&self) -> Result<u64> {
        self.add_fault(&json!({ "on": "message", "action": "swallow" }))
    }

    /// Delivers the next message of any device and loses the acknowledgement.
    pub fn lose_acknowledgement(&self) -> Result<u64> {
        self.add_fault(&json!({ "on": "message", "action": "lose-ack" }))
    }

    /// Acknowledges the next message of any device late.
    pub fn delay_acknowledgement(&self, delay: Duration) -> Result<u64> {
        let delay = u64::try_from(delay.as_millis())?;
        self.add_fault(&json!({ "on": "message", "action": "delay", "delayMs": delay }))
    }

    /// Refuses messages to this number with 463 unless they carry a privacy token, until the fault
    /// is removed.
    pub fn require_token(&self, to: &str) -> Result<u64> {
        self.add_fault(&json!({ "on": "message", "action": "error", "code": 463, "times": null,
            "to": to, "unlessToken": true }))
    }

    /// Processes and delivers nothing but pings until the fault is removed.
    pub fn silence(&self) -> Result<u64> {
        self.add_fault(&json!({ "on": "everything", "action": "swallow", "times": null }))
    }

    /// Removes a fault that is still due.
    pub fn remove_fault(&self, id: u64) -> Result<()> {
        self.control().delete(&format!("/faults/{id}"))?.expect(200).map(drop)
    }

    /// Removes all faults.
    pub fn clear_faults(&self) -> Result<()> {
        self.control().delete("/faults")?.expect(200).map(drop)
    }

    /// Sets whether a repeated message is delivered once, as WhatsApp does.
    pub fn set_deduplication(&self, on: bool) -> Result<()> {
        self.control().post("/settings", &json!({ "deduplicate": on }))?.expect(200).map(drop)
    }

    /// Returns the stanzas between WhatsApp and a device.
    pub fn stanzas(&self, number: &str, device: u64) -> Result<DeviceStanzas> {
        let path = format!("/wire?device={number}:{device}");
        let reply = self.control().get(&path)?.expect(200)?;
        Ok(serde_json::from_slice(&reply.body)?)
    }

    /// Waits until a device has sent a message with this id this often.
    pub fn wait_sent(
        &self,
        (number, device): (&str, u64),
        id: &str,
        times: usize,
        patience: Duration,
    ) -> Result<()> {
        let what = format!("message {id} is sent {times} times");
        wait::until_true(&what, patience, || {
            Ok(self.stanzas(number, device)?.times_sent(id) >= times)
        })
    }

    /// Forgets the stanzas of all devices.
    pub fn clear_stanzas(&self) -> Result<()> {
        self.control().delete("/wire")?.expect(200).map(drop)
    }
}
