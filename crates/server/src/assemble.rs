//! Puts the parts together: the only file that knows which adapter is behind which port.

use std::{collections::HashMap, sync::Arc};

use anyhow::{Context, Result};
use auth::{Chain, HotKeys, JwtVerifier, KeyForge};
use domain::{
    ApiKeys, Audit, Deadlines, GatewayId, Leases, Nodes, Operators, SessionPorts, Sessions,
};
use gateway_client::Client;
use http_hyper::{Api, Backing, NodeApi, Rates};
use secrecy::{ExposeSecret, SecretString};
use store_diesel::Database;
use tokio_util::sync::CancellationToken;
use worker::Worker;

use crate::{
    bells::TokioNotifier, environment::Machine, groups::HmacTags, metrics::Metrics,
    readiness::Needs, watches::SessionWatches,
};

/// What the world has given so far.
pub(crate) struct Found {
    pub(crate) database: Database,
    pub(crate) machine: Arc<Machine>,
    /// `None` when no key set is configured.
    pub(crate) login: Option<Arc<JwtVerifier>>,
    pub(crate) tokens: HashMap<GatewayId, SecretString>,
    pub(crate) deadlines: Deadlines,
    pub(crate) rates: Rates,
    /// Shared by all routers over the database.
    pub(crate) cursor_secret: [u8; 32],
    /// Likewise; tags organizations to nodes.
    pub(crate) group_secret: [u8; 32],
    pub(crate) metrics: Arc<Metrics>,
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
    let Found {
        database,
        machine,
        login,
        tokens,
        deadlines,
        rates,
        cursor_secret,
        group_secret,
        metrics,
        ending,
    } = found;
    let words = tokens.iter().map(|(id, token)| (id.clone(), token.expose_secret().to_owned()));
    let words = http_hyper::NodeTokens::new(words);
    let gateway = Client::new(gateway_client::Config::new(tokens.into_iter().collect()));
    let store = Arc::new(database.clone());
    let adapters = Adapters {
        hot_keys: Arc::new(HotKeys::new(store.clone(), machine.clone())),
        change_notifier: Arc::new(SessionWatches::new(store.clone())),
        store,
        gateway: Arc::new(gateway.context("TLS to the gateways cannot be set up")?),
        machine: machine.clone(),
        work: Arc::new(TokioNotifier::default()),
        leases: Arc::default(),
        groups: Arc::new(HmacTags::new(&group_secret)),
        deadlines,
    };
    let door = Arc::new(Chain::new(login.clone(), adapters.hot_keys.clone(), machine.clone()));
    let needs = Arc::new(Needs {
        database,
        login,
        ending,
        environment: machine.clone(),
        looked: tokio::sync::Mutex::default(),
    });
    Ok(Parts {
        api: Api::new(Backing {
            sessions: adapters.sessions(),
            keys: adapters.keys(),
            audit: Audit::new(adapters.store.clone()),
            operators: adapters.operators(),
            authenticator: door,
            idempotency_records: adapters.store.clone(),
            environment: machine.clone(),
            readiness: needs,
            metrics,
            cursor_secret,
            rates,
        }),
        nodes: NodeApi::new(adapters.nodes(), words, machine),
        worker: adapters.worker(),
    })
}

/// What is behind the domain's ports.
struct Adapters {
    store: Arc<Database>,
    /// By which callers are let in, and where a revoked key is forgotten.
    hot_keys: Arc<HotKeys>,
    gateway: Arc<Client>,
    machine: Arc<Machine>,
    work: Arc<TokioNotifier>,
    change_notifier: Arc<SessionWatches>,
    leases: Arc<Leases>,
    groups: Arc<HmacTags>,
    deadlines: Deadlines,
}

impl Adapters {
    /// The callers' use cases.
    fn sessions(&self) -> Sessions {
        let ports = SessionPorts {
            store: self.store.clone(),
            nodes: self.store.clone(),
            session_control: self.gateway.clone(),
            environment: self.machine.clone(),
            worker_notifier: self.work.clone(),
            change_notifier: self.change_notifier.clone(),
            leases: self.leases.clone(),
        };
        Sessions::new(ports, self.deadlines.clone())
    }

    /// The use cases of operators.
    fn operators(&self) -> Operators {
        Operators::new(self.store.clone(), self.machine.clone(), self.leases.clone())
    }

    /// The use cases of keys.
    fn keys(&self) -> ApiKeys {
        let (store, directory) = (self.store.clone(), self.hot_keys.clone());
        ApiKeys::new(store, directory, Arc::new(KeyForge::default()), self.machine.clone())
    }

    /// The gateways' use cases.
    fn nodes(&self) -> Nodes {
        Nodes::new(
            self.store.clone(),
            self.store.clone(),
            self.machine.clone(),
            self.work.clone(),
            self.change_notifier.clone(),
            self.deadlines.clone(),
        )
    }

    /// What time and wishes ask for.
    fn worker(&self) -> Worker {
        let ports = worker::Ports {
            worker_store: self.store.clone(),
            nodes: self.store.clone(),
            gateway: self.gateway.clone(),
            environment: self.machine.clone(),
            work: self.work.clone(),
            change_notifier: self.change_notifier.clone(),
            leases: self.leases.clone(),
            groups: self.groups.clone(),
        };
        Worker::new(ports, self.deadlines.clone())
    }
}
