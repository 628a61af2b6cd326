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
    board::Cell, connection::Connection, context::Context, keys::KeysState, pairing::Pairing,
    translate,
};

/// Interval of the checks whether the connection is alive, which the engine does not always report.
const LOOK_EVERY: Duration = Duration::from_secs(5);

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
pub(crate) enum Ending {
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
    Barred,
    /// It broke down; a declaration tries again.
    Crashed,
    /// The node lost its router; a declaration tries again.
    Suspended,
}

/// The connection at hand.
struct Line {
    connection: Connection,
    client: Weak<Client>,
    restarts: u64,
    signal: Signal,
    /// When to look next whether the engine is connected, which it does not always tell.
    look_at: Instant,
    /// Whether a pairing code was asked for by it.
    code_asked: bool,
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
enum Signal {
    /// It has not begun; whether because others link first.
    Queued {
        waits: bool,
    },
    Rising(Instant),
    Up,
    Wavering(Instant, String),
    Down,
}

/// When to open the next connection after one that ended by itself.
#[derive(Default)]
struct Retry {
    failures: u32,
    at: Option<Instant>,
    trouble: Option<Reason>,
}

/// An unlink under way.
struct Unlink {
    waiting: Vec<(Instant, Reply<LoggedOut>)>,
    asked: bool,
    again: Option<Instant>,
}

/// See the module.
pub(crate) struct Session {
    context: Arc<Context>,
    cell: Arc<Cell>,
    mailbox: mpsc::Receiver<Command>,
    epoch: u64,
    wanted: Option<Declaration>,
    link: Link,
    /// Whether there are no keys at all.
    missing: bool,
    /// Whether a device is linked as far as the router knows.
    believed_linked: bool,
    /// The epoch of the unlink that WhatsApp confirmed last: asked for again, it is answered alike.
    unlinked: Option<u64>,
    /// When to read the keys again that could not be read, and how often that was done.
    read_again: Option<Instant>,
    reads: u32,
    pairing: Option<Pairing>,
    /// Attempts up to this one are over.
    spent: u64,
    /// How it came to rest, shown while it is closed.
    rest: Option<(Status, Reason)>,
    hold: Option<Hold>,
    line: Option<Line>,
    closing: Option<Closing>,
    retry: Retry,
    unlink: Option<Unlink>,
    declared: Vec<Reply<Snapshot>>,
    /// Those that want it forgotten, and whether also while a device is linked.
    forgetting: Vec<(bool, Reply<()>)>,
    releasing: bool,
    ending: Option<Ending>,
}

impl Session {
    /// An actor for this place on the board, after a crash of the one before or afresh.
    pub(crate) fn new(
        context: Arc<Context>,
        cell: Arc<Cell>,
        mailbox: mpsc::Receiver<Command>,
        after_crash: bool,
    ) -> Self {
        Self {
            epoch: cell.epoch(),
            link: Link::NotLinked,
            missing: false,
            believed_linked: cell.identity().is_some(),
            unlinked: None,
            read_again: None,
            reads: 0,
            context,
            cell,
            mailbox,
            wanted: None,
            pairing: None,
            spent: 0,
            rest: after_crash.then(|| (Status::Failed, translate::crashed())),
            hold: after_crash.then_some(Hold::Crashed),
            line: None,
            closing: None,
            retry: Retry::default(),
            unlink: None,
            declared: Vec::new(),
            forgetting: Vec::new(),
            releasing: false,
            ending: None,
        }
    }

    /// Lives until forgotten, released, or told to close.
    pub(crate) async fn run(mut self, closing: CancellationToken) -> Ending {
        self.read_keys().await;
        loop {
            self.leave().await;
            if let Some(ending) = self.ending.take() {
                return ending; // before anything could be opened again
            }
            self.settle();
            let alarm = self.next_alarm();
            tokio::select! {
                biased;
                () = closing.cancelled() => {
                    self.close().await;
                    return Ending::Closed;
                }
                Some(command) = self.mailbox.recv() => self.obey(command),
                state = closed(&mut self.closing) => {
                    self.closing = None;
                    self.learn(state);
                }
                sight = next_sight(&mut self.line) => self.see(sight).await,
                () = ring(alarm) => self.wake(Instant::now()).await,
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
        if self.releasing || !self.forgetting.is_empty() || matches!(self.link, Link::Unknown(_)) {
            return Goal::Closed;
        }
        let linked = self.identity().is_some();
        if self.unlink.is_some() {
            // Without a link there is nothing to unlink, once nothing is open that could make one.
            return if linked { Goal::Connected } else { Goal::Closed };
        }
        match &self.wanted {
            Some(wanted) if wanted.running && self.hold.is_none() => match &wanted.pairing {
                _ if linked => Goal::Connected,
                Some(pairing) if pairing.attempt > self.spent => Goal::Pairing(pairing.clone()),
                _ => Goal::Closed,
            },
            _ => Goal::Closed,
        }
    }

    /// Compares what there is with what is wanted, takes the next step, and shows where it stands.
    fn settle(&mut self) {
        let goal = self.goal();
        if self.line.is_some() && self.is_outlived(&goal) {
            self.begin_closing();
            self.retry = Retry::default();
            if let Some(pairing) = &mut self.pairing {
                pairing.again();
            }
        }
        if let Some(closing) = &self.closing {
            // Nothing is shown or answered before it is known what the keys say.
            if closing.is_slow() {
                self.show_slow_closing();
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
                self.open_line(false);
                self.ask_to_unlink();
            }
            Goal::Pairing(wanted) => {
                if self.pairing.as_ref().is_none_or(|p| p.attempt != wanted.attempt) {
                    self.pairing = Some(Pairing::new(wanted.attempt));
                }
                self.open_line(true);
                self.ask_for_code(wanted);
            }
        }
        self.show();
        self.answer_declared();
    }

    /// Whether the connection at hand is not the one that is wanted.
    fn is_outlived(&self, goal: &Goal) -> bool {
        let restarted =
            self.line.as_ref().is_some_and(|line| line.restarts < self.wanted_restarts());
        match (goal, &self.pairing) {
            (Goal::Closed, _) => true,
            (Goal::Pairing(wanted), Some(pairing)) => {
                restarted || pairing.attempt != wanted.attempt || pairing.needs_fresh_socket(wanted)
            }
            _ => restarted,
        }
    }

    fn wanted_restarts(&self) -> u64 {
        self.wanted.as_ref().map_or(0, |wanted| wanted.restarts)
    }

    fn open_line(&mut self, linking: bool) {
        let now = Instant::now();
        if self.line.is_some() || self.retry.at.is_some_and(|at| at > now) {
            return;
        }
        self.retry.at = None;
        if let Some(unlink) = &mut self.unlink {
            unlink.asked = false;
        }
        self.line = Some(Line {
            connection: Connection::open(&self.context, &self.cell, linking),
            client: Weak::new(),
            restarts: self.wanted_restarts(),
            signal: Signal::Queued { waits: false },
            look_at: now + LOOK_EVERY,
            code_asked: false,
        });
    }

    /// The attempt is over without a link.
    fn end_pairing(&mut self, status: Status, reason: Reason) {
        if let Some(pairing) = self.pairing.take() {
            self.spent = self.spent.max(pairing.attempt);
        }
        self.rest = Some((status, reason));
    }
}

impl Line {
    /// Logged in, as far as anybody needs to know.
    fn is_up(&self) -> bool {
        matches!(self.signal, Signal::Up | Signal::Wavering(..))
    }
}

/// What the keys say, once a connection that is being closed is gone.
async fn closed(closing: &mut Option<Closing>) -> Result<KeysState, StoreError> {
    match closing {
        Some(closing) => closing.state().await,
        None => std::future::pending().await,
    }
}

async fn next_sight(line: &mut Option<Line>) -> translate::Sight {
    match line {
        Some(line) => line.connection.sight().await,
        None => std::future::pending().await,
    }
}

async fn ring(alarm: Option<Instant>) {
    match alarm {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}
