//! A running node, put together and taken apart.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use anyhow::Context as _;
use gateway_protocol::Enlist;
use tokio::{
    sync::{Notify, Semaphore, watch},
    task::JoinHandle,
};
use tokio_util::sync::CancellationToken;

use crate::{
    api::{self, Api},
    config::Settings,
    context::Context,
    fleet::Fleet,
    keys::{FolderLock, Vault},
    outbox::Outbox,
    reporter::Reporter,
    router::Router,
    server,
    turns::Turns,
    web::{Fetcher, Web},
    wire::{WebSockets, Wire},
};

/// How many sessions connect at once; the rest wait their turn.
const CONNECTING: usize = 32;
/// How long sessions may take to close at the end.
const CLOSING: Duration = Duration::from_secs(5);
/// The version told to a simulated WhatsApp, which does not care.
const SIMULATED_VERSION: (u32, u32, u32) = (2, 3000, 1_023_223_821);

/// A node at work. Stop it with [`Node::stop`]; dropping it leaves its tasks running.
pub struct Node {
    address: SocketAddr,
    fleet: Arc<Fleet>,
    stop: CancellationToken,
    server: JoinHandle<()>,
    _lock: FolderLock,
}

impl Node {
    /// Starts a node: locks its folder, listens, and begins to enlist.
    ///
    /// # Errors
    /// When another node has the folder, the address is taken, or the folder cannot be used.
    pub async fn start(settings: Settings) -> anyhow::Result<Self> {
        let wire = Arc::new(WebSockets(settings.whatsapp.clone()));
        Self::start_over(settings, wire).await
    }

    /// The same, reaching WhatsApp some other way.
    ///
    /// # Errors
    /// As [`Self::start`].
    pub async fn start_over(settings: Settings, wire: Arc<dyn Wire>) -> anyhow::Result<Self> {
        let lock = FolderLock::take(&settings.data)?;
        let vault = vault(&settings).context("the data folder cannot be used")?;
        let (listener, address) = server::listen(settings.listen)
            .await
            .with_context(|| format!("cannot listen on {}", settings.listen))?;
        let web = Web::new()?;
        let context = Arc::new(context(&settings, vault, wire, web.clone()));
        let fleet = Fleet::new(context.clone(), settings.capacity).await;
        let stop = CancellationToken::new();
        let api = Arc::new(Api {
            gateway: settings.id.clone(),
            capacity: settings.capacity,
            token: settings.token.clone(),
            fleet: fleet.clone(),
            routes: Api::routes()?,
        });
        let router = Router::new(web, &settings.router, &settings.id, &settings.token)?;
        let enlist = enlist(&settings, address, context.vault.is_readable());
        tracing::info!(version = crate::program(), %address, advertised = enlist.address, "listening");
        if cfg!(feature = "sim") {
            tracing::warn!(
                whatsapp = settings.whatsapp,
                "this build meets a simulated WhatsApp only and does not check who it speaks to"
            );
        }
        let (unknown, beat_soon) = (Notify::new(), Notify::new());
        let reporter =
            Reporter { context, fleet: fleet.clone(), router, enlist, unknown, beat_soon };
        tokio::spawn(stop.clone().run_until_cancelled_owned(belong(reporter)));
        let server = tokio::spawn(server::serve(listener, api, stop.clone()));
        Ok(Self { address, fleet, stop, server, _lock: lock })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Takes no more calls, closes every session, and ends. Takes some seconds at most.
    pub async fn stop(self) {
        self.stop.cancel();
        self.fleet.close(CLOSING).await;
        let _ = self.server.await;
        tracing::info!("stopped");
    }
}

async fn belong(reporter: Reporter) {
    tokio::join!(reporter.belong(), reporter.report());
}

fn vault(settings: &Settings) -> anyhow::Result<Vault> {
    if settings.keys_in_memory { Ok(Vault::in_memory()) } else { Vault::open(&settings.data) }
}

fn context(settings: &Settings, vault: Vault, wire: Arc<dyn Wire>, web: Web) -> Context {
    let simulated = settings.whatsapp.is_some();
    let linking = usize::from(settings.max_linking);
    Context {
        vault,
        outbox: Outbox::default(),
        wire,
        http: Arc::new(Fetcher::new((!simulated).then_some(web))),
        version: simulated.then_some(SIMULATED_VERSION),
        computing: Arc::new(Semaphore::new(spare_cores())),
        connects: Turns::new(CONNECTING, 0),
        links: Turns::new(linking, linking),
        boot: watch::Sender::new(0),
        seq: 0.into(),
    }
}

/// All cores but one, which is for everybody else.
fn spare_cores() -> usize {
    std::thread::available_parallelism().map_or(1, |cores| cores.get().saturating_sub(1).max(1))
}

fn enlist(settings: &Settings, bound: SocketAddr, keys_are_readable: bool) -> Enlist {
    Enlist {
        incarnation: format!("{:032x}", rand::random::<u128>()),
        address: settings.advertise.clone().unwrap_or_else(|| format!("http://{bound}")),
        version: crate::program(),
        features: api::features(),
        // A node that can keep no keys takes no new sessions.
        capacity: if keys_are_readable { settings.capacity } else { 0 },
    }
}
