//! Assembles, starts and stops a node.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use anyhow::Context as _;
use gateway_protocol::Register;
use http_listener::{Drained, HttpService, ListenerTls, serve_with_tls};
use tokio::{
    net::TcpListener,
    sync::{Notify, Semaphore, watch},
    task::JoinHandle,
};
use tokio_util::sync::CancellationToken;

use crate::{
    api::{self, Api},
    config::{Settings, tls},
    context::NodeContext,
    data_folder::{FolderLock, RESTORED_FILE, remove_copies},
    deliverer::Deliverer,
    engine_http_client::EngineHttpClient,
    fair_permits::FairPermits,
    fleet::Fleet,
    journal::{Journal, JournalLimits},
    keys::KeyStore,
    ops::{BoundOpsListener, OpsServer},
    outbox::Outbox,
    outgoing_http::{self, OutgoingClients},
    reporter::Reporter,
    router_client::RouterClient,
    version::program_version,
    whatsapp_transport::{TransportProvider, WebSocketProvider},
};

/// Sessions that connect at the same time; other sessions wait for a permit.
const MAX_CONNECTING: usize = 32;
/// Time limit for closing all sessions when the node stops.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(5);
/// The version of WhatsApp Web that the node claims to a simulated WhatsApp, which accepts any
/// version.
const SIMULATED_VERSION: (u32, u32, u32) = (2, 3000, 1_023_223_821);

/// A running node. [`Node::stop`] stops the node; dropping the value leaves its tasks running.
pub struct Node {
    address: SocketAddr,
    fleet: Arc<Fleet>,
    journal: Arc<Journal>,
    stop: CancellationToken,
    server: JoinHandle<Drained>,
    ops: Option<OpsServer>,
    _lock: FolderLock,
}

impl Node {
    /// Starts a node: locks its data folder, listens, and starts to register with the router.
    ///
    /// # Errors
    /// Fails when another node has the folder, when the address is in use, or when the folder
    /// cannot be used.
    pub async fn start(settings: Settings) -> anyhow::Result<Self> {
        let transports = Arc::new(WebSocketProvider(settings.whatsapp.clone()));
        Self::start_with_transports(settings, transports).await
    }

    /// Starts a node that connects to WhatsApp through `transports`.
    ///
    /// # Errors
    /// Fails like [`Self::start`].
    pub async fn start_with_transports(
        settings: Settings,
        transports: Arc<dyn TransportProvider>,
    ) -> anyhow::Result<Self> {
        let (tls, authorities) = (settings.tls.listener()?, settings.tls.authorities()?);
        let lock = FolderLock::take(&settings.data)?;
        remove_copies(&settings.data);
        if let Ok(mark) = std::fs::read_to_string(settings.data.join(RESTORED_FILE)) {
            tracing::info!(mark, "this data folder was restored from a back-up");
        }
        // Before the databases, which count their writes.
        let ops = BoundOpsListener::bind(&settings).await?;
        let key_store = open_key_store(&settings).context("the data folder cannot be used")?;
        let listener = TcpListener::bind(settings.listen)
            .await
            .with_context(|| format!("cannot listen on {}", settings.listen))?;
        let address = listener.local_addr()?;
        let clients = outgoing_http::clients()?;
        let journal = Journal::open(&settings.data, JournalLimits::default()).await?;
        let context =
            Arc::new(node_context(&settings, key_store, journal, transports, clients.clone()));
        let journal = context.journal.clone();
        let fleet = Fleet::new(context.clone(), settings.capacity).await;
        let stop = CancellationToken::new();
        let api = Arc::new(Api {
            gateway: settings.id.clone(),
            capacity: settings.capacity,
            token: settings.token.clone(),
            fleet: fleet.clone(),
            routes: Api::routes()?,
        });
        let router = outgoing_http::router_client(&clients.calls, authorities)?;
        let router = RouterClient::new(router, &settings.router, &settings.id, &settings.token)?;
        let registration = registration(&settings, address, context.key_store.is_readable());
        let advertised = &registration.address;
        let ops = ops.map(|ops| ops.serve(fleet.clone(), stop.clone())).transpose()?;
        let ops_address = ops.as_ref().map(|ops| tracing::field::display(ops.address()));
        tracing::info!(version = program_version(), %address, advertised, ops_address, "listening");
        warn_of_unlike_names(tls.as_ref(), advertised);
        if cfg!(feature = "sim") {
            tracing::warn!(
                whatsapp = settings.whatsapp,
                "this build connects to a simulated WhatsApp only and does not verify its certificate"
            );
        }
        let (router, unregistered) = (Arc::new(router), Arc::new(Notify::new()));
        let deliverer = Deliverer {
            journal: context.journal.clone(),
            router: router.clone(),
            incarnation: registration.incarnation.clone(),
            generation: context.generation.subscribe(),
            unregistered: unregistered.clone(),
        };
        tokio::spawn(stop.clone().run_until_cancelled_owned(deliverer.run()));
        let reporter = Reporter {
            context,
            fleet: fleet.clone(),
            router,
            registration,
            unregistered,
            early_heartbeat: Notify::new(),
        };
        tokio::spawn(stop.clone().run_until_cancelled_owned(run_membership(reporter)));
        let service = HttpService::new(api, api::limits());
        let server = tokio::spawn(serve_with_tls(listener, tls, service, stop.clone()));
        Ok(Self { address, fleet, journal, stop, server, ops, _lock: lock })
    }

    /// Returns the number of sessions, and of those that are connected.
    pub fn session_counts(&self) -> (usize, usize) {
        self.fleet.counts()
    }

    /// Returns the address of the node's listener.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Returns the address of the listener for operators; `None` without one.
    pub fn ops_address(&self) -> Option<SocketAddr> {
        self.ops.as_ref().map(OpsServer::address)
    }

    /// Accepts no more calls, closes every session, and ends. Takes a few seconds at most.
    pub async fn stop(self) {
        self.stop.cancel();
        self.fleet.close(CLOSE_TIMEOUT).await;
        self.journal.flush().await;
        let _ = self.server.await;
        if let Some(ops) = self.ops {
            ops.stop().await;
        }
        tracing::info!("stopped");
    }
}

/// Warns if routers will reject the certificate, because it does not name the host of the advertised
/// URL, and if they will find no TLS at an advertised `https://` URL, unless a proxy adds it.
fn warn_of_unlike_names(tls: Option<&ListenerTls>, advertised: &str) {
    match tls {
        Some(tls) if !tls.certificate().names(&tls::host(advertised)) => {
            tracing::warn!(
                advertised,
                "the certificate does not name the host of the advertised URL: routers will reject it"
            );
        }
        None if advertised.starts_with("https://") => {
            tracing::warn!(
                advertised,
                "routers will call by https, and the listener speaks plain HTTP: set --tls-cert, unless a proxy adds TLS"
            );
        }
        _ => {}
    }
}

async fn run_membership(reporter: Reporter) {
    tokio::join!(reporter.maintain_membership(), reporter.send_reports());
}

fn open_key_store(settings: &Settings) -> anyhow::Result<KeyStore> {
    if settings.keys_in_memory { Ok(KeyStore::in_memory()) } else { KeyStore::open(&settings.data) }
}

fn node_context(
    settings: &Settings,
    key_store: KeyStore,
    journal: Arc<Journal>,
    transports: Arc<dyn TransportProvider>,
    clients: OutgoingClients,
) -> NodeContext {
    let simulated = settings.whatsapp.is_some();
    let linking = usize::from(settings.max_linking);
    NodeContext {
        key_store,
        journal,
        outbox: Outbox::default(),
        transports,
        reachability: Arc::default(),
        http: Arc::new(EngineHttpClient::new((!simulated).then_some(clients))),
        version: simulated.then_some(SIMULATED_VERSION),
        compute_permits: Arc::new(Semaphore::new(compute_permit_count())),
        connect_permits: FairPermits::new(MAX_CONNECTING, 0),
        link_permits: FairPermits::new(linking, linking),
        generation: watch::Sender::new(0),
        seq: 0.into(),
    }
}

/// All processors but one, so that the engines leave one to all other work.
fn compute_permit_count() -> usize {
    std::thread::available_parallelism().map_or(1, |cores| cores.get().saturating_sub(1).max(1))
}

fn registration(settings: &Settings, bound: SocketAddr, keys_are_readable: bool) -> Register {
    Register {
        incarnation: format!("{:032x}", rand::random::<u128>()),
        address: settings.advertised(bound),
        version: program_version(),
        features: api::features(),
        // A node that cannot store keys takes no new sessions.
        capacity: if keys_are_readable { settings.capacity } else { 0 },
    }
}
