//! All sessions of a node, with one actor for each. An actor starts with the first command for its
//! session, and restarts after a crash, which affects no other session.

mod figures;
mod messages;
#[cfg(test)]
mod tests;

use std::{
    collections::HashMap,
    panic::AssertUnwindSafe,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use futures_util::FutureExt as _;
use gateway_protocol::{
    Declaration, HeldSession, LiveIdentity, LoggedOut, LogoutOutcome, Refusal, RefusalCode,
    Snapshot, Status,
};
use tokio::sync::{mpsc, oneshot};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    context::NodeContext,
    forgotten_sessions::ForgottenSessions,
    reasons,
    refusal::{refusal, stale_epoch, unavailable},
    session::{ActorExit, Command, Reply, SessionActor},
    session_name::SessionName,
    session_state::{self, StateCell},
};

/// Queued commands of one session. The actor takes each at once, so that a full mailbox means a
/// flood.
const MAILBOX_CAPACITY: usize = 32;
/// Time limit of a command; a logout has its own deadline in addition.
const COMMAND_TIMEOUT: Duration = Duration::from_secs(25);
/// Delay before a crashed actor restarts, so that an actor that always crashes does not occupy a
/// processor.
const ACTOR_RESTART_DELAY: Duration = Duration::from_millis(100);

/// The sessions of a node.
pub(crate) struct Fleet {
    context: Arc<NodeContext>,
    capacity: usize,
    sessions: Mutex<SessionTable>,
    closing: CancellationToken,
    actors: TaskTracker,
}

#[derive(Default)]
struct SessionTable {
    entries: HashMap<SessionName, SessionEntry>,
    forgotten: ForgottenSessions,
}

struct SessionEntry {
    state_cell: Arc<StateCell>,
    mailbox: mpsc::Sender<Command>,
}

impl Fleet {
    /// Starts an actor for every session with keys in the file. No session connects before its
    /// declaration.
    pub(crate) async fn new(context: Arc<NodeContext>, capacity: u32) -> Arc<Self> {
        let fleet = Arc::new(Self {
            context,
            capacity: usize::try_from(capacity).unwrap_or(usize::MAX),
            sessions: Mutex::default(),
            closing: CancellationToken::new(),
            actors: TaskTracker::new(),
        });
        let sessions = match fleet.context.key_store.sessions().await {
            Ok(sessions) => sessions,
            Err(error) => {
                // The keys of each session are reported as unavailable when the router names the
                // session.
                tracing::error!(%error, "cannot list the sessions in the key file");
                Vec::new()
            }
        };
        for session in sessions {
            let state_cell = StateCell::new(session.clone(), &fleet.context);
            let mailbox = fleet.start_actor(&state_cell, false);
            fleet.sessions().entries.insert(session, SessionEntry { state_cell, mailbox });
        }
        fleet
    }

    /// Sets the spec of a session.
    pub(crate) async fn declare(
        self: &Arc<Self>,
        session: &SessionName,
        declaration: Declaration,
    ) -> Result<Snapshot, Refusal> {
        let mailbox = self.mailbox_for_declaration(session, &declaration)?;
        send_command(&mailbox, COMMAND_TIMEOUT, |reply| Command::Declare(declaration, reply)).await
    }

    /// Unlinks the device of a session.
    pub(crate) async fn logout(
        self: &Arc<Self>,
        session: &SessionName,
        epoch: u64,
        linked: bool,
        within: Duration,
    ) -> Result<LoggedOut, Refusal> {
        self.check_registered()?;
        let Some(mailbox) = self.mailbox_if_keys(session) else {
            return self.logout_unheld(session, epoch, linked);
        };
        let command = |reply| Command::Logout { epoch, linked, within, reply };
        send_command(&mailbox, within + COMMAND_TIMEOUT, command).await
    }

    /// Answers a logout of a session that is not on this node. If the router knows of a link, the
    /// keys are lost, unless the router had them wiped.
    fn logout_unheld(
        &self,
        session: &SessionName,
        epoch: u64,
        linked: bool,
    ) -> Result<LoggedOut, Refusal> {
        let (min_epoch, wiped) = self.sessions().forgotten.min_epoch(session);
        if epoch < min_epoch {
            return Err(stale_epoch(min_epoch));
        }
        let mut snapshot = session_state::blank_snapshot(session, epoch, &self.context);
        snapshot.generation = self.context.generation();
        let mut outcome = LogoutOutcome::NotLinked;
        if linked && !wiped {
            let why = "the node has no keys of the linked device";
            outcome = LogoutOutcome::Unconfirmed;
            (snapshot.status, snapshot.reason) =
                (Status::Failed, Some(reasons::keys_unavailable(why)));
        }
        Ok(LoggedOut { outcome, snapshot })
    }

    /// Closes a session and wipes its keys. Without `linked`, the call is refused while a device is
    /// linked.
    pub(crate) async fn forget(
        self: &Arc<Self>,
        session: &SessionName,
        epoch: u64,
        linked: bool,
    ) -> Result<(), Refusal> {
        self.check_registered()?;
        let Some(mailbox) = self.mailbox_if_keys(session) else {
            let mut sessions = self.sessions();
            let (min_epoch, _) = sessions.forgotten.min_epoch(session);
            if epoch < min_epoch {
                return Err(stale_epoch(min_epoch));
            }
            sessions.forgotten.record(session.clone(), epoch, true);
            return Ok(());
        };
        send_command(&mailbox, COMMAND_TIMEOUT, |reply| Command::Forget { epoch, linked, reply })
            .await
    }

    /// Returns the identity of a session, read from the running engine if there is one.
    pub(crate) async fn identity(
        self: &Arc<Self>,
        session: &SessionName,
    ) -> Result<LiveIdentity, Refusal> {
        let mailbox = self.mailbox(session).ok_or_else(unknown_session)?;
        send_command(&mailbox, COMMAND_TIMEOUT, Command::Identity).await
    }

    pub(crate) fn snapshot(&self, session: &SessionName) -> Result<Snapshot, Refusal> {
        let sessions = self.sessions();
        let entry = sessions.entries.get(session).ok_or_else(unknown_session)?;
        Ok(entry.state_cell.snapshot(&self.context))
    }

    pub(crate) fn snapshots(&self) -> Vec<Snapshot> {
        self.sessions()
            .entries
            .values()
            .map(|entry| entry.state_cell.snapshot(&self.context))
            .collect()
    }

    /// Returns every session of this node with its epoch, for a heartbeat.
    pub(crate) fn held_sessions(&self) -> Vec<HeldSession> {
        let held = |state_cell: &StateCell| HeldSession {
            session: state_cell.session.as_str().into(),
            epoch: state_cell.epoch(),
        };
        self.sessions().entries.values().map(|entry| held(&entry.state_cell)).collect()
    }

    /// Queues the snapshot of every declared session, for a router that may have none of them.
    pub(crate) fn report_all(&self) {
        for snapshot in self.snapshots().into_iter().filter(|snapshot| snapshot.epoch > 0) {
            self.context.outbox.push_unless_queued(snapshot);
        }
    }

    /// Closes all connections because the lease has ended, and refuses commands until the node
    /// registers again. Otherwise a command in progress could open a connection that no lease
    /// closes.
    pub(crate) async fn suspend(&self) {
        self.context.generation.send_replace(0);
        let all: Vec<_> = self.sessions().entries.values().map(|e| e.mailbox.clone()).collect();
        for mailbox in all {
            let _ = mailbox.send(Command::Suspend).await;
        }
    }

    /// Releases a session that is no longer assigned to this node, unless the session has a newer
    /// epoch.
    pub(crate) async fn release(&self, session: &SessionName, epoch: u64) {
        if let Some(mailbox) = self.mailbox(session) {
            let _ = mailbox.send(Command::Release { epoch }).await;
        }
    }

    /// Closes every connection when the node stops; waits up to `patience`.
    pub(crate) async fn close(&self, patience: Duration) {
        self.closing.cancel();
        self.actors.close();
        if tokio::time::timeout(patience, self.actors.wait()).await.is_err() {
            tracing::warn!(sessions = self.actors.len(), "sessions did not close in time");
        }
    }

    fn check_registered(&self) -> Result<(), Refusal> {
        if self.is_registered() && !self.closing.is_cancelled() {
            Ok(())
        } else {
            Err(unavailable("this node is not registered with a router"))
        }
    }

    /// Returns the mailbox of a session on this node.
    fn mailbox(&self, session: &SessionName) -> Option<mpsc::Sender<Command>> {
        self.sessions().entries.get(session).map(|entry| entry.mailbox.clone())
    }

    /// Returns the mailbox of a session that may have keys here. When the file cannot be read, any
    /// session may have keys, and an unknown one is added.
    fn mailbox_if_keys(self: &Arc<Self>, session: &SessionName) -> Option<mpsc::Sender<Command>> {
        let known = self.mailbox(session);
        if known.is_some() || self.context.key_store.is_readable() {
            return known;
        }
        Some(self.add_session(&mut self.sessions(), session))
    }

    fn add_session(
        self: &Arc<Self>,
        sessions: &mut SessionTable,
        session: &SessionName,
    ) -> mpsc::Sender<Command> {
        if let Some(entry) = sessions.entries.get(session) {
            return entry.mailbox.clone();
        }
        let state_cell = StateCell::new(session.clone(), &self.context);
        let mailbox = self.start_actor(&state_cell, false);
        sessions
            .entries
            .insert(session.clone(), SessionEntry { state_cell, mailbox: mailbox.clone() });
        mailbox
    }

    /// Returns the mailbox for a declaration; adds the session if its epoch and the capacity
    /// permit.
    fn mailbox_for_declaration(
        self: &Arc<Self>,
        session: &SessionName,
        declaration: &Declaration,
    ) -> Result<mpsc::Sender<Command>, Refusal> {
        self.check_registered()?;
        if let Some(mailbox) = self.mailbox(session) {
            return Ok(mailbox);
        }
        let mut sessions = self.sessions();
        if let Some(entry) = sessions.entries.get(session) {
            return Ok(entry.mailbox.clone());
        }
        let (min_epoch, _) = sessions.forgotten.min_epoch(session);
        // A delayed repetition of the command by which the session left does not restore it.
        let revives = declaration.epoch == min_epoch && declaration.running;
        if declaration.epoch < min_epoch || revives {
            return Err(stale_epoch(min_epoch));
        }
        // A session that is only closed needs no capacity, and a linked one has its place already.
        // With unreadable keys, any session may be linked: a refusal would move it to another node.
        let needs_room =
            declaration.running && !declaration.linked && self.context.key_store.is_readable();
        if needs_room && sessions.entries.len() >= self.capacity {
            return Err(refusal(RefusalCode::AtCapacity, "this node is at its capacity"));
        }
        Ok(self.add_session(&mut sessions, session))
    }

    /// Starts an actor and handles its end.
    fn start_actor(
        self: &Arc<Self>,
        state_cell: &Arc<StateCell>,
        after_crash: bool,
    ) -> mpsc::Sender<Command> {
        let (sender, mailbox) = mpsc::channel(MAILBOX_CAPACITY);
        let session =
            SessionActor::new(self.context.clone(), state_cell.clone(), mailbox, after_crash);
        let (fleet, state_cell) = (self.clone(), state_cell.clone());
        let closing = self.closing.clone();
        self.actors.spawn(async move {
            match AssertUnwindSafe(session.run(closing)).catch_unwind().await {
                Ok(ActorExit::Forgotten(epoch, waiting)) => {
                    fleet.forget_journal(&state_cell).await;
                    fleet.remove(&state_cell, epoch, true);
                    for reply in waiting {
                        let _ = reply.send(Ok(()));
                    }
                }
                Ok(ActorExit::Released(epoch)) => fleet.remove(&state_cell, epoch, false),
                Ok(ActorExit::Closed) => {}
                Err(_) => fleet.restart_crashed(&state_cell).await,
            }
        });
        sender
    }

    fn remove(&self, state_cell: &StateCell, epoch: u64, forgotten: bool) {
        let mut sessions = self.sessions();
        sessions.entries.remove(&state_cell.session);
        sessions.forgotten.record(state_cell.session.clone(), epoch, forgotten);
        drop(sessions);
        self.context.outbox.forget(state_cell.session.as_str());
    }

    /// Restarts a crashed actor. The new actor publishes the crash after it has read the keys:
    /// until its end, the connection of the first actor may have linked a device.
    async fn restart_crashed(self: &Arc<Self>, state_cell: &Arc<StateCell>) {
        tokio::time::sleep(ACTOR_RESTART_DELAY).await;
        if self.closing.is_cancelled() {
            return;
        }
        let mut sessions = self.sessions();
        if let Some(entry) = sessions.entries.get_mut(&state_cell.session) {
            entry.mailbox = self.start_actor(state_cell, true);
        }
    }

    fn sessions(&self) -> MutexGuard<'_, SessionTable> {
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn send_command<T>(
    mailbox: &mpsc::Sender<Command>,
    patience: Duration,
    command: impl FnOnce(Reply<T>) -> Command,
) -> Result<T, Refusal> {
    let (reply, answer) = oneshot::channel();
    mailbox
        .try_send(command(reply))
        .map_err(|_| unavailable("the session has too many queued commands"))?;
    match tokio::time::timeout(patience, answer).await {
        Ok(Ok(answer)) => answer,
        Ok(Err(_)) => Err(unavailable("the session ended before it answered")),
        Err(_) => Err(unavailable("the session did not answer in time")),
    }
}

fn unknown_session() -> Refusal {
    refusal(RefusalCode::UnknownSession, "this node has no session with this id")
}
