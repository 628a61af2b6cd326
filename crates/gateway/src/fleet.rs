//! All sessions of a node: one actor each, started when first spoken of, and started anew after a
//! crash, which harms no other.

#[cfg(test)]
mod tests;

use std::{
    collections::{HashMap, VecDeque},
    panic::AssertUnwindSafe,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use futures_util::FutureExt as _;
use gateway_protocol::{
    Declaration, Held, LiveIdentity, LoggedOut, LogoutOutcome, Refusal, RefusalCode, Snapshot,
    Status,
};
use tokio::{
    sync::{mpsc, oneshot},
    time::Instant,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    board::{self, Cell},
    context::Context,
    keys::SessionName,
    refusal::{refusal, stale, unavailable},
    session::{Command, Ending, Reply, Session},
    translate,
};

/// Commands a session may have waiting. It answers each at once, so a full box means a flood.
const MAILBOX: usize = 32;
/// How long a command other than a logout may take.
const PATIENCE: Duration = Duration::from_secs(25);
/// How many forgotten sessions are remembered, and for how long: as long as a command to one may still
/// be under way.
const REMEMBERED: usize = 16_384;
const REMEMBERED_FOR: Duration = Duration::from_secs(600);
/// Before an actor that broke down is started anew, so that one that always does takes no processor.
const RECOVERY: Duration = Duration::from_millis(100);

/// The sessions of a node.
pub(crate) struct Fleet {
    context: Arc<Context>,
    capacity: usize,
    book: Mutex<Book>,
    closing: CancellationToken,
    actors: TaskTracker,
}

#[derive(Default)]
struct Book {
    entries: HashMap<SessionName, Entry>,
    forgotten: Forgotten,
}

struct Entry {
    cell: Arc<Cell>,
    mailbox: mpsc::Sender<Command>,
}

impl Fleet {
    /// With an actor for every session that has keys here; none connects before it is told to.
    pub(crate) async fn new(context: Arc<Context>, capacity: u32) -> Arc<Self> {
        let fleet = Arc::new(Self {
            context,
            capacity: usize::try_from(capacity).unwrap_or(usize::MAX),
            book: Mutex::default(),
            closing: CancellationToken::new(),
            actors: TaskTracker::new(),
        });
        let sessions = match fleet.context.vault.sessions().await {
            Ok(sessions) => sessions,
            Err(error) => {
                // Each session is told so when the router speaks of it.
                tracing::error!(%error, "which sessions have keys here cannot be read");
                Vec::new()
            }
        };
        for session in sessions {
            let cell = Cell::new(session.clone(), &fleet.context);
            let mailbox = fleet.start(&cell, false);
            fleet.book().entries.insert(session, Entry { cell, mailbox });
        }
        fleet
    }

    /// Tells a session what is wanted of it.
    pub(crate) async fn declare(
        self: &Arc<Self>,
        session: &SessionName,
        declaration: Declaration,
    ) -> Result<Snapshot, Refusal> {
        let mailbox = self.mailbox_for(session, &declaration)?;
        ask(&mailbox, PATIENCE, |reply| Command::Declare(declaration, reply)).await
    }

    /// Has a session's device unlinked.
    pub(crate) async fn logout(
        self: &Arc<Self>,
        session: &SessionName,
        epoch: u64,
        linked: bool,
        within: Duration,
    ) -> Result<LoggedOut, Refusal> {
        self.check_enlisted()?;
        let Some(mailbox) = self.mailbox_of_keys(session) else {
            return self.logout_unheld(session, epoch, linked);
        };
        let command = |reply| Command::Logout { epoch, linked, within, reply };
        ask(&mailbox, within + PATIENCE, command).await
    }

    /// The answer to a logout of a session that is not here. When the router knows of a link, keys were
    /// lost, unless they were wiped by the router's own word.
    fn logout_unheld(
        &self,
        session: &SessionName,
        epoch: u64,
        linked: bool,
    ) -> Result<LoggedOut, Refusal> {
        let (floor, wiped) = self.book().forgotten.floor(session);
        if epoch < floor {
            return Err(stale(floor));
        }
        let mut snapshot = board::blank(session, epoch, &self.context);
        snapshot.boot = self.context.boot();
        let mut outcome = LogoutOutcome::NotLinked;
        if linked && !wiped {
            let why = "this node has none, although a device was linked here";
            outcome = LogoutOutcome::Unconfirmed;
            (snapshot.status, snapshot.reason) =
                (Status::Failed, Some(translate::keys_unavailable(why)));
        }
        Ok(LoggedOut { outcome, snapshot })
    }

    /// Closes a session and wipes its keys; unless it is `linked` by the router's word, only when no
    /// device is.
    pub(crate) async fn forget(
        self: &Arc<Self>,
        session: &SessionName,
        epoch: u64,
        linked: bool,
    ) -> Result<(), Refusal> {
        self.check_enlisted()?;
        let Some(mailbox) = self.mailbox_of_keys(session) else {
            let mut book = self.book();
            let (floor, _) = book.forgotten.floor(session);
            if epoch < floor {
                return Err(stale(floor));
            }
            book.forgotten.remember(session.clone(), epoch, true);
            return Ok(());
        };
        ask(&mailbox, PATIENCE, |reply| Command::Forget { epoch, linked, reply }).await
    }

    /// Who is attached to a session, asked live.
    pub(crate) async fn identity(
        self: &Arc<Self>,
        session: &SessionName,
    ) -> Result<LiveIdentity, Refusal> {
        let mailbox = self.mailbox(session).ok_or_else(unknown)?;
        ask(&mailbox, PATIENCE, Command::Identity).await
    }

    pub(crate) fn snapshot(&self, session: &SessionName) -> Result<Snapshot, Refusal> {
        let book = self.book();
        let entry = book.entries.get(session).ok_or_else(unknown)?;
        Ok(entry.cell.snapshot(&self.context))
    }

    pub(crate) fn snapshots(&self) -> Vec<Snapshot> {
        self.book().entries.values().map(|entry| entry.cell.snapshot(&self.context)).collect()
    }

    /// Every session here, for a beat.
    pub(crate) fn held(&self) -> Vec<Held> {
        let held =
            |cell: &Cell| Held { session: cell.session.as_str().into(), epoch: cell.epoch() };
        self.book().entries.values().map(|entry| held(&entry.cell)).collect()
    }

    /// How many sessions there are, and how many are logged in.
    pub(crate) fn counts(&self) -> (usize, usize) {
        let book = self.book();
        let working = book.entries.values().filter(|e| e.cell.status() == Status::Working).count();
        (book.entries.len(), working)
    }

    /// Has every session reported anew, to a router that may know nothing.
    pub(crate) fn report_all(&self) {
        for snapshot in self.snapshots().into_iter().filter(|snapshot| snapshot.epoch > 0) {
            self.context.outbox.remind(snapshot);
        }
    }

    /// The leases ran out: everything closes until it is declared again, and nobody is obeyed until the
    /// node is enlisted again. A command that was under way would otherwise open a connection that no
    /// lease ever closes.
    pub(crate) async fn suspend(&self) {
        self.context.boot.send_replace(0);
        let all: Vec<_> = self.book().entries.values().map(|e| e.mailbox.clone()).collect();
        for mailbox in all {
            let _ = mailbox.send(Command::Suspend).await;
        }
    }

    /// A session is no longer this node's, unless it was told something newer than this epoch.
    pub(crate) async fn release(&self, session: &SessionName, epoch: u64) {
        if let Some(mailbox) = self.mailbox(session) {
            let _ = mailbox.send(Command::Release { epoch }).await;
        }
    }

    /// Closes every connection, at the node's end.
    pub(crate) async fn close(&self, patience: Duration) {
        self.closing.cancel();
        self.actors.close();
        if tokio::time::timeout(patience, self.actors.wait()).await.is_err() {
            tracing::warn!(sessions = self.actors.len(), "sessions not closed in time");
        }
    }

    fn check_enlisted(&self) -> Result<(), Refusal> {
        let enlisted = self.context.boot() > 0 && !self.closing.is_cancelled();
        if enlisted { Ok(()) } else { Err(unavailable("this node is not enlisted")) }
    }

    /// The mailbox of a session that is known.
    fn mailbox(&self, session: &SessionName) -> Option<mpsc::Sender<Command>> {
        self.book().entries.get(session).map(|entry| entry.mailbox.clone())
    }

    /// The mailbox of a session that has keys here, as far as that can be known: when no keys can be
    /// read, any session may have some.
    fn mailbox_of_keys(self: &Arc<Self>, session: &SessionName) -> Option<mpsc::Sender<Command>> {
        let known = self.mailbox(session);
        if known.is_some() || self.context.vault.is_readable() {
            return known;
        }
        Some(self.take_in(&mut self.book(), session))
    }

    fn take_in(self: &Arc<Self>, book: &mut Book, session: &SessionName) -> mpsc::Sender<Command> {
        if let Some(entry) = book.entries.get(session) {
            return entry.mailbox.clone();
        }
        let cell = Cell::new(session.clone(), &self.context);
        let mailbox = self.start(&cell, false);
        book.entries.insert(session.clone(), Entry { cell, mailbox: mailbox.clone() });
        mailbox
    }

    /// The mailbox of a session, taken in when there is room and nothing speaks against it.
    fn mailbox_for(
        self: &Arc<Self>,
        session: &SessionName,
        declaration: &Declaration,
    ) -> Result<mpsc::Sender<Command>, Refusal> {
        self.check_enlisted()?;
        if let Some(mailbox) = self.mailbox(session) {
            return Ok(mailbox);
        }
        let mut book = self.book();
        if let Some(entry) = book.entries.get(session) {
            return Ok(entry.mailbox.clone());
        }
        let (floor, _) = book.forgotten.floor(session);
        // The word by which it left, arriving late and again, does not bring it back.
        let revives = declaration.epoch == floor && declaration.running;
        if declaration.epoch < floor || revives {
            return Err(stale(floor));
        }
        // What is only to be closed needs no room, and what is linked here has it already.
        let needs_room = declaration.running && !declaration.linked;
        if needs_room && book.entries.len() >= self.capacity {
            return Err(refusal(RefusalCode::AtCapacity, "this node has no room"));
        }
        Ok(self.take_in(&mut book, session))
    }

    /// Starts an actor and watches over it.
    fn start(self: &Arc<Self>, cell: &Arc<Cell>, after_crash: bool) -> mpsc::Sender<Command> {
        let (sender, mailbox) = mpsc::channel(MAILBOX);
        let session = Session::new(self.context.clone(), cell.clone(), mailbox, after_crash);
        let (fleet, cell) = (self.clone(), cell.clone());
        let closing = self.closing.clone();
        self.actors.spawn(async move {
            match AssertUnwindSafe(session.run(closing)).catch_unwind().await {
                Ok(Ending::Forgotten(epoch, waiting)) => {
                    fleet.remove(&cell, epoch, true);
                    for reply in waiting {
                        let _ = reply.send(Ok(()));
                    }
                }
                Ok(Ending::Released(epoch)) => fleet.remove(&cell, epoch, false),
                Ok(Ending::Closed) => {}
                Err(_) => fleet.crashed(&cell).await,
            }
        });
        sender
    }

    fn remove(&self, cell: &Cell, epoch: u64, forgotten: bool) {
        let mut book = self.book();
        book.entries.remove(&cell.session);
        book.forgotten.remember(cell.session.clone(), epoch, forgotten);
        drop(book);
        self.context.outbox.forget(cell.session.as_str());
    }

    /// An actor broke down. Another takes its place, and says so once it has read what the keys say: the
    /// connection of the first may have linked a device until its end.
    async fn crashed(self: &Arc<Self>, cell: &Arc<Cell>) {
        tokio::time::sleep(RECOVERY).await;
        if self.closing.is_cancelled() {
            return;
        }
        let mut book = self.book();
        if let Some(entry) = book.entries.get_mut(&cell.session) {
            entry.mailbox = self.start(cell, true);
        }
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The epochs below which a session that is gone is not taken in again.
#[derive(Default)]
struct Forgotten {
    floors: HashMap<SessionName, (u64, bool)>,
    order: VecDeque<(Instant, SessionName)>,
}

impl Forgotten {
    fn remember(&mut self, session: SessionName, epoch: u64, wiped: bool) {
        if self.floors.insert(session.clone(), (epoch, wiped)).is_none() {
            self.order.push_back((Instant::now(), session));
        }
        while let Some((since, _)) = self.order.front()
            && (self.order.len() > REMEMBERED || since.elapsed() > REMEMBERED_FOR)
            && let Some((_, oldest)) = self.order.pop_front()
        {
            self.floors.remove(&oldest);
        }
    }

    /// The epoch a session left with, and whether by being forgotten.
    fn floor(&self, session: &SessionName) -> (u64, bool) {
        self.floors.get(session).copied().unwrap_or_default()
    }
}

async fn ask<T>(
    mailbox: &mpsc::Sender<Command>,
    patience: Duration,
    command: impl FnOnce(Reply<T>) -> Command,
) -> Result<T, Refusal> {
    let (reply, answer) = oneshot::channel();
    mailbox.try_send(command(reply)).map_err(|_| unavailable("the session is busy"))?;
    match tokio::time::timeout(patience, answer).await {
        Ok(Ok(answer)) => answer,
        Ok(Err(_)) => Err(unavailable("the session ended meanwhile")),
        Err(_) => Err(unavailable("the session did not answer in time")),
    }
}

fn unknown() -> Refusal {
    refusal(RefusalCode::UnknownSession, "this node holds nothing under this id")
}
