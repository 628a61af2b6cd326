//! The running router: the order in which its parts start and stop.
//!
//! At a stop, the requests of callers end first, then the jobs of the worker, then the local
//! gateway. The listeners for nodes and operators end last, because both still use them.

use std::{sync::Arc, time::Duration};

use anyhow::{Context, Result, bail};
use http_hyper::{Drained, Limits, NodeApi, PublicUrl, serve_with_tls};
use secrecy::SecretString;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::{
    assemble::{Dependencies, Parts, Secrets, assemble},
    backups, browsers, clock_skew,
    config::{Config, Connections, GatewayTokens, Gateways, Listeners, LocalGateway, Log, Streams},
    environment::SystemEnvironment,
    fleet_metrics,
    invalid::Invalid,
    listeners::{self, BoundListeners},
    local_gateway::{self, Supervisor},
    message_metrics,
    metrics::Metrics,
    node_tls,
    only_server::{self, ServerLock},
    seal, service_status, store,
    webhook_sender::{self, RouterWebhookSender},
};

/// The time that requests of callers in flight get at a stop.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(10);
/// The time that requests of nodes and operators get; both retry.
const SHORT_DRAIN_TIMEOUT: Duration = Duration::from_secs(2);

/// A task with the token that stops it.
struct Running<T> {
    stop: CancellationToken,
    task: JoinHandle<T>,
}

/// What runs beside the parts of the router.
struct Background {
    supervisor: Option<Supervisor>,
    periodic: [Running<()>; 6],
    server_lock: ServerLock,
}

/// The running router.
pub(crate) struct Router {
    pub(crate) addresses: Listeners,
    shutting_down: CancellationToken,
    public: Running<Drained>,
    streams: Running<()>,
    worker: Running<()>,
    outbox: Running<()>,
    remover: Running<()>,
    webhooks: Running<()>,
    feed: Running<()>,
    /// The comparison of clocks, the rotation of seal keys, the lookup of the database's address, the age
    /// of the queue of messages, the figures of the fleet, and the reports to the service manager.
    periodic: [Running<()>; 6],
    gateway: Option<Running<()>>,
    nodes: Running<Drained>,
    ops: Running<Drained>,
    _server_lock: ServerLock,
}

impl Router {
    /// Starts all parts. When the future completes, the router answers requests.
    pub(crate) async fn start(config: Config) -> Result<Self> {
        let node_tls = node_tls::listener(&config.node_tls)?;
        let node_authorities = node_tls::authorities(&config.node_tls)?;
        let database = store::open(&config.database).await?.with_quotas(config.quotas);
        tracing::info!(kind = database.kind().as_str(), "the database is open");
        backups::remove_copy(&database);
        let environment = Arc::new(SystemEnvironment::default());
        let login = auth::JwtVerifier::start(config.login, environment.clone()).await;
        let login = login.map_err(Invalid::from)?;
        if login.is_none() {
            tracing::info!("no key set is configured: login tokens are refused, API keys work");
        }
        let server_lock = only_server::lock(&database, &*environment).await?;
        let database_servers = config.database.servers();
        let sealer = Arc::new(seal::open(&database, environment.clone(), config.seal_keys).await?);
        let bound = listeners::bind(config.listeners, node_tls)?;
        let addresses = bound.addresses()?;
        let (gateways, local) = match config.gateways {
            Gateways::Remote(gateways) => (gateways, None),
            Gateways::Local(settings) => {
                let (id, token) = local_gateway::credentials()?;
                let tokens = [(id, token.clone())].into();
                (GatewayTokens { tokens, fleet: None }, Some((settings, token)))
            }
        };
        let shutting_down = CancellationToken::new();
        let deadlines = config.deadlines;
        let metrics = Arc::new(Metrics::start(store::folder(&database))?);
        seal::report_unsealed(&sealer);
        let secrets = Secrets {
            cursor: database.secret("cursor", rand::random()).await?,
            tag: database.secret("group", rand::random()).await?,
            bookmark: database.secret("bookmark", rand::random()).await?,
            ticket: database.secret("ticket", rand::random()).await?,
            login: database.secret("login", rand::random()).await?,
        };
        let sender = webhook_sender::start(config.webhook_allow, addresses)?;
        let (compared, clock) = (database.clone(), environment.clone());
        let queue = (database.clone(), environment.clone());
        let fleet = (database.clone(), login.clone(), environment.clone());
        let login_flow = browsers::login_flow(&config.browsers, environment.clone())?;
        let public_url = config.browsers.public_url.clone();
        let public_url = public_url.unwrap_or_else(|| PublicUrl::of_listener(addresses.public));
        if config.browsers.enabled {
            let url = public_url.origin();
            tracing::info!(url, "browsers reach the service at this URL; see BERTH_PUBLIC_URL");
        }
        let dependencies = Dependencies {
            database,
            environment,
            login,
            gateways,
            node_authorities,
            deadlines,
            outbox_limits: config.outbox,
            rates: config.rates,
            return_origins: config.return_origins,
            secrets,
            sealer: sealer.clone(),
            webhook_sender: Arc::new(RouterWebhookSender::new(sender.clone())),
            metrics,
            shutting_down: shutting_down.clone(),
            browsers: config.browsers,
            public_url,
            login_flow,
        };
        let parts = assemble(dependencies)?;
        let supervisor =
            local.and_then(|(settings, token)| supervisor(settings, config.log, token, addresses));
        let periodic = [
            Running::start(|stop| clock_skew::run(compared, clock, stop)),
            Running::start(|stop| seal::rotate(sealer, stop)),
            Running::start(|stop| {
                webhook_sender::deny_own_addresses(sender, addresses, database_servers, stop)
            }),
            Running::start(|stop| message_metrics::watch_queue(queue.0, queue.1, stop)),
            Running::start(|stop| fleet_metrics::run(fleet.0, fleet.1, fleet.2, stop)),
            Running::start(|stop| service_status::run(parts.readiness.clone(), stop)),
        ];
        let background = Background { supervisor, periodic, server_lock };
        Ok(Self::run(parts, bound, addresses, &config.connections, shutting_down, background))
    }

    fn run(
        parts: Parts,
        bound: BoundListeners,
        addresses: Listeners,
        connections: &Connections,
        shutting_down: CancellationToken,
        background: Background,
    ) -> Self {
        let Background { supervisor, periodic, server_lock } = background;
        let Parts { api, nodes, worker, outbox, remover, webhooks, feed, readiness: _ } = parts;
        let limits = |drain, limits| Limits {
            drain,
            idle: connections.keep_alive,
            trusted_proxies: connections.trusted_proxies.clone(),
            ..limits
        };
        let public = api.public(limits(DRAIN_TIMEOUT, with_streams(connections.streams)));
        let ops = api.operators(limits(SHORT_DRAIN_TIMEOUT, Limits::default()));
        let nodes = nodes.service(limits(SHORT_DRAIN_TIMEOUT, NodeApi::limits()));
        Self {
            addresses,
            shutting_down,
            periodic,
            public: Running::start(|stop| http_hyper::serve(bound.public, public, stop)),
            streams: Running::start(|stop| async move { api.watch_streams(stop).await }),
            nodes: Running::start(|stop| serve_with_tls(bound.nodes, bound.node_tls, nodes, stop)),
            ops: Running::start(|stop| http_hyper::serve(bound.ops, ops, stop)),
            worker: Running::start(|stop| worker.run(stop)),
            outbox: Running::start(|stop| outbox.run(stop)),
            remover: Running::start(|stop| remover.run(stop)),
            webhooks: Running::start(|stop| webhooks.run(stop)),
            feed: Running::start(|stop| feed.run(stop)),
            gateway: supervisor.map(|supervisor| Running::start(|stop| supervisor.run(stop))),
            _server_lock: server_lock,
        }
    }

    /// Completes when a part ends that was not told to stop. The router cannot work without the
    /// part.
    pub(crate) async fn failed(&mut self) {
        tokio::select! {
            _ = &mut self.public.task => {}
            _ = &mut self.streams.task => {}
            _ = &mut self.worker.task => {}
            _ = &mut self.outbox.task => {}
            _ = &mut self.remover.task => {}
            _ = &mut self.webhooks.task => {}
            _ = &mut self.feed.task => {}
            _ = &mut self.nodes.task => {}
            _ = &mut self.ops.task => {}
        }
    }

    /// Stops all parts in order.
    ///
    /// # Errors
    /// If a part panicked, or if requests were cut off after [`DRAIN_TIMEOUT`].
    pub(crate) async fn stop(self) -> Result<()> {
        self.shutting_down.cancel();
        let drained = self.public.end().await.context("the public listener")?;
        self.streams.end().await.context("the check of event streams")?;
        self.worker.end().await.context("the worker")?;
        self.outbox.end().await.context("the sender of messages")?;
        self.remover.end().await.context("the removal of messages")?;
        self.webhooks.end().await.context("the dispatcher of webhooks")?;
        self.feed.end().await.context("the event feed")?;
        for periodic in self.periodic {
            periodic.end().await.context("a periodic task")?;
        }
        if let Some(gateway) = self.gateway {
            gateway.end().await.context("the local gateway's supervisor")?;
        }
        let _ = self.nodes.end().await.context("the nodes' listener")?;
        let _ = self.ops.end().await.context("the operators' listener")?;
        match drained {
            Drained::Finished => Ok(()),
            Drained::CutOff => bail!("some requests were cut off after {DRAIN_TIMEOUT:?}"),
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

/// Returns the limits of a listener with event streams, whose connections are further ones.
fn with_streams(streams: Streams) -> Limits {
    let limits = Limits::default();
    Limits {
        connections: limits.connections + streams.router,
        streams: streams.router,
        streams_per_group: streams.organization,
        streams_per_member: streams.credential,
        ..limits
    }
}

/// Returns the supervisor of the local gateway; `None`, with a logged error, if there is no
/// program.
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
