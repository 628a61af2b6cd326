//! Spent tickets in memory.

use async_trait::async_trait;

use crate::{
    ports::{
        error::PortResult,
        store::tickets::{TicketDigest, TicketStore},
    },
    testing::memory::state::Memory,
    time::Timestamp,
};

#[async_trait]
impl TicketStore for Memory {
    async fn spend(&self, ticket: TicketDigest, expires_at: Timestamp) -> PortResult<bool> {
        let mut state = self.state()?;
        let is_new = !state.spent_tickets.contains_key(&ticket);
        state.spent_tickets.entry(ticket).or_insert(expires_at);
        Ok(is_new)
    }
}
