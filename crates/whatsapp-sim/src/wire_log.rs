//! The record of all stanzas between the server and the devices, by which tests count.

use crate::clock;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use wacore_binary::{Node, NodeRef};

/// Stanzas of one device that are listed; older ones are only counted.
const MAX_LISTED: usize = 20_000;

/// The direction of a stanza, from the point of view of the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    /// From the device.
    In,
    /// To the device.
    Out,
}

/// A stanza between the server and a device.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct WireRecord {
    /// The time in Unix milliseconds.
    pub at: u64,
    /// The direction.
    pub direction: Direction,
    /// The tag: `message`, `receipt`, `ack`, `iq`, ….
    pub kind: String,
    /// The attribute `type`, if any.
    #[serde(rename = "type")]
    pub stanza_type: Option<String>,
    /// The attribute `id`, if any.
    pub id: Option<String>,
    /// The attribute `to` of a stanza from the device, or `from` of a stanza to the device, if any.
    pub peer: Option<String>,
    /// The attribute `class` of an acknowledgement, or the namespace of a query, if any.
    pub class: Option<String>,
    /// The error code of an acknowledgement, if any.
    pub error: Option<String>,
    /// The tag of the first child, if any.
    pub child: Option<String>,
    /// The number of devices that a message is for; 0 for other stanzas.
    pub participants: usize,
}

/// The stanzas of one device.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DeviceWire {
    /// The number of stanzas by direction and tag.
    pub counts: BTreeMap<Direction, BTreeMap<String, u64>>,
    /// The latest stanzas, oldest first.
    pub stanzas: VecDeque<WireRecord>,
}

/// The stanzas of all devices, by the label of the device: `number:id`.
#[derive(Debug, Default)]
pub(crate) struct WireLog {
    devices: Mutex<HashMap<String, DeviceWire>>,
}

impl WireLog {
    fn devices(&self) -> MutexGuard<'_, HashMap<String, DeviceWire>> {
        self.devices.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn record(&self, device: &str, direction: Direction, stanza: &NodeRef<'_>) {
        let text = |name| stanza.get_attr(name).map(|value| value.as_str().into_owned());
        let peer = if direction == Direction::In { "to" } else { "from" };
        let first = stanza.children().and_then(|children| children.first());
        let participants = stanza.get_optional_child("participants");
        let record = WireRecord {
            at: clock::millis(),
            direction,
            kind: stanza.tag.to_string(),
            stanza_type: text("type"),
            id: text("id"),
            peer: text(peer),
            class: text("class").or_else(|| text("xmlns")),
            error: text("error"),
            child: first.map(|child| child.tag.to_string()),
            participants: participants.and_then(NodeRef::children).map_or(0, <[_]>::len),
        };
        let mut devices = self.devices();
        let wire = devices.entry(device.to_owned()).or_default();
        *wire.counts.entry(direction).or_default().entry(record.kind.clone()).or_default() += 1;
        if wire.stanzas.len() == MAX_LISTED {
            wire.stanzas.pop_front();
        }
        wire.stanzas.push_back(record);
    }

    pub(crate) fn record_sent(&self, device: &str, stanza: &Node) {
        self.record(device, Direction::Out, &stanza.as_node_ref());
    }

    /// Returns the stanzas of a device.
    pub(crate) fn of(&self, device: &str) -> DeviceWire {
        self.devices().get(device).cloned().unwrap_or_default()
    }

    /// Forgets all stanzas.
    pub(crate) fn clear(&self) {
        self.devices().clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wacore_binary::builder::NodeBuilder;

    #[test]
    fn stanzas_are_counted_and_listed_by_device() {
        let log = WireLog::default();
        let ack = NodeBuilder::new("ack").attr("class", "message").attr("error", 479).build();
        let copy = NodeBuilder::new("to").build();
        let list = NodeBuilder::new("participants").children([copy.clone(), copy]).build();
        let message = NodeBuilder::new("message").attr("id", "A").attr("to", "1@lid");
        log.record("1:1", Direction::In, &message.children([list]).build().as_node_ref());
        log.record_sent("1:1", &ack);
        log.record_sent("1:2", &ack);
        let wire = log.of("1:1");
        assert_eq!(wire.counts[&Direction::In]["message"], 1);
        assert_eq!(wire.counts[&Direction::Out]["ack"], 1);
        let [message, ack] = [&wire.stanzas[0], &wire.stanzas[1]];
        assert_eq!((message.id.as_deref(), message.participants), (Some("A"), 2));
        assert_eq!(message.peer.as_deref(), Some("1@lid"));
        assert_eq!((ack.class.as_deref(), ack.error.as_deref()), (Some("message"), Some("479")));
        log.clear();
        assert_eq!(log.of("1:1"), DeviceWire::default());
    }
}
