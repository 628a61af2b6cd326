//! The state of an actor, its loop, and the reconciliation with its goal.

use std::sync::{Arc, Weak};

use gateway_protocol::{Declaration, Identity, Reason, Snapshot, Status};
use tokio::{sync::mpsc, time::Instant};
use tokio_util::sync::CancellationToken;
use wacore::store::error::StoreError;

use super::{
    closing::Closing,
    command::{ActorExit, Command, Reply},
    model::{
        CHECK_INTERVAL, ConnectionHandle, ConnectionState, Goal, Hold, Link, PendingUnlink, Retry,
    },
};
use crate::{
    connection::Connection, context::NodeContext, engine_events::ConnectionEvent, keys::KeysState,
    pairing_attempt::PairingAttempt, reasons, session_state::StateCell,
};

/// The actor of one session.
pub(crate) struct SessionActor {
    pub(super) context: Arc<NodeContext>,
    pub(super) state_cell: Arc<StateCell>,
    pub(super) mailbox: mpsc::Receiver<Command>,
    pub(super) epoch: u64,
    pub(super) spec: Option<Declaration>,
    pub(super) link: Link,
    /// Whether the key file has no entry for the session.
    pub(super) keys_missing: bool,
    /// Whether the router knows of a linked device.
    pub(super) router_knows_link: bool,
    /// The epoch of the last unlink that WhatsApp confirmed. A repeated request with this epoch
    /// gets the same answer.
    pub(super) confirmed_unlink_epoch: Option<u64>,
    /// The time of the next attempt to read unreadable keys, and the number of attempts so far.
    pub(super) next_key_read: Option<Instant>,
    pub(super) key_read_failures: u32,
    pub(super) pairing: Option<PairingAttempt>,
    /// The newest pairing attempt that has ended; declarations of this and older attempts start
    /// none.
    pub(super) ended_attempt: u64,
    /// The status to publish while the session is closed; `None` is `Stopped` without a reason.
    pub(super) closed_status: Option<(Status, Reason)>,
    pub(super) hold: Option<Hold>,
    pub(super) connection: Option<ConnectionHandle>,
    pub(super) closing: Option<Closing>,
    pub(super) retry: Retry,
    pub(super) unlink: Option<PendingUnlink>,
    pub(super) pending_declarations: Vec<Reply<Snapshot>>,
    /// Waiting forgets; `true`: also while a device is linked.
    pub(super) pending_forgets: Vec<(bool, Reply<()>)>,
    pub(super) releasing: bool,
    pub(super) ending: Option<ActorExit>,
}

impl SessionActor {
    /// Creates an actor that writes to `state_cell`. `after_crash`: the previous actor of the
    /// session panicked.
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
            closed_status: after_crash.then(|| (Status::Failed, reasons::crashed())),
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

    /// Runs until the session is forgotten or released, or the node stops.
    pub(crate) async fn run(mut self, closing: CancellationToken) -> ActorExit {
        self.read_keys().await;
        loop {
            self.leave_if_requested().await;
            if let Some(ending) = self.ending.take() {
                return ending; // before a connection could be opened again
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

    pub(super) fn identity(&self) -> Option<&Identity> {
        match &self.link {
            Link::Linked(identity) => Some(identity),
            Link::NotLinked | Link::Unknown(_) => None,
        }
    }

    /// Returns the state that the session has to reach.
    pub(super) fn goal(&self) -> Goal {
        if self.releasing
            || !self.pending_forgets.is_empty()
            || matches!(self.link, Link::Unknown(_))
        {
            return Goal::Closed;
        }
        let linked = self.identity().is_some();
        if self.unlink.is_some() {
            // Without a link, the unlink is answered once no connection is open that could still
            // link.
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

    /// Compares the actual state with the goal, takes the next step, and publishes the state.
    pub(super) fn reconcile(&mut self) {
        let goal = self.goal();
        if self.connection.is_some() && self.needs_new_connection(&goal) {
            self.begin_closing();
            self.retry = Retry::default();
            if let Some(pairing) = &mut self.pairing {
                pairing.restart();
            }
        }
        if let Some(closing) = &self.closing {
            // No state is published and no command answered before the keys have been read.
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

    /// Returns whether the open connection must be replaced or closed to reach the goal.
    pub(super) fn needs_new_connection(&self, goal: &Goal) -> bool {
        let restarted =
            self.connection.as_ref().is_some_and(|handle| handle.restarts < self.spec_restarts());
        match (goal, &self.pairing) {
            (Goal::Closed, _) => true,
            (Goal::Pairing(spec), Some(pairing)) => {
                restarted || pairing.attempt != spec.attempt || pairing.needs_new_connection(spec)
            }
            _ => restarted,
        }
    }

    pub(super) fn spec_restarts(&self) -> u64 {
        self.spec.as_ref().map_or(0, |spec| spec.restarts)
    }

    pub(super) fn open_connection(&mut self, linking: bool) {
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

    /// Ends the pairing attempt without a link.
    pub(super) fn end_pairing(&mut self, status: Status, reason: Reason) {
        if let Some(pairing) = self.pairing.take() {
            self.ended_attempt = self.ended_attempt.max(pairing.attempt);
        }
        self.closed_status = Some((status, reason));
    }
}

/// Waits until the closing connection has ended, and returns the state of the keys.
async fn closed_keys_state(closing: &mut Option<Closing>) -> Result<KeysState, StoreError> {
    match closing {
        Some(closing) => closing.state().await,
        None => std::future::pending().await,
    }
}

async fn next_event(connection: &mut Option<ConnectionHandle>) -> ConnectionEvent {
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
