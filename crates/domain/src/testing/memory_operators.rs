//! What operators list, in memory.

use async_trait::async_trait;

use super::{Memory, memory::cut};
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
        let spec = |s: &&Session| {
            organization.is_none_or(|organization| s.organization == *organization)
                && !state.spoilt.contains(&s.id)
        };
        Ok(cut(state.sessions.values().filter(spec), page))
    }
}
