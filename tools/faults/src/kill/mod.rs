//! `kill -9` of either program or both at a chosen moment: acknowledged changes persist, operations
//! in progress end, deleted sessions leave no trace.

mod create;
mod delete;
mod logout;
mod pair;

use std::{fmt, thread, time::Duration};

use anyhow::{Context as _, Result};
use testbed::{
    client::Api,
    random::Random,
    stack::{Stack, Victim},
};

/// The operation in progress.
#[derive(Clone, Copy, Debug)]
pub enum Operation {
    /// A session is created.
    Create,
    /// A phone links.
    Pair,
    /// The owner logs the device out.
    Logout,
    /// The session is deleted.
    Delete,
}

/// The progress of the operation.
#[derive(Clone, Copy, Debug)]
pub enum Moment {
    /// Milliseconds after the request was sent; the answer is not read.
    Sent(u64),
    /// Milliseconds after the answer was read.
    Answered(u64),
    /// Milliseconds after a phone began to scan.
    Scanning(u64),
    /// Milliseconds after a phone has scanned and shows the device.
    Scanned(u64),
    /// A pairing code is shown.
    CodeShown,
    /// The session works.
    Working,
    /// The gateway is killed first, and the request is sent while no gateway runs.
    WithoutGateway,
}

pub use Moment::{Answered, CodeShown, Scanned, Scanning, Sent, WithoutGateway, Working};
pub use Operation::{Create, Delete, Logout, Pair};
use Victim::{Berth, Both, Gateway};

/// A kill with its deployment.
struct Point<'a> {
    stack: &'a mut Stack,
    api: &'a Api,
    moment: Moment,
    victim: Victim,
    name: String,
}

/// Kills a program while an operation is at this moment, and verifies the outcome.
///
/// # Errors
/// When the outcome contradicts an answer, or a program does not come back.
pub fn strike(
    stack: &mut Stack,
    api: &Api,
    (operation, moment, victim): (Operation, Moment, Victim),
) -> Result<()> {
    let name = format!("kill -9 {victim}: {operation:?}, {moment}");
    Point { stack, api, moment, victim, name }.strike_in(operation)
}

/// Kills at a random moment of a random operation. The error names them.
pub(crate) fn strike_at_random(stack: &mut Stack, api: &Api, random: &mut Random) -> Result<()> {
    let operation = *random.choose(&[Create, Pair, Logout, Delete]);
    let moment = operation.random_moment(random);
    let victim = match moment {
        WithoutGateway => Berth,
        _ => *random.choose(&[Berth, Gateway, Both]),
    };
    let name = format!("kill -9 {victim}: {operation:?}, {moment}");
    let point = Point { stack, api, moment, victim, name: name.clone() };
    point.strike_in(operation).context(name)
}

impl Operation {
    /// Returns a random moment within the milliseconds in which the operation is in progress.
    fn random_moment(self, random: &mut Random) -> Moment {
        let moments = match self {
            Create => vec![Sent(random.below(15)), Answered(random.below(4))],
            Pair => vec![
                Sent(random.below(100)),
                Answered(random.below(10)),
                Scanning(random.below(150)),
                Scanned(random.below(150)),
                CodeShown,
                Working,
            ],
            Logout => vec![Sent(random.below(40)), Answered(random.below(20))],
            Delete => vec![Sent(random.below(15)), Answered(random.below(30)), WithoutGateway],
        };
        *random.choose(&moments)
    }
}

impl Point<'_> {
    /// Runs the operation with the kill, and leaves all programs running.
    fn strike_in(mut self, operation: Operation) -> Result<()> {
        let outcome = match operation {
            Create => create::run(&mut self),
            Pair => pair::run(&mut self),
            Logout => logout::run(&mut self),
            Delete => delete::run(&mut self),
        };
        self.stack.recover()?; // the next kill starts with all programs running
        outcome
    }

    /// Kills the victim after this time, and waits for its recovery.
    fn strike_after(&mut self, milliseconds: u64) -> Result<()> {
        thread::sleep(Duration::from_millis(milliseconds)); // the kill may hit any instant
        self.stack.kill(self.victim)?;
        self.stack.recover()
    }
}

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Sent(ms) => write!(f, "{ms} ms after the request"),
            Answered(ms) => write!(f, "{ms} ms after the answer"),
            Scanning(ms) => write!(f, "{ms} ms after a phone began to scan"),
            Scanned(ms) => write!(f, "{ms} ms after a phone has scanned"),
            CodeShown => f.write_str("a pairing code is shown"),
            Working => f.write_str("it works"),
            WithoutGateway => f.write_str("while the gateway is gone"),
        }
    }
}

/// Returns an error for a moment that the operation does not have.
fn unknown(moment: Moment) -> Result<()> {
    anyhow::bail!("there is no such moment: {moment}")
}
