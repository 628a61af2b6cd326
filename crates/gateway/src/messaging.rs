//! Messages of a session, in both directions.
//!
//! Inbound: the engine gives each decrypted message to [`inbound`] before WhatsApp is told that the
//! message arrived; [`classify`] turns it into an item of the [`journal`](crate::journal); receipts,
//! answers and what cannot be read take the shorter way of [`events`]. Outbound: [`sender`] takes
//! messages of the router, and writes them through the connection of [`engine_wire`].

mod admission;
mod asks;
mod classify;
mod content;
mod engine_wire;
mod events;
mod feed;
mod inbound;
mod learned_names;
mod link;
pub(crate) mod lost_content;
mod names;
mod online;
mod send_queue;
mod sender;
#[cfg(test)]
mod sender_tests;
mod text;
mod wire;

pub(crate) use self::{
    engine_wire::EngineWire, events::MessageEvents, feed::SessionFeed, inbound::InboundJournal,
    learned_names::LearnedNames, online::Presence, sender::MessageSender, wire::AskError,
};
