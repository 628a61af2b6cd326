//! The actor of one session: the only one that decides for it, and never waits for WhatsApp.
//!
//! Whatever comes, a command, a sight or an alarm, is written down at once, and then what there is
//! is compared with what is wanted. So a stop is heard while a connection hangs.

mod closing;
mod commands;
mod shown;
mod sights;

use std::{
    sync::{Arc, Weak},
    time::Duration,
};

use gateway_protocol::{
    Declaration, Identity, LiveIdentity, LoggedOut, PairingWanted, Reason, Refusal, Snapshot,
    Status,
};
use tokio::{
    sync::{mpsc, oneshot},
    time::Instant,
};
use tokio_util::sync::CancellationToken;
use wacore::store::error::StoreError;
use whatsapp_rust::Client;

use self::closing::Closing;
use crate::{
    board::StateCell, connection::Connection, context::NodeContext, keys::KeysState,
    pairing::PairingAttempt, translate,
};

/// How often a connection is looked at. The engine itself notices within some 40 s that a network is
/// silent, and does not say so.
const CHECK_INTERVAL: Duration = Duration::from_secs(5);

/// Where the answer to a command goes.
pub(crate) type Reply<T> = oneshot::Sender<Result<T, Refusal>>;

/// What a session can be told.
pub(crate) enum Command {
    /// What is wanted from now on.
    Declare(Declaration, Reply<Snapshot>),
    /// Unlink the device on WhatsApp; `linked` is whether the router knows of one.
    Logout { epoch: u64, linked: bool, within: Duration, reply: Reply<LoggedOut> },
    /// Close, wipe, end; also when a device is linked, if the router says so.
    Forget { epoch: u64, linked: bool, reply: Reply<()> },
    /// Who is attached.
    Identity(Reply<LiveIdentity>),
    /// The node's leases ran out: close until declared again.
    Suspend,
    /// The session is no longer this node's, unless something newer than this epoch was told of it.
    Release { epoch: u64 },
    /// Breaks down, as a fault in this crate would have it.
    #[cfg(test)]
    Panic,
}

/// How an actor ended, other than by a crash.
pub(crate) enum ActorExit {
    /// Nothing is left of it since this epoch; these wait to hear so.
    Forgotten(u64, Vec<Reply<()>>),
    /// It is another node's since this epoch, and nothing is left of it here.
    Released(u64),
    /// The node ends.
    Closed,
}

/// What a session should be doing.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Goal {
    Closed,
    Connected,
    Pairing(PairingWanted),
}

/// Why a session stays closed although it is wanted running.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Hold {
    /// WhatsApp closed it for good; a restart or a new start tries again.
    Rejected,
    /// It broke down; a declaration tries again.
    Crashed,
    /// The node lost its router; a declaration tries again.
    Suspended,
}

/// The connection at hand.
struct ConnectionHandle {
    inner: Connection,
    client: Weak<Client>,
    restarts: u64,
    state: ConnectionState,
    /// When to look next whether the engine is connected, which it does not always tell.
    next_check: Instant,
    /// Whether a pairing code was asked for by it.
    code_requested: bool,
}

/// Whether a device is linked.
#[derive(Clone, Debug)]
enum Link {
    Linked(Identity),
    NotLinked,
    /// The keys cannot be read.
    Unknown(Reason),
}

#[derive(Clone, Debug)]
enum ConnectionState {
    /// It has not begun; whether because others link first.
    Queued {
        waiting_to_link: bool,
    },
    Connecting(Instant),
    Up,
    Reconnecting(Instant, String),
    Down,
}

/// When to open the next connection after one that ended by itself.
#[derive(Default)]
struct Retry {
    failures: u32,
    at: Option<Instant>,
    reason: Option<Reason>,
}

/// An unlink under way.
struct PendingUnlink {
    waiting: Vec<(Instant, Reply<LoggedOut>)>,
    sent: bool,
    retry_at: Option<Instant>,
}

/// See the module.
pub(crate) struct SessionActor {
    context: Arc<NodeContext>,
    state_cell: Arc<StateCell>,
    mailbox: mpsc::Receiver<Command>,
    epoch: u64,
    spec: Option<Declaration>,
    link: Link,
    /// Whether there are no keys at all.
    keys_missing: bool,
    /// Whether a device is linked as far as the router knows.
    router_knows_link: bool,
    /// The epoch of the unlink that WhatsApp confirmed last: asked for again, it is answered alike.
    confirmed_unlink_epoch: Option<u64>,
    /// When to read the keys again that could not be read, and how often that was done.
    next_key_read: Option<Instant>,
    key_read_failures: u32,
    pairing: Option<PairingAttempt>,
    /// Attempts up to this one are over.
    ended_attempt: u64,
    /// How it came to rest, shown while it is closed.
    closed_status: Option<(Status, Reason)>,
    hold: Option<Hold>,
    connection: Option<ConnectionHandle>,
    closing: Option<Closing>,
    retry: Retry,
    unlink: Option<PendingUnlink>,
    pending_declarations: Vec<Reply<Snapshot>>,
    /// Those that want it forgotten, and whether also while a device is linked.
    pending_forgets: Vec<(bool, Reply<()>)>,
    releasing: bool,
    ending: Option<ActorExit>,
}

impl SessionActor {
    /// An actor for this place on the board, after a crash of the one before or afresh.
    pub(crate) fn new(
        context: Arc<NodeContext>,
        state_cell: Arc<StateCell>,
        mailbox: mpsc::Receiver<Command>,
        after_crash: bool,
    ) -> Self {
        Self {
            epoch: state_cell.epoch(),
            link: Link::NotLinked,
            keys_missing: false,
            router_knows_link: state_cell.identity().is_some(),
            confirmed_unlink_epoch: None,
            next_key_read: None,
            key_read_failures: 0,
            context,
            state_cell,
            mailbox,
            spec: None,
            pairing: None,
            ended_attempt: 0,
            closed_status: after_crash.then(|| (Status::Failed, translate::crashed())),
            hold: after_crash.then_some(Hold::Crashed),
            connection: None,
            closing: None,
            retry: Retry::default(),
            unlink: None,
            pending_declarations: Vec::new(),
            pending_forgets: Vec::new(),
            releasing: false,
            ending: None,
        }
    }

    /// Lives until forgotten, released, or told to close.
    pub(crate) async fn run(mut self, closing: CancellationToken) -> ActorExit {
        self.read_keys().await;
        loop {
            self.leave_if_requested().await;
            if let Some(ending) = self.ending.take() {
                return ending; // before anything could be opened again
            }
            self.reconcile();
            let timer = self.next_timer();
            tokio::select! {
                biased;
                () = closing.cancelled() => {
                    self.close().await;
                    return ActorExit::Closed;
                }
                Some(command) = self.mailbox.recv() => self.on_command(command),
                state = closed_keys_state(&mut self.closing) => {
                    self.closing = None;
                    self.apply_keys_state(state);
                }
                event = next_event(&mut self.connection) => self.on_event(event).await,
                () = sleep_until_timer(timer) => self.on_timer(Instant::now()).await,
            }
        }
    }

    fn identity(&self) -> Option<&Identity> {
        match &self.link {
            Link::Linked(identity) => Some(identity),
            Link::NotLinked | Link::Unknown(_) => None,
        }
    }

    /// What it should be doing, from what is known.
    fn goal(&self) -> Goal {
        if self.releasing
            || !self.pending_forgets.is_empty()
            || matches!(self.link, Link::Unknown(_))
        {
            return Goal::Closed;
        }
        let linked = self.identity().is_some();
        if self.unlink.is_some() {
            // Without a link there is nothing to unlink, once nothing is open that could make one.
            return if linked { Goal::Connected } else { Goal::Closed };
        }
        match &self.spec {
            Some(spec) if spec.running && self.hold.is_none() => match &spec.pairing {
                _ if linked => Goal::Connected,
                Some(pairing) if pairing.attempt > self.ended_attempt => {
                    Goal::Pairing(pairing.clone())
                }
                _ => Goal::Closed,
            },
            _ => Goal::Closed,
        }
    }

    /// Compares what there is with what is wanted, takes the next step, and shows where it stands.
    fn reconcile(&mut self) {
        let goal = self.goal();
        if self.connection.is_some() && self.needs_new_connection(&goal) {
            self.begin_closing();
            self.retry = Retry::default();
            if let Some(pairing) = &mut self.pairing {
                pairing.restart();
            }
        }
        if let Some(closing) = &self.closing {
            // Nothing is shown or answered before it is known what the keys say.
            if closing.is_slow() {
                self.publish_slow_closing();
            }
            return;
        }
        self.answer_unlinks();
        match &goal {
            Goal::Closed => {
                self.pairing = None;
                self.retry = Retry::default();
            }
            Goal::Connected => {
                self.pairing = None;
                self.open_connection(false);
                self.ask_to_unlink();
            }
            Goal::Pairing(spec) => {
                if self.pairing.as_ref().is_none_or(|p| p.attempt != spec.attempt) {
                    self.pairing = Some(PairingAttempt::new(spec.attempt));
                }
                self.open_connection(true);
                self.request_pairing_code(spec);
            }
        }
        self.publish();
        self.answer_declarations();
    }

    /// Whether the connection at hand is not the one that is wanted.
    fn needs_new_connection(&self, goal: &Goal) -> bool {
        let restarted =
            self.connection.as_ref().is_some_and(|handle| handle.restarts < self.spec_restarts());
        match (goal, &self.pairing) {
            (Goal::Closed, _) => true,
            (Goal::Pairing(spec), Some(pairing)) => {
                restarted || pairing.attempt != spec.attempt || pairing.needs_fresh_socket(spec)
            }
            _ => restarted,
        }
    }

    fn spec_restarts(&self) -> u64 {
        self.spec.as_ref().map_or(0, |spec| spec.restarts)
    }

    fn open_connection(&mut self, linking: bool) {
        let now = Instant::now();
        if self.connection.is_some() || self.retry.at.is_some_and(|at| at > now) {
            return;
        }
        self.retry.at = None;
        if let Some(unlink) = &mut self.unlink {
            unlink.sent = false;
        }
        self.connection = Some(ConnectionHandle {
            inner: Connection::open(&self.context, &self.state_cell, linking),
            client: Weak::new(),
            restarts: self.spec_restarts(),
            state: ConnectionState::Queued { waiting_to_link: false },
            next_check: now + CHECK_INTERVAL,
            code_requested: false,
        });
    }

    /// The attempt is over without a link.
    fn end_pairing(&mut self, status: Status, reason: Reason) {
        if let Some(pairing) = self.pairing.take() {
            self.ended_attempt = self.ended_attempt.max(pairing.attempt);
        }
        self.closed_status = Some((status, reason));
    }
}

impl ConnectionHandle {
    /// Logged in, as far as anybody needs to know.
    fn is_up(&self) -> bool {
        matches!(self.state, ConnectionState::Up | ConnectionState::Reconnecting(..))
    }
}

/// What the keys say, once a connection that is being closed is gone.
async fn closed_keys_state(closing: &mut Option<Closing>) -> Result<KeysState, StoreError> {
    match closing {
        Some(closing) => closing.state().await,
        None => std::future::pending().await,
    }
}

async fn next_event(connection: &mut Option<ConnectionHandle>) -> translate::ConnectionEvent {
    match connection {
        Some(handle) => handle.inner.next_event().await,
        None => std::future::pending().await,
    }
}

async fn sleep_until_timer(timer: Option<Instant>) {
    match timer {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}
