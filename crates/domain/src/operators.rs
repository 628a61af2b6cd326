//! What the platform's own people see: things of all organizations.
//!
//! Decision: ADR 0017.

use std::sync::Arc;

use crate::{
    Caller, Leases, OrganizationId, Result, Session,
    ports::{Environment, OperatorStore, SessionPage},
};

/// The use cases of operators.
#[derive(Clone)]
pub struct Operators {
    store: Arc<dyn OperatorStore>,
    environment: Arc<dyn Environment>,
    leases: Arc<Leases>,
}

impl Operators {
    /// Over this registry; `leases` are those that the worker refreshes.
    pub fn new(
        store: Arc<dyn OperatorStore>,
        environment: Arc<dyn Environment>,
        leases: Arc<Leases>,
    ) -> Self {
        Self { store, environment, leases }
    }

    /// Sessions of every organization, or of one, newest first.
    pub async fn sessions(
        &self,
        caller: &Caller,
        organization: Option<&OrganizationId>,
        page: &SessionPage,
    ) -> Result<Vec<Session>> {
        caller.may_operate()?;
        let sessions = self.store.sessions(organization, page).await?;
        let now = self.environment.now();
        Ok(sessions.into_iter().map(|session| self.leases.apply(session, now)).collect())
    }
}
