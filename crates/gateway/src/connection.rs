//! One life of the engine over one session's keys: opened, watched, closed, and gone before the
//! keys are opened or wiped again.

use std::{
    sync::{
        Arc, Mutex, PoisonError, Weak,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tokio::{
    sync::{OwnedMutexGuard, mpsc},
    task::JoinHandle,
};
use tokio_util::sync::{CancellationToken, DropGuard};
use wacore::{
    net::HttpClient,
    store::{DevicePropsOverride, traits::Backend},
    types::events::{Event, EventHandler, EventInterest},
};
use waproto::whatsapp::device_props::PlatformType;
use whatsapp_rust::{
    Client, RawNodeLease,
    store::{commands::DeviceCommand, persistence_manager::PersistenceManager},
};

use crate::{
    board::Cell,
    cage::Cage,
    context::Context,
    translate::{self, End, Sight},
    turns::{Group, Turn},
    wire::{KeptSockets, Promise},
};

/// More than one connection ever has under way; beyond it something is badly wrong.
const SIGHTS: usize = 256;
/// How long a connection may take to say goodbye.
const GOODBYE: Duration = Duration::from_secs(3);
/// How long stragglers may hold the keys after that.
const STRAGGLERS: Duration = Duration::from_secs(3);
/// A connection that is neither up nor refused after this no longer holds up others.
const TURN: Duration = Duration::from_secs(20);

/// An engine at work. Dropping it closes the connection in the background.
pub(crate) struct Connection {
    sights: mpsc::Receiver<Sight>,
    sender: mpsc::WeakSender<Sight>,
    _open: DropGuard,
    life: JoinHandle<()>,
    cage: Cage,
    /// Whether the keys can be of a linked device: they were, or WhatsApp may have been told so.
    may_be_linked: Arc<AtomicBool>,
    over: bool,
}

impl Connection {
    /// Begins to open the session's keys and to connect by them; `linking` when they are new.
    pub(crate) fn open(context: &Arc<Context>, cell: &Arc<Cell>, linking: bool) -> Self {
        let (sender, sights) = mpsc::channel(SIGHTS);
        let open = CancellationToken::new();
        let may_be_linked = Arc::new(AtomicBool::new(!linking));
        let life = Life {
            told: may_be_linked.clone(),
            context: context.clone(),
            cell: cell.clone(),
            sights: sender.clone(),
            closed: open.clone(),
            cage: Cage::new(context.computing.clone(), cell.session.as_str()),
            linking,
        };
        let (sender, cage) = (sender.downgrade(), life.cage.clone());
        let life = tokio::spawn(life.live());
        let over = false;
        Self { sights, sender, _open: open.drop_guard(), life, cage, may_be_linked, over }
    }

    /// What is seen next; [`Sight::Ended`] is the last.
    pub(crate) async fn sight(&mut self) -> Sight {
        tokio::select! {
            biased;
            Some(sight) = self.sights.recv() => sight,
            // Its task is gone without having said so: it died.
            _ = &mut self.life, if !self.over => {
                self.over = true;
                Sight::Ended(End::Crashed)
            }
        }
    }

    /// Where work done on behalf of this connection says how it went.
    pub(crate) fn sender(&self) -> mpsc::WeakSender<Sight> {
        self.sender.clone()
    }

    /// Closes it and waits until the engine is gone, however long that takes: before, it may still
    /// complete a link and write its keys. Whether a link that the keys then hold can be one: WhatsApp
    /// may have heard of it.
    pub(crate) async fn close(self) -> bool {
        let Self { sights, _open: open, life, cage, may_be_linked, over, .. } = self;
        drop((open, sights)); // what was seen but not read may hold the engine
        if !over {
            let abort = life.abort_handle();
            if tokio::time::timeout(GOODBYE * 3 + STRAGGLERS, life).await.is_err() {
                abort.abort();
            }
        }
        while !cage.close(STRAGGLERS).await {}
        may_be_linked.load(Ordering::Acquire)
    }
}

struct Life {
    context: Arc<Context>,
    cell: Arc<Cell>,
    sights: mpsc::Sender<Sight>,
    closed: CancellationToken,
    cage: Cage,
    linking: bool,
    told: Arc<AtomicBool>,
}

/// What is held while others must wait.
#[derive(Default)]
struct Held {
    connecting: Option<Turn>,
    #[expect(dead_code, reason = "held, and given back when dropped")]
    linking: Option<Turn>,
    /// Shows stanzas as they come: how many QR codes there are is only in the one that brings them.
    offers: Option<RawNodeLease>,
}

type Turns = Arc<Mutex<Held>>;

impl Life {
    async fn live(self) {
        let closed = self.closed.clone();
        let Some((_keys, turns)) = closed.run_until_cancelled(self.wait()).await else {
            return;
        };
        let store = match self.context.vault.keys(&self.cell.session).await {
            Ok(store) => store,
            Err(error) => return self.tell(End::Stopped(format!("cannot open the keys: {error}"))),
        };
        let held = Arc::downgrade(&store);
        let end = match self.client(store, &turns).await {
            Ok(client) => self.run(client, &turns).await,
            Err(error) => Some(End::Stopped(format!("the engine does not start: {error}"))),
        };
        if let Some(end) = end {
            self.tell(end);
        }
        let _ended = self.cage.close(STRAGGLERS).await; // whoever closes it waits for the rest
        released(&held).await;
    }

    /// For the keys, which an earlier connection may still hold, and for a turn.
    async fn wait(&self) -> (OwnedMutexGuard<()>, Turns) {
        let keys = self.cell.keys.clone().lock_owned().await;
        let group = self.cell.group();
        let linking = if self.linking { Some(self.turn_at_linking(&group).await) } else { None };
        let connecting = Some(self.context.connects.take(&group).await);
        self.see(Sight::Begins);
        (keys, Arc::new(Mutex::new(Held { connecting, linking, offers: None })))
    }

    async fn turn_at_linking(&self, group: &Group) -> Turn {
        if let Some(turn) = self.context.links.try_take(group) {
            return turn;
        }
        self.see(Sight::Waits);
        self.context.links.take(group).await
    }

    async fn client(&self, store: Arc<dyn Backend>, turns: &Turns) -> anyhow::Result<Arc<Client>> {
        let device = Arc::new(PersistenceManager::new(store).await?);
        device.process_command(DeviceCommand::SetDeviceProps(companion())).await;
        let sockets = KeptSockets {
            inner: self.context.wire.sockets(self.cell.session.as_str()),
            promise: Promise::new(device.clone(), self.told.clone()),
            cage: self.cage.clone(),
        };
        let http: Arc<dyn HttpClient> = self.context.http.clone();
        let mut builder = Client::builder()
            .with_runtime(self.cage.clone())
            .with_persistence_manager(device)
            .with_transport_factory(sockets)
            .with_http_client_arc(http)
            .with_skip_history_sync(true)
            .with_background_saver_interval(Duration::from_secs(30));
        if let Some(version) = self.context.version {
            builder = builder.with_version_override(version);
        }
        let client = builder.build().await?.into_client();
        let watcher = Watcher {
            sights: self.sights.clone(),
            cage: self.cage.clone(),
            turns: Arc::downgrade(turns),
        };
        client.subscribe_handler(Arc::new(watcher)).detach();
        Ok(client)
    }

    /// Until it is closed (`None`) or ends by itself.
    async fn run(&self, client: Arc<Client>, turns: &Turns) -> Option<End> {
        self.see(Sight::Opened(client.clone()));
        if self.linking {
            lock(turns).offers = Some(client.acquire_raw_node_forwarding());
        }
        let running = client.clone();
        let engine = self.cage.run(async move { running.run().await });
        let slow = turns.clone();
        self.cage.run(async move {
            tokio::time::sleep(TURN).await;
            lock(&slow).connecting = None;
        });
        let end = tokio::select! {
            () = self.closed.cancelled() => None,
            () = self.cage.broke() => Some(End::Crashed),
            _ = engine => Some(End::Stopped("WhatsApp closed the connection".into())),
        };
        if tokio::time::timeout(GOODBYE, client.disconnect()).await.is_err() {
            tracing::warn!(session = self.cell.session.as_str(), "no orderly goodbye in time");
        }
        lock(turns).offers = None;
        if self.cage.is_broken() && end.is_some() { Some(End::Crashed) } else { end }
    }

    fn see(&self, sight: Sight) {
        // Full only when nobody reads, which is when nobody is there to tell.
        let _ = self.sights.try_send(sight);
    }

    fn tell(&self, end: End) {
        self.see(Sight::Ended(end));
    }
}

/// Who this device says it is, on the phone's list of linked devices.
fn companion() -> DevicePropsOverride {
    DevicePropsOverride::new().with_os("berth").with_platform_type(PlatformType::CHROME)
}

/// Waits, for a while, until nothing holds the store any more.
async fn released(held: &Weak<dyn Backend>) {
    let free = async {
        while held.strong_count() > 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    if tokio::time::timeout(STRAGGLERS, free).await.is_err() {
        tracing::warn!("the engine goes on holding the keys of a closed connection");
    }
}

fn lock(turns: &Mutex<Held>) -> std::sync::MutexGuard<'_, Held> {
    turns.lock().unwrap_or_else(PoisonError::into_inner)
}

struct Watcher {
    sights: mpsc::Sender<Sight>,
    cage: Cage,
    turns: Weak<Mutex<Held>>,
}

impl Watcher {
    /// Lets the next ones try, once it is known how this one fares.
    fn pass_on(&self, sight: &Sight) {
        let Some(turns) = self.turns.upgrade() else { return };
        let mut turn = lock(&turns);
        match sight {
            Sight::Offered(_) | Sight::Renamed | Sight::Waits | Sight::Begins => {}
            Sight::Qr(..) | Sight::Dropped(_) | Sight::Linked => turn.connecting = None,
            _ => *turn = Held::default(),
        }
    }
}

impl EventHandler for Watcher {
    fn handle_event(&self, event: Arc<Event>) {
        let Some(sight) = translate::sight(&event, wacore::time::now_millis()) else { return };
        self.pass_on(&sight);
        if let Err(mpsc::error::TrySendError::Full(_)) = self.sights.try_send(sight) {
            self.cage.breaks();
        }
    }

    fn interest(&self) -> EventInterest {
        translate::interest()
    }
}
