//! Puts the parts together: the only file that knows which adapter is behind which port.

use std::{collections::HashMap, sync::Arc};

use anyhow::{Context, Result};
use auth::{Chain, JwtVerifier};
use domain::{Deadlines, GatewayId, Nodes, SessionPorts, Sessions, ports::Bell};
use gateway_client::Client;
use http_hyper::{Api, NodeApi};
use secrecy::{ExposeSecret, SecretString};
use store_diesel::Database;
use tokio_util::sync::CancellationToken;
use worker::Worker;

use crate::{
    environment::{Machine, NotifyBell},
    readiness::Needs,
};

/// What the world has given so far.
pub(crate) struct Found {
    pub(crate) database: Database,
    pub(crate) machine: Arc<Machine>,
    /// `None` when no key set is configured.
    pub(crate) login: Option<Arc<JwtVerifier>>,
    pub(crate) tokens: HashMap<GatewayId, SecretString>,
    pub(crate) deadlines: Deadlines,
    /// Cancelled when the process is told to end.
    pub(crate) ending: CancellationToken,
}

/// The router's parts, ready to run.
pub(crate) struct Parts {
    pub(crate) api: Api,
    pub(crate) nodes: NodeApi,
    pub(crate) worker: Worker,
}

/// The parts over what was found.
pub(crate) fn assemble(found: Found) -> Result<Parts> {
    let Found { database, machine, login, tokens, deadlines, ending } = found;
    let gateway = Client::new(gateway_client::Config::new(
        tokens.iter().map(|(id, token)| (id.clone(), token.clone())).collect(),
    ));
    let gateway = Arc::new(gateway.context("TLS to the gateways cannot be set up")?);
    let store = Arc::new(database.clone());
    let work: Arc<dyn Bell> = Arc::new(NotifyBell::default());
    let changes: Arc<dyn Bell> = Arc::new(NotifyBell::default());

    let sessions = SessionPorts {
        store: store.clone(),
        nodes: store.clone(),
        gateway: gateway.clone(),
        environment: machine.clone(),
        work: work.clone(),
        changes: changes.clone(),
    };
    let errands = worker::Ports {
        backlog: store.clone(),
        nodes: store.clone(),
        gateway,
        environment: machine.clone(),
        work: work.clone(),
        changes: changes.clone(),
    };
    let nodes =
        Nodes::new(store.clone(), store.clone(), machine.clone(), work, changes, deadlines.clone());
    let door = Arc::new(Chain::new(login.clone(), store, machine.clone()));
    let needs = Arc::new(Needs { database, login, ending });
    let tokens = tokens.into_iter().map(|(id, token)| (id, token.expose_secret().to_owned()));
    Ok(Parts {
        api: Api::new(Sessions::new(sessions, deadlines.clone()), door, machine.clone(), needs),
        nodes: NodeApi::new(nodes, http_hyper::NodeTokens::new(tokens), machine),
        worker: Worker::new(errands, deadlines),
    })
}
