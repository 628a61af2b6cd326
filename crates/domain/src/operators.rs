//! Use cases of operators: reads across organizations.
//!
//! Decision: ADR 0017.

use std::{sync::Arc, time::Duration};

use crate::{
    caller::Caller,
    error::Result,
    gateway::{leases::Leases, node::Node},
    id::OrganizationId,
    ports::{
        environment::Environment,
        store::{
            nodes::NodeStore,
            sessions::{OperatorStore, SessionPage},
        },
    },
    session::model::Session,
};

/// Use cases of operators.
#[derive(Clone)]
pub struct Operators {
    store: Arc<dyn OperatorStore>,
    nodes: Arc<dyn NodeStore>,
    environment: Arc<dyn Environment>,
    leases: Arc<Leases>,
    lease: Duration,
}

/// A gateway node as operators see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OperatedNode {
    /// The node as stored.
    pub node: Node,
    /// Whether the node is not lost and its lease is valid.
    pub up: bool,
}

impl Operators {
    /// Creates the use cases over stores. `leases` is the instance that the worker refreshes, `lease` the
    /// length of a lease.
    pub fn new(
        store: Arc<dyn OperatorStore>,
        nodes: Arc<dyn NodeStore>,
        environment: Arc<dyn Environment>,
        leases: Arc<Leases>,
        lease: Duration,
    ) -> Self {
        Self { store, nodes, environment, leases, lease }
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

    /// Returns all gateway nodes, by id.
    ///
    /// # Errors
    /// [`Error::Forbidden`](crate::Error::Forbidden) without the platform role, and errors of the
    /// store.
    pub async fn gateways(&self, caller: &Caller) -> Result<Vec<OperatedNode>> {
        caller.may_operate()?;
        let now = self.environment.now();
        let nodes = self.nodes.list().await?.into_iter();
        Ok(nodes.map(|node| OperatedNode { up: node.is_live(now, self.lease), node }).collect())
    }
}
