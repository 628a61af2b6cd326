//! `kill -9`, of either program or both, in the middle of everything: what was acknowledged stays
//! true, what was under way ends, what was deleted is gone.

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

/// What is under way when somebody dies.
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

/// How far it has come.
#[derive(Clone, Copy, Debug)]
pub enum Moment {
    /// The request was sent so many milliseconds ago; its answer was not read.
    Sent(u64),
    /// The answer was read so many milliseconds ago.
    Answered(u64),
    /// A phone began to scan so many milliseconds ago.
    Scanning(u64),
    /// A phone has scanned and shows the device, since so many milliseconds.
    Scanned(u64),
    /// A pairing code is shown.
    CodeShown,
    /// The session works.
    Working,
    /// The gateway was killed first, and the request then sent, while nobody holds the connection.
    WithoutGateway,
}

pub use Moment::{Answered, CodeShown, Scanned, Scanning, Sent, WithoutGateway, Working};
pub use Operation::{Create, Delete, Logout, Pair};
use Victim::{Berth, Both, Gateway};

/// One point, with everything it needs.
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
    /// One of its moments, each within the milliseconds in which something still happens.
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
    /// Runs the operation and its blow, and leaves everything running.
    fn strike_in(mut self, operation: Operation) -> Result<()> {
        let outcome = match operation {
            Create => create::run(&mut self),
            Pair => pair::run(&mut self),
            Logout => logout::run(&mut self),
            Delete => delete::run(&mut self),
        };
        self.stack.recover()?; // the next point begins with everything running
        outcome
    }

    /// So many milliseconds later the victim dies, and comes back.
    fn strike_after(&mut self, milliseconds: u64) -> Result<()> {
        thread::sleep(Duration::from_millis(milliseconds)); // which instant is hit is the point
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

/// A moment that the operation does not have.
fn unknown(moment: Moment) -> Result<()> {
    anyhow::bail!("there is no such moment: {moment}")
}
