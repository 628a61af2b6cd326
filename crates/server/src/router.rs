//! The router, running: what begins in which order, and ends in which.
//!
//! To end, callers' requests are finished first, then the worker's; the local gateway ends last but
//! for the two listeners it and its operator still speak to.

use std::{sync::Arc, time::Duration};

use anyhow::{Context, Result, bail};
use http_hyper::{Drained, Limits, NodeApi};
use secrecy::SecretString;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::{
    assemble::{Found, Parts, assemble},
    clock_skew,
    config::{Config, Connections, Gateways, Invalid, Listeners, LocalGateway, Log},
    environment::Machine,
    listeners::{self, Bound},
    local_gateway::{self, Supervisor},
    metrics::Metrics,
    store,
};

/// How long requests under way may take to finish, when the process ends.
const DRAIN: Duration = Duration::from_secs(10);
/// The same for nodes and operators, who come back anyway.
const SHORT_DRAIN: Duration = Duration::from_secs(2);

/// A task and how to end it.
struct Running<T> {
    stop: CancellationToken,
    task: JoinHandle<T>,
}

/// The running router.
pub(crate) struct Router {
    pub(crate) addresses: Listeners,
    ending: CancellationToken,
    public: Running<Drained>,
    worker: Running<()>,
    clock_skew: Running<()>,
    gateway: Option<Running<()>>,
    nodes: Running<Drained>,
    ops: Running<Drained>,
}

impl Router {
    /// Everything in its order; when this returns, requests are answered.
    pub(crate) async fn start(config: Config) -> Result<Self> {
        let database = store::open(&config.database).await?.with_quotas(config.quotas);
        tracing::info!(kind = database.kind().as_str(), "the database is open");
        let machine = Arc::new(Machine::default());
        let login = auth::JwtVerifier::start(config.login, machine.clone()).await;
        let login = login.map_err(Invalid::from)?;
        if login.is_none() {
            tracing::info!("no key set is configured: login tokens are refused, API keys work");
        }
        let bound = listeners::bind(config.listeners)?;
        let addresses = bound.addresses()?;
        let (tokens, local) = match config.gateways {
            Gateways::Remote(tokens) => (tokens, None),
            Gateways::Local(settings) => {
                let (id, token) = local_gateway::credentials()?;
                ([(id, token.clone())].into(), Some((settings, token)))
            }
        };
        let ending = CancellationToken::new();
        let deadlines = config.deadlines;
        let metrics = Arc::new(Metrics::start()?);
        let cursor_secret = database.secret("cursor", rand::random()).await?;
        let group_secret = database.secret("group", rand::random()).await?;
        let (compared, clock) = (database.clone(), machine.clone());
        let found = Found {
            database,
            machine,
            login,
            tokens,
            deadlines,
            rates: config.rates,
            cursor_secret,
            group_secret,
            metrics,
            ending: ending.clone(),
        };
        let parts = assemble(found)?;
        let supervisor =
            local.and_then(|(settings, token)| supervisor(settings, config.log, token, addresses));
        let clock_skew = Running::start(|stop| clock_skew::run(compared, clock, stop));
        let connections = &config.connections;
        Ok(Self::run(parts, bound, addresses, connections, supervisor, ending, clock_skew))
    }

    fn run(
        parts: Parts,
        bound: Bound,
        addresses: Listeners,
        connections: &Connections,
        supervisor: Option<Supervisor>,
        ending: CancellationToken,
        clock_skew: Running<()>,
    ) -> Self {
        let Parts { api, nodes, worker } = parts;
        let limits = |drain, limits| Limits {
            drain,
            idle: connections.keep_alive,
            trusted_proxies: connections.trusted_proxies.clone(),
            ..limits
        };
        let public = api.public(limits(DRAIN, Limits::default()));
        let ops = api.operators(limits(SHORT_DRAIN, Limits::default()));
        let nodes = nodes.service(limits(SHORT_DRAIN, NodeApi::limits()));
        Self {
            addresses,
            ending,
            clock_skew,
            public: Running::start(|stop| http_hyper::serve(bound.public, public, stop)),
            nodes: Running::start(|stop| http_hyper::serve(bound.nodes, nodes, stop)),
            ops: Running::start(|stop| http_hyper::serve(bound.ops, ops, stop)),
            worker: Running::start(|stop| worker.run(stop)),
            gateway: supervisor.map(|supervisor| Running::start(|stop| supervisor.run(stop))),
        }
    }

    /// Returns when a part ends that nobody told to: then the whole is no use any more.
    pub(crate) async fn failed(&mut self) {
        tokio::select! {
            _ = &mut self.public.task => {}
            _ = &mut self.worker.task => {}
            _ = &mut self.nodes.task => {}
            _ = &mut self.ops.task => {}
        }
    }

    /// Ends everything in its order.
    pub(crate) async fn stop(self) -> Result<()> {
        self.ending.cancel();
        let drained = self.public.end().await.context("the public listener")?;
        self.worker.end().await.context("the worker")?;
        self.clock_skew.end().await.context("the comparison of clocks")?;
        if let Some(gateway) = self.gateway {
            gateway.end().await.context("the local gateway's supervisor")?;
        }
        let _ = self.nodes.end().await.context("the nodes' listener")?;
        let _ = self.ops.end().await.context("the operators' listener")?;
        match drained {
            Drained::Finished => Ok(()),
            Drained::CutOff => bail!("some requests were cut off after {DRAIN:?}"),
        }
    }
}

impl<T: Send + 'static> Running<T> {
    fn start<F>(work: impl FnOnce(CancellationToken) -> F) -> Self
    where
        F: Future<Output = T> + Send + 'static,
    {
        let stop = CancellationToken::new();
        let task = tokio::spawn(work(stop.clone()));
        Self { stop, task }
    }

    async fn end(self) -> Result<T, tokio::task::JoinError> {
        self.stop.cancel();
        self.task.await
    }
}

/// The local gateway's supervisor, if there is a program to supervise.
fn supervisor(
    settings: LocalGateway,
    log: Log,
    token: SecretString,
    addresses: Listeners,
) -> Option<Supervisor> {
    match Supervisor::new(settings, log, token, addresses.nodes) {
        Ok(supervisor) => Some(supervisor),
        Err(error) => {
            tracing::error!(
                "{error:#}: no session can be paired or connected; set BERTH_GATEWAY_BIN, or \
                 configure gateways elsewhere"
            );
            None
        }
    }
}
