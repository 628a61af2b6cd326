//! The router's side of the node protocol, on a listener of its own.
//!
//! The token of a node is valid for its own name only. Errors are refusals of the protocol, not
//! errors of the API. An unknown name and a wrong token get the same response, which reveals no
//! names of nodes.

mod calls;
mod handler;
mod journal;
mod refusal;
mod table;
mod tokens;

use std::{hash::RandomState, sync::Arc};

use domain::{Journals, Nodes, ports::Environment};
use http_listener::{HttpService, Limits};
use hyper::Method;

pub use self::tokens::NodeTokens;
use self::{calls::NodeCalls, handler::NodeHandler, table::NODE_OPERATIONS};
use crate::{request_log::RequestLog, routes::Routes};

/// The calls of nodes, over the use cases of the domain.
#[derive(Clone)]
pub struct NodeApi {
    nodes: Nodes,
    journals: Journals,
    tokens: NodeTokens,
    environment: Arc<dyn Environment>,
}

impl NodeApi {
    /// Creates the calls for the nodes that have a token.
    pub fn new(
        nodes: Nodes,
        journals: Journals,
        tokens: NodeTokens,
        environment: Arc<dyn Environment>,
    ) -> Self {
        Self { nodes, journals, tokens, environment }
    }

    /// Returns the limits of the nodes' listener: few and known callers, whose heartbeats and
    /// reports cover thousands of sessions.
    pub fn limits() -> Limits {
        Limits { body_bytes: 16 * 1024 * 1024, requests: 256, waiting: 256, ..Limits::default() }
    }

    /// Returns the service of the nodes' listener; [`Self::limits`] are the usual limits.
    pub fn service(&self, limits: Limits) -> HttpService<RequestLog> {
        let rows = NODE_OPERATIONS.map(|row| (Method::POST, row.path, row));
        let environment = self.environment.clone();
        let handler = NodeHandler {
            routes: Routes::of(rows),
            calls: NodeCalls { nodes: self.nodes.clone(), journals: self.journals.clone() },
            tokens: self.tokens.clone(),
            names: RandomState::new(),
        };
        HttpService::new(Arc::new(handler), limits)
            .with_request_ids(Arc::new(move || environment.ulid()))
    }
}
