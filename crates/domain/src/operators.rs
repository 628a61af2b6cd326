//! What the platform's own people see: things of all organizations.

use std::sync::Arc;

use crate::{
    Caller, OrganizationId, Result, Session,
    ports::{Registry, SessionPage},
};

/// The use cases of operators.
#[derive(Clone)]
pub struct Operators {
    registry: Arc<dyn Registry>,
}

impl Operators {
    /// Over this registry.
    pub fn new(registry: Arc<dyn Registry>) -> Self {
        Self { registry }
    }

    /// Sessions of every organization, or of one, newest first.
    pub async fn sessions(
        &self,
        caller: &Caller,
        organization: Option<&OrganizationId>,
        page: &SessionPage,
    ) -> Result<Vec<Session>> {
        caller.may_operate()?;
        Ok(self.registry.sessions(organization, page).await?)
    }
}
