//! The commands of an actor and their replies.

use std::time::Duration;

use gateway_protocol::{Declaration, LiveIdentity, LoggedOut, Refusal, Snapshot};
use tokio::sync::oneshot;

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
