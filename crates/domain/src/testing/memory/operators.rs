//! Operator store in memory.

use async_trait::async_trait;

use crate::{
    id::OrganizationId,
    ports::{
        error::PortResult,
        store::sessions::{OperatorStore, SessionPage},
    },
    session::model::Session,
    testing::memory::state::{Memory, page_of},
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
