//! Use cases of operators: reads across organizations.
//!
//! Decision: ADR 0017.

use std::sync::Arc;

use crate::{
    caller::Caller,
    error::Result,
    gateway::leases::Leases,
    id::OrganizationId,
    ports::{
        environment::Environment,
        store::sessions::{OperatorStore, SessionPage},
    },
    session::model::Session,
};

/// Use cases of operators.
#[derive(Clone)]
pub struct Operators {
    store: Arc<dyn OperatorStore>,
    environment: Arc<dyn Environment>,
    leases: Arc<Leases>,
}

impl Operators {
    /// Creates the use cases over a store. `leases` is the instance that the worker refreshes.
    pub fn new(
        store: Arc<dyn OperatorStore>,
        environment: Arc<dyn Environment>,
        leases: Arc<Leases>,
    ) -> Self {
        Self { store, environment, leases }
    }

    /// Returns a page of sessions, newest first: of all organizations, or of one.
    ///
    /// # Errors
    /// [`Error::Forbidden`](crate::Error::Forbidden) without the platform role, and errors of the
    /// store.
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
