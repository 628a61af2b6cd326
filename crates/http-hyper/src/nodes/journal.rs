//! Deliveries of a node's journal, from the protocol to the domain.
//!
//! A node repeats an item until the router has acknowledged it, so no item may be refused: an item
//! that cannot be read is logged, becomes [`JournalFact::Unknown`], and is acknowledged with the
//! others.

mod facts;

use std::collections::BTreeMap;

use domain::{JournalDelivery, JournalFact, JournalItem, SessionId, TakenJournal, Timestamp};
use gateway_protocol as protocol;

/// The deliveries of one request.
pub(super) struct ReadDeliveries {
    /// The deliveries of sessions whose ids are valid.
    pub(super) deliveries: Vec<JournalDelivery>,
    /// Sessions whose ids are not valid, and which therefore do not exist.
    pub(super) invalid: Vec<String>,
}

impl ReadDeliveries {
    /// Reads the deliveries of a request. A session that occurs twice has the items of both
    /// occurrences, in order.
    pub(super) fn read(deliveries: Vec<protocol::SessionDelivery>) -> Self {
        let mut items: BTreeMap<SessionId, Vec<JournalItem>> = BTreeMap::new();
        let mut invalid = Vec::new();
        for delivery in deliveries {
            match SessionId::parse(&delivery.session) {
                Some(id) => {
                    let read = delivery.items.into_iter().map(|entry| item(&id, entry));
                    items.entry(id.clone()).or_default().extend(read.collect::<Vec<_>>());
                }
                None => invalid.push(delivery.session),
            }
        }
        let delivery = |(session, mut items): (_, Vec<JournalItem>)| {
            items.sort_by_key(|item| item.sequence);
            JournalDelivery { session, items }
        };
        Self { deliveries: items.into_iter().map(delivery).collect(), invalid }
    }

    /// Returns the answer to the request.
    pub(super) fn answer(invalid: Vec<String>, taken: TakenJournal) -> protocol::Delivered {
        for refused in &taken.refused {
            let error = &*refused.cause as &dyn std::error::Error;
            tracing::error!(session = %refused.session, error, "delivery not taken; it cannot be stored");
        }
        let through = taken.through.into_iter().map(|(session, seq)| (session.to_string(), seq));
        let gone = taken.gone.into_iter().map(|session| session.to_string());
        protocol::Delivered { through: through.collect(), gone: gone.chain(invalid).collect() }
    }
}

fn item(session: &SessionId, entry: protocol::JournalEntry) -> JournalItem {
    let (sequence, at) = (entry.seq, Timestamp::from_millis(entry.at));
    let fact = facts::read(entry.item, at).unwrap_or_else(|what| {
        tracing::warn!(%session, sequence, what, "an item of a journal is invalid and is ignored");
        JournalFact::Unknown
    });
    JournalItem { sequence, at, fact }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(deliveries: serde_json::Value) -> ReadDeliveries {
        ReadDeliveries::read(serde_json::from_value(deliveries).unwrap())
    }

    fn contact(seq: u64, phone: &str) -> serde_json::Value {
        json!({ "seq": seq, "at": 7, "kind": "contact", "contacts": [{ "phone": phone }] })
    }

    #[test]
    fn items_of_a_session_are_in_the_order_of_the_journal() {
        let session = SessionId::from_bits(1).to_string();
        let read = read(json!([
            { "session": session, "from": 1, "items": [contact(5, "15551234567")] },
            { "session": "nonsense", "from": 1, "items": [contact(1, "15551234567")] },
            { "session": session, "from": 1, "items": [contact(3, "15551234568")] },
        ]));
        assert_eq!(read.invalid, ["nonsense"]);
        let [delivery] = read.deliveries.as_slice() else { panic!("one session") };
        let sequences: Vec<_> = delivery.items.iter().map(|item| item.sequence).collect();
        assert_eq!((delivery.session.to_string(), sequences), (session, vec![3, 5]));
    }

    #[test]
    fn invalid_item_stays_in_the_sequence() {
        let session = SessionId::from_bits(1).to_string();
        let newer = json!({ "seq": 1, "at": 7, "kind": "hologram", "depth": 3 });
        let receipt = json!({
            "seq": 2, "at": 7, "kind": "receipt", "chat": "nowhere", "ids": ["A"],
            "level": "read", "receivedAt": 7, "offline": false,
        });
        let read = read(json!([{ "session": session, "from": 1, "items": [newer, receipt] }]));
        let facts: Vec<_> = read.deliveries[0].items.iter().map(|item| &item.fact).collect();
        assert_eq!(facts, [&JournalFact::Unknown, &JournalFact::Unknown]);
    }
}
