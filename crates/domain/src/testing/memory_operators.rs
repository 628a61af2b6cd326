//! What operators list, in memory.

use async_trait::async_trait;

use super::{Memory, memory::page_of};
use crate::{
    OrganizationId, Session,
    ports::{OperatorStore, PortResult, SessionPage},
};

#[async_trait]
impl OperatorStore for Memory {
    async fn sessions(
        &self,
        organization: Option<&OrganizationId>,
        page: &SessionPage,
    ) -> PortResult<Vec<Session>> {
        let state = self.state()?;
        let is_listed = |s: &&Session| {
            organization.is_none_or(|organization| s.organization == *organization)
                && !state.corrupted.contains(&s.id)
        };
        Ok(page_of(state.sessions.values().filter(is_listed), page))
    }
}
