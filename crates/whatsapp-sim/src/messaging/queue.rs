//! The queue of one device on the server: one order for messages, receipts and notifications. A
//! stanza leaves the queue when the device confirms it.
//!
//! A device that becomes active drains its backlog: the server announces the number of stanzas,
//! sends five, and sends further ones only as the device asks for batches. Stanzas that arrive
//! meanwhile follow after the backlog.

use std::collections::VecDeque;
use wacore_binary::Node;

/// Stanzas that the server sends before the device asks for a batch.
const PRIMER: usize = 5;
/// Stanzas that may wait for one device; further ones are dropped.
const MAX_QUEUED: usize = 500_000;

/// The kind of a queued stanza, which is also the class of its acknowledgement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum StanzaClass {
    Message,
    Receipt,
    Notification,
}

impl StanzaClass {
    /// Returns the class with this tag.
    pub(crate) fn of(tag: &str) -> Option<Self> {
        match tag {
            "message" => Some(Self::Message),
            "receipt" => Some(Self::Receipt),
            "notification" => Some(Self::Notification),
            _ => None,
        }
    }
}

/// A stanza to a device.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct QueuedStanza {
    /// The position in the queue; assigned by the queue.
    pub(crate) seq: u64,
    pub(crate) class: StanzaClass,
    pub(crate) id: String,
    /// The number of the sender's account; empty for the server.
    pub(crate) peer: String,
    /// The attribute `type` of a receipt; empty otherwise.
    pub(crate) kind: String,
    pub(crate) node: Node,
    /// How often the stanza was sent.
    pub(crate) deliveries: u32,
}

/// The next thing to send to a device.
#[derive(Debug, PartialEq)]
pub(crate) enum NextDelivery {
    Stanza(Node),
    /// The end of the backlog with its number of stanzas.
    End(usize),
}

/// The number of stanzas in a backlog.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Preview {
    pub(crate) messages: usize,
    pub(crate) receipts: usize,
    pub(crate) notifications: usize,
}

/// The delivery of a backlog.
#[derive(Debug)]
struct Drain {
    total: usize,
    /// Stanzas of the backlog that were not sent on this connection.
    left: usize,
    /// Stanzas that may be sent before the device asks again.
    credit: usize,
    /// The size of the last batch that the device asked for.
    batch: usize,
}

/// The queue of a device.
#[derive(Debug, Default)]
pub(crate) struct DeliveryQueue {
    items: VecDeque<QueuedStanza>,
    /// The number of stanzas at the front that were sent on the present connection.
    sent: usize,
    next_seq: u64,
    drain: Option<Drain>,
}

impl DeliveryQueue {
    /// Appends a stanza and returns it with its position; `None` if the queue is full.
    pub(crate) fn push(&mut self, mut stanza: QueuedStanza) -> Option<&QueuedStanza> {
        if self.items.len() >= MAX_QUEUED {
            return None;
        }
        stanza.seq = self.next_seq;
        self.next_seq += 1;
        self.items.push_back(stanza);
        self.items.back()
    }

    /// Restores a stanza of an earlier run at its position.
    pub(crate) fn restore(&mut self, stanza: QueuedStanza) {
        self.next_seq = self.next_seq.max(stanza.seq + 1);
        self.items.push_back(stanza);
    }

    /// Removes a stanza of an earlier run.
    pub(crate) fn forget(&mut self, seq: u64) {
        if let Ok(at) = self.items.binary_search_by_key(&seq, |item| item.seq) {
            self.items.remove(at);
        }
    }

    pub(crate) fn items(&self) -> impl Iterator<Item = &QueuedStanza> {
        self.items.iter()
    }

    /// Starts a connection: every queued stanza is due again.
    pub(crate) fn reset(&mut self) {
        self.sent = 0;
        self.drain = None;
    }

    /// Starts to drain the backlog, and returns the numbers of its stanzas.
    pub(crate) fn start_drain(&mut self) -> Preview {
        self.reset();
        let total = self.items.len();
        self.drain = Some(Drain { total, left: total, credit: PRIMER, batch: 0 });
        let count = |class| self.items.iter().filter(|item| item.class == class).count();
        Preview {
            messages: count(StanzaClass::Message),
            receipts: count(StanzaClass::Receipt),
            notifications: count(StanzaClass::Notification),
        }
    }

    /// Handles the device's request for this many further stanzas of the backlog.
    pub(crate) fn grant(&mut self, batch: usize) {
        if let Some(drain) = &mut self.drain {
            drain.credit += batch;
            drain.batch = batch;
        }
    }

    /// Returns the next thing to send; `None` if the device must confirm or ask first, or has all.
    pub(crate) fn next(&mut self) -> Option<NextDelivery> {
        if let Some(drain) = &mut self.drain {
            if drain.left == 0 {
                let total = drain.total;
                self.drain = None;
                return Some(NextDelivery::End(total));
            }
            if drain.credit == 0 {
                return None;
            }
            drain.credit -= 1;
            drain.left -= 1;
        }
        let draining = self.drain.is_some();
        let item = self.items.get_mut(self.sent)?;
        self.sent += 1;
        let mut node = item.node.clone();
        if draining {
            node.attrs.push("offline", item.deliveries);
        }
        item.deliveries += 1;
        Some(NextDelivery::Stanza(node))
    }

    /// Removes the oldest sent stanza of this class with this id, sender and kind, and returns its
    /// position. `kind` counts for receipts only.
    ///
    /// A client that asks for one batch only, as Baileys does, gets the next batch when it has
    /// confirmed all before.
    pub(crate) fn confirm(
        &mut self,
        class: StanzaClass,
        id: &str,
        peer: &str,
        kind: &str,
    ) -> Option<u64> {
        let is_it = |item: &QueuedStanza| {
            item.class == class
                && item.id == id
                && item.peer == peer
                && (class != StanzaClass::Receipt || item.kind == kind)
        };
        let at = self.items.iter().take(self.sent).position(is_it)?;
        let item = self.items.remove(at)?;
        self.sent -= 1;
        if self.sent == 0
            && let Some(drain) = &mut self.drain
            && drain.credit == 0
        {
            drain.credit = drain.batch;
        }
        Some(item.seq)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wacore_binary::builder::NodeBuilder;

    fn stanza(id: usize) -> QueuedStanza {
        QueuedStanza {
            seq: 0,
            class: StanzaClass::Message,
            id: id.to_string(),
            peer: "1".into(),
            kind: String::new(),
            node: NodeBuilder::new("message").attr("id", id).build(),
            deliveries: 0,
        }
    }

    fn queue(count: usize) -> DeliveryQueue {
        let mut queue = DeliveryQueue::default();
        for id in 0..count {
            queue.push(stanza(id)).unwrap();
        }
        queue
    }

    /// Returns the ids of what the queue sends now; `end` for the end of the backlog.
    fn sent(queue: &mut DeliveryQueue) -> Vec<String> {
        let text = |node: &Node, name| node.attrs.get(name).map(|v| v.as_str().into_owned());
        std::iter::from_fn(|| queue.next())
            .map(|next| match next {
                NextDelivery::Stanza(node) => {
                    let offline = text(&node, "offline").map(|n| format!("+{n}"));
                    text(&node, "id").unwrap() + &offline.unwrap_or_default()
                }
                NextDelivery::End(count) => format!("end {count}"),
            })
            .collect()
    }

    fn confirm(queue: &mut DeliveryQueue, id: &str) -> bool {
        queue.confirm(StanzaClass::Message, id, "1", "").is_some()
    }

    #[test]
    fn backlog_is_sent_as_primer_and_batches() {
        let mut queue = queue(9);
        let preview = Preview { messages: 9, ..Preview::default() };
        assert_eq!(queue.start_drain(), preview);
        assert_eq!(sent(&mut queue), ["0+0", "1+0", "2+0", "3+0", "4+0"]);
        queue.grant(3);
        assert_eq!(sent(&mut queue), ["5+0", "6+0", "7+0"]);
        queue.push(stanza(9)).unwrap();
        queue.grant(200);
        assert_eq!(sent(&mut queue), ["8+0", "end 9", "9"]);
        queue.push(stanza(10)).unwrap();
        assert_eq!(sent(&mut queue), ["10"]);
    }

    #[test]
    fn unconfirmed_stanzas_are_sent_again_in_order() {
        let mut queue = queue(4);
        queue.start_drain();
        assert_eq!(sent(&mut queue).len(), 5);
        assert!(confirm(&mut queue, "1") && !confirm(&mut queue, "1"));
        assert_eq!(queue.start_drain().messages, 3);
        assert_eq!(sent(&mut queue), ["0+1", "2+1", "3+1", "end 3"]);
    }

    #[test]
    fn unsent_stanza_cannot_be_confirmed() {
        let mut queue = queue(7);
        queue.start_drain();
        sent(&mut queue);
        assert!(confirm(&mut queue, "4") && !confirm(&mut queue, "5"));
        queue.reset();
        assert!(!confirm(&mut queue, "0"));
    }

    #[test]
    fn confirmations_of_a_batch_grant_the_next() {
        let mut queue = queue(30);
        queue.start_drain();
        queue.grant(10);
        let ids = sent(&mut queue);
        assert_eq!(ids.len(), 15);
        for id in 0..15 {
            assert!(sent(&mut queue).is_empty());
            assert!(confirm(&mut queue, &id.to_string()));
        }
        assert_eq!(sent(&mut queue).len(), 10);
    }

    #[test]
    fn empty_backlog_ends_at_once() {
        let mut queue = queue(0);
        assert_eq!(queue.start_drain(), Preview::default());
        assert_eq!(sent(&mut queue), ["end 0"]);
    }

    #[test]
    fn one_confirmation_removes_the_oldest_of_equal_stanzas() {
        let mut queue = queue(1);
        queue.push(stanza(0)).unwrap();
        queue.start_drain();
        sent(&mut queue);
        assert_eq!(queue.confirm(StanzaClass::Message, "0", "1", ""), Some(0));
        assert_eq!(queue.confirm(StanzaClass::Message, "0", "2", ""), None);
        assert_eq!(queue.confirm(StanzaClass::Message, "0", "1", ""), Some(1));
    }
}
