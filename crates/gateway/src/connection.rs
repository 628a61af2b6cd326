//! One run of the engine with the keys of one session. The keys are opened or wiped again only
//! after the run has ended.

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
    store::{Device, DevicePropsOverride, device::default_history_sync_config, traits::Backend},
    types::events::{Event, EventHandler, EventInterest},
};
use waproto::whatsapp::device_props::PlatformType;
use whatsapp_rust::{
    CacheConfig, CacheEntryConfig, Client, RawNodeLease,
    store::{commands::DeviceCommand, persistence_manager::PersistenceManager},
};

use crate::{
    context::NodeContext,
    engine_events::{self, ConnectionEvent, EngineExit},
    engine_runtime::EngineRuntime,
    fair_permits::{FairPermit, Group},
    messaging::{EngineWire, InboundJournal, LearnedNames, MessageEvents, Presence},
    reachability::ConnectAttempts,
    session_state::StateCell,
    whatsapp_transport::{PersistBeforeSend, PersistingTransportFactory},
};

/// Queued events of one connection; far above the number that occurs. An overflow marks the engine
/// as crashed.
const MAX_QUEUED_EVENTS: usize = 256;
/// Time for an orderly disconnect from WhatsApp.
const DISCONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// Time for remaining engine tasks to end and to release the keys, after the disconnect.
const TASK_END_TIMEOUT: Duration = Duration::from_secs(3);
/// Time after which a connection that is neither up nor refused gives its connect permit back.
const MAX_CONNECT_PERMIT_TIME: Duration = Duration::from_secs(20);

/// A running engine. Dropping the value closes the connection in the background.
pub(crate) struct Connection {
    events: mpsc::Receiver<ConnectionEvent>,
    sender: mpsc::WeakSender<ConnectionEvent>,
    _open: DropGuard,
    task: JoinHandle<()>,
    runtime: EngineRuntime,
    /// Whether the keys can belong to a linked device: they were opened as linked, or WhatsApp may
    /// have received the confirmation of a link.
    may_be_linked: Arc<AtomicBool>,
    attempts: Arc<ConnectAttempts>,
    ended: bool,
}

impl Connection {
    /// Starts a task that opens the keys of the session and connects. `linking` says that the keys
    /// link no device yet.
    pub(crate) fn open(
        context: &Arc<NodeContext>,
        state_cell: &Arc<StateCell>,
        linking: bool,
    ) -> Self {
        let (sender, events) = mpsc::channel(MAX_QUEUED_EVENTS);
        let open = CancellationToken::new();
        let may_be_linked = Arc::new(AtomicBool::new(!linking));
        let attempts = Arc::new(ConnectAttempts::new(context.reachability.clone()));
        let task = ConnectionTask {
            may_be_linked: may_be_linked.clone(),
            attempts: attempts.clone(),
            context: context.clone(),
            state_cell: state_cell.clone(),
            events: sender.clone(),
            closed: open.clone(),
            ended: open.child_token(),
            runtime: EngineRuntime::new(
                context.compute_permits.clone(),
                state_cell.session.as_str(),
            ),
            linking,
        };
        let (sender, runtime) = (sender.downgrade(), task.runtime.clone());
        let task = tokio::spawn(task.run());
        let ended = false;
        Self {
            events,
            sender,
            _open: open.drop_guard(),
            task,
            runtime,
            may_be_linked,
            attempts,
            ended,
        }
    }

    /// Returns the next event. The last one is [`ConnectionEvent::EngineStopped`].
    pub(crate) async fn next_event(&mut self) -> ConnectionEvent {
        tokio::select! {
            biased;
            Some(event) = self.events.recv() => event,
            // The task ended without a final event: it panicked.
            _ = &mut self.task, if !self.ended => {
                self.ended = true;
                ConnectionEvent::EngineStopped(EngineExit::Crashed)
            }
        }
    }

    /// Returns whether the engine waits before its next attempt although WhatsApp can be reached again.
    pub(crate) fn waits_needlessly(&self) -> bool {
        self.attempts.waits_needlessly()
    }

    /// Returns a sender for the results of requests that run on behalf of this connection.
    pub(crate) fn sender(&self) -> mpsc::WeakSender<ConnectionEvent> {
        self.sender.clone()
    }

    /// Closes the connection and waits until the engine has ended, without a limit, because until
    /// then the engine may complete a link and write keys. Returns whether a link in the keys can
    /// be valid: whether WhatsApp may have received its confirmation.
    pub(crate) async fn close(self) -> bool {
        let Self { events, _open: open, task, runtime, may_be_linked, ended, .. } = self;
        drop((open, events)); // unread events may hold the engine
        if !ended {
            let abort = task.abort_handle();
            if tokio::time::timeout(DISCONNECT_TIMEOUT * 3 + TASK_END_TIMEOUT, task).await.is_err()
            {
                abort.abort();
            }
        }
        while !runtime.shut_down(TASK_END_TIMEOUT).await {}
        may_be_linked.load(Ordering::Acquire)
    }
}

struct ConnectionTask {
    context: Arc<NodeContext>,
    state_cell: Arc<StateCell>,
    events: mpsc::Sender<ConnectionEvent>,
    closed: CancellationToken,
    runtime: EngineRuntime,
    linking: bool,
    may_be_linked: Arc<AtomicBool>,
    attempts: Arc<ConnectAttempts>,
    /// Cancelled when the engine ends or the connection is closed.
    ended: CancellationToken,
}

/// The permits and leases that a connection holds while it starts.
#[derive(Default)]
struct HeldPermits {
    connecting: Option<FairPermit>,
    #[expect(dead_code, reason = "held until dropped")]
    linking: Option<FairPermit>,
    /// Forwards raw stanzas as events; only the stanza that offers the QR codes tells their number.
    raw_nodes: Option<RawNodeLease>,
}

type SharedPermits = Arc<Mutex<HeldPermits>>;

impl ConnectionTask {
    async fn run(self) {
        let closed = self.closed.clone();
        let Some((_keys, permits)) =
            closed.run_until_cancelled(self.wait_for_keys_and_permits()).await
        else {
            return;
        };
        let observer = Arc::new(LearnedNames(self.state_cell.feed.clone()));
        let keys = self.context.key_store.keys(&self.state_cell.session, Some(observer));
        let store = match keys.await {
            Ok(store) => store,
            Err(error) => {
                return self
                    .send_stopped(EngineExit::Stopped(format!("cannot open the keys: {error}")));
            }
        };
        let held = Arc::downgrade(&store);
        let end = match self.client(store, &permits).await {
            Ok(client) => self.run_client(client, &permits).await,
            Err(error) => Some(EngineExit::Stopped(format!("cannot start the engine: {error}"))),
        };
        if let Some(end) = end {
            self.send_stopped(end);
        }
        // `Connection::close` waits for the rest
        let _ended = self.runtime.shut_down(TASK_END_TIMEOUT).await;
        wait_for_store_release(&held).await;
    }

    /// Waits for the key lock, which an earlier connection may still hold, and for the permits.
    async fn wait_for_keys_and_permits(&self) -> (OwnedMutexGuard<()>, SharedPermits) {
        let keys = self.state_cell.key_lock.clone().lock_owned().await;
        let group = self.state_cell.group();
        let linking =
            if self.linking { Some(self.acquire_link_permit(&group).await) } else { None };
        let connecting = Some(self.context.connect_permits.acquire(&group).await);
        self.send_event(ConnectionEvent::Connecting);
        (keys, Arc::new(Mutex::new(HeldPermits { connecting, linking, raw_nodes: None })))
    }

    async fn acquire_link_permit(&self, group: &Group) -> FairPermit {
        if let Some(held) = self.context.link_permits.try_acquire(group) {
            return held;
        }
        self.send_event(ConnectionEvent::LinkQueued);
        self.context.link_permits.acquire(group).await
    }

    async fn client(
        &self,
        store: Arc<dyn Backend>,
        permits: &SharedPermits,
    ) -> anyhow::Result<Arc<Client>> {
        let device = Arc::new(PersistenceManager::new(store).await?);
        device.process_command(DeviceCommand::SetDeviceProps(device_props())).await;
        let transports = PersistingTransportFactory {
            inner: self.context.transports.transport_factory(self.state_cell.session.as_str()),
            attempts: self.attempts.clone(),
            persistence: PersistBeforeSend::new(device.clone(), self.may_be_linked.clone()),
            runtime: self.runtime.clone(),
        };
        let http: Arc<dyn HttpClient> = self.context.http.clone();
        let mut builder = Client::builder()
            .with_runtime(self.runtime.clone())
            .with_persistence_manager(device)
            .with_transport_factory(transports)
            .with_http_client_arc(http)
            // The engine takes tokens and names from the phone's past; nothing else stays of it.
            .with_skip_history_sync(false)
            .with_inbound_durability_hook_arc(InboundJournal::new(self.state_cell.feed.clone()))
            .with_cache_config(cache_config())
            .with_background_saver_interval(Duration::from_secs(30));
        if let Some(version) = self.context.version {
            builder = builder.with_version_override(version);
        }
        let client = builder.build().await?.into_client();
        let handler = EngineEventHandler {
            events: self.events.clone(),
            runtime: self.runtime.clone(),
            permits: Arc::downgrade(permits),
        };
        client.subscribe_handler(Arc::new(handler)).detach();
        self.subscribe_to_messages(&client);
        Ok(client)
    }

    fn subscribe_to_messages(&self, client: &Arc<Client>) {
        // Senders see that a message arrived although the account is not shown as online.
        client.set_force_active_delivery_receipts(true);
        let wire = EngineWire {
            context: self.context.clone(),
            session: self.state_cell.session.clone(),
            client: Arc::downgrade(client),
            closed: self.ended.clone(),
            runtime: self.runtime.clone(),
            presence: Presence::new(Arc::downgrade(client), self.runtime.clone()),
        };
        let events = MessageEvents {
            feed: self.state_cell.feed.clone(),
            sender: self.state_cell.sender.clone(),
            wire: Arc::new(wire),
        };
        client.subscribe_handler(Arc::new(events)).detach();
    }

    /// Runs the client until the connection is closed (returns `None`) or ends on its own.
    async fn run_client(&self, client: Arc<Client>, permits: &SharedPermits) -> Option<EngineExit> {
        self.send_event(ConnectionEvent::EngineStarted(client.clone()));
        if self.linking {
            lock(permits).raw_nodes = Some(client.acquire_raw_node_forwarding());
        }
        let running = client.clone();
        let engine = self.runtime.spawn_cancellable(async move { running.run().await });
        let slow = permits.clone();
        self.runtime.spawn_cancellable(async move {
            tokio::time::sleep(MAX_CONNECT_PERMIT_TIME).await;
            lock(&slow).connecting = None;
        });
        let end = tokio::select! {
            () = self.closed.cancelled() => None,
            () = self.runtime.wait_failed() => Some(EngineExit::Crashed),
            _ = engine => Some(EngineExit::Stopped("WhatsApp closed the connection".into())),
        };
        self.state_cell.sender.detached();
        self.ended.cancel();
        if tokio::time::timeout(DISCONNECT_TIMEOUT, client.disconnect()).await.is_err() {
            tracing::warn!(
                session = self.state_cell.session.as_str(),
                "disconnect from WhatsApp timed out"
            );
        }
        lock(permits).raw_nodes = None;
        if self.runtime.has_failed() && end.is_some() { Some(EngineExit::Crashed) } else { end }
    }

    fn send_event(&self, event: ConnectionEvent) {
        // The queue is full only if the actor no longer reads.
        let _ = self.events.try_send(event);
    }

    fn send_stopped(&self, end: EngineExit) {
        self.send_event(ConnectionEvent::EngineStopped(end));
    }
}

/// The limits of the engine's memory for one session, and the time for which it can encrypt a sent
/// message again. The defaults of the engine suit a process with one session.
fn cache_config() -> CacheConfig {
    CacheConfig {
        device_registry_cache: CacheEntryConfig::new(Some(Duration::from_secs(3600)), 512),
        session_locks_capacity: 2_048,
        chat_lanes_capacity: 256,
        sent_message_ttl_secs: 7 * 24 * 3600,
        ..CacheConfig::default()
    }
}

/// The name and platform that the phone shows in its list of linked devices, and the history that
/// it sends. The engine stores none of these properties: a loaded device has empty ones, and a phone
/// sends no history to a device without a history configuration.
fn device_props() -> DevicePropsOverride {
    DevicePropsOverride::new()
        .with_os("berth")
        .with_platform_type(PlatformType::CHROME)
        .with_version(Device::default_device_props_version())
        .with_require_full_sync(false)
        .with_history_sync_config(default_history_sync_config())
}

/// Waits up to [`TASK_END_TIMEOUT`] until the engine has released the store.
async fn wait_for_store_release(held: &Weak<dyn Backend>) {
    let free = async {
        while held.strong_count() > 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    if tokio::time::timeout(TASK_END_TIMEOUT, free).await.is_err() {
        tracing::warn!("engine still holds the keys of a closed connection");
    }
}

fn lock(permits: &Mutex<HeldPermits>) -> std::sync::MutexGuard<'_, HeldPermits> {
    permits.lock().unwrap_or_else(PoisonError::into_inner)
}

struct EngineEventHandler {
    events: mpsc::Sender<ConnectionEvent>,
    runtime: EngineRuntime,
    permits: Weak<Mutex<HeldPermits>>,
}

impl EngineEventHandler {
    /// Gives permits back as soon as the outcome of this connection attempt is known.
    fn release_permits(&self, event: &ConnectionEvent) {
        let Some(permits) = self.permits.upgrade() else { return };
        let mut held = lock(&permits);
        match event {
            ConnectionEvent::QrCodesOffered(_)
            | ConnectionEvent::PushNameChanged
            | ConnectionEvent::LinkQueued
            | ConnectionEvent::Connecting => {}
            ConnectionEvent::QrCode(..)
            | ConnectionEvent::Disconnected(_)
            | ConnectionEvent::Linked => held.connecting = None,
            _ => *held = HeldPermits::default(),
        }
    }
}

impl EventHandler for EngineEventHandler {
    fn handle_event(&self, event: Arc<Event>) {
        let Some(event) = engine_events::connection_event(&event, wacore::time::now_millis())
        else {
            return;
        };
        self.release_permits(&event);
        if let Err(mpsc::error::TrySendError::Full(_)) = self.events.try_send(event) {
            self.runtime.mark_failed();
        }
    }

    fn interest(&self) -> EventInterest {
        engine_events::event_interest()
    }
}
