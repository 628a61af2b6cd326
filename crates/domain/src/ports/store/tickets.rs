//! The store of spent tickets.

use async_trait::async_trait;

use crate::{ports::error::PortResult, time::Timestamp};

/// SHA-256 of the text of a ticket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TicketDigest(pub [u8; 32]);

/// The spent tickets of all organizations. Tickets that were never used are not stored.
#[async_trait]
pub trait TicketStore: Send + Sync {
    /// Spends a ticket. Returns false if the ticket is spent already: of all calls at all routers,
    /// one returns true. The record is kept until the worker removes it after `expires_at`.
    async fn spend(&self, ticket: TicketDigest, expires_at: Timestamp) -> PortResult<bool>;
}
