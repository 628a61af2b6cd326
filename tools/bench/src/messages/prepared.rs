//! Prepared deliveries: the requests of a node whose sessions receive texts.

use serde_json::{Value, json};

use super::{
    TEXT,
    stand_in::{StandIn, millis},
};

/// Requests in flight at the same time, as of a node, each with other sessions.
pub(super) const LANES: usize = 4;
/// Sessions of a request.
pub(super) const SESSIONS_OF_LANE: usize = 50;
pub(super) const SESSIONS: usize = LANES * SESSIONS_OF_LANE;
/// Items of a request, the maximum of a node.
pub(super) const ITEMS: usize = 500;
/// Chats of each session.
pub(super) const CHATS: usize = 5;
/// Digits of a batch number.
const DIGITS: usize = 8;

/// The requests of a round.
#[derive(Debug)]
pub(super) struct PreparedRound {
    /// The requests of each lane, in order.
    pub(super) lanes: Vec<Vec<PreparedBatch>>,
    /// Number of the first batch of the round and of the next round.
    pub(super) first: usize,
    pub(super) end: usize,
}

/// A request.
#[derive(Debug)]
pub(super) struct PreparedBatch {
    pub(super) number: usize,
    pub(super) body: String,
    /// Number of the last item of every session.
    pub(super) through: u64,
}

impl PreparedRound {
    /// Prepares this number of requests of each lane. `first` is the number of requests of all
    /// earlier rounds.
    pub(super) fn new(node: &StandIn, first: usize, of_lane: usize) -> Self {
        let lanes = node.sessions.chunks(SESSIONS_OF_LANE).enumerate().map(|(lane, sessions)| {
            let batch = |turn: usize| {
                let number = first + turn * LANES + lane;
                // Every lane has sent as many requests as the others before this round.
                let sequence = (first / LANES + turn) * (ITEMS / SESSIONS_OF_LANE);
                batch(node, sessions, number, sequence, ITEMS / SESSIONS_OF_LANE)
            };
            (0..of_lane).map(batch).collect()
        });
        Self { lanes: lanes.collect(), first, end: first + of_lane * LANES }
    }

    /// Returns the number of items.
    pub(super) fn items(&self) -> usize {
        (self.end - self.first) * ITEMS
    }
}

/// Prepares a request with `items` texts of each session, whose numbers follow `sequence`.
pub(super) fn batch(
    node: &StandIn,
    sessions: &[String],
    number: usize,
    sequence: usize,
    items: usize,
) -> PreparedBatch {
    let deliveries = sessions.iter().enumerate().map(|(which, session)| {
        let entries = (1..=items).map(|item| entry(number, which, sequence + item));
        let entries: Vec<_> = entries.collect();
        json!({ "session": session, "from": sequence + 1, "items": entries })
    });
    let deliveries: Vec<_> = deliveries.collect();
    let through = u64::try_from(sequence + items).unwrap_or(u64::MAX);
    PreparedBatch { number, body: node.body(&deliveries), through }
}

/// Returns the beginning of WhatsApp's ids of the messages in a batch.
pub(super) fn id_prefix(batch: usize) -> String {
    format!("3EB0{batch:0DIGITS$}")
}

/// Returns the length of [`id_prefix`].
pub(super) fn prefix_length() -> usize {
    id_prefix(0).len()
}

fn entry(batch: usize, session: usize, sequence: usize) -> Value {
    let chat = sequence % CHATS;
    let lid = format!("{}@lid", 100_000_000_000_000 + session * CHATS + chat);
    let phone = format!("{}@s.whatsapp.net", 4_915_200_000_000_u64 + chat as u64);
    let now = millis();
    json!({
        "seq": sequence, "at": now, "kind": "message",
        "waId": format!("{}{session:04}{sequence:06}", id_prefix(batch)),
        "chat": lid, "chatAlt": phone, "sender": lid, "senderAlt": phone, "senderName": "Ada",
        "source": "contact", "sentAt": now / 1000 * 1000, "type": "text",
        "body": format!("{sequence} {TEXT}"), "replyTo": null, "mentions": [],
        "ephemeralSeconds": null, "media": null, "target": null, "content": null, "flags": [],
    })
}
