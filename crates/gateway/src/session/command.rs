//! The commands of an actor and their replies.

use std::time::Duration;

use gateway_protocol::{Declaration, LiveIdentity, LoggedOut, Refusal, Snapshot};
use tokio::sync::oneshot;

/// The channel for the answer to a command.
pub(crate) type Reply<T> = oneshot::Sender<Result<T, Refusal>>;

/// A command to an actor.
pub(crate) enum Command {
    /// Sets the spec.
    Declare(Declaration, Reply<Snapshot>),
    /// Unlinks the device on WhatsApp. `linked`: the router knows of a linked device.
    Logout { epoch: u64, linked: bool, within: Duration, reply: Reply<LoggedOut> },
    /// Closes the connection, wipes the keys and ends the actor. `linked`: also while a device is
    /// linked.
    Forget { epoch: u64, linked: bool, reply: Reply<()> },
    /// Returns the identity of the linked device, read from the running engine if there is one.
    Identity(Reply<LiveIdentity>),
    /// The lease has ended: close until the next declaration.
    Suspend,
    /// The router no longer assigns the session to this node. Ignored if the actor has a newer
    /// epoch.
    Release { epoch: u64 },
    /// Panics, to simulate a fault in this crate.
    #[cfg(test)]
    Panic,
}

/// How an actor ended without a crash.
pub(crate) enum ActorExit {
    /// The keys are wiped and the session is removed as of this epoch; the forgets still wait for
    /// their answers.
    Forgotten(u64, Vec<Reply<()>>),
    /// The session left the node at this epoch, and its keys are wiped.
    Released(u64),
    /// The node stops.
    Closed,
}
