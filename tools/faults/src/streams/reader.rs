//! A client that follows the events of an organization and resumes at any router.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use anyhow::{Result, anyhow, bail, ensure};
use testbed::{
    event_stream::{EventStream, Opened},
    random::Random,
    wait,
};

use super::{observation::Observation, routers::Client};

/// The label of the session whose creation is the last event.
pub(super) const LAST: &str = "last";
/// Pause before a router that refuses or does not answer is asked again.
const AGAIN: Duration = Duration::from_millis(20);
/// A client leaves by itself after one event in this number.
const LEAVES: u64 = 200;

/// A running client. Dropping the value ends the client when its connection ends.
#[derive(Debug)]
pub(super) struct Reader {
    name: String,
    is_over: Arc<AtomicBool>,
    thread: JoinHandle<Result<(Observation, usize)>>,
}

impl Reader {
    /// Starts a client, at the oldest event.
    pub(super) fn start(client: &Client, seed: u64, which: usize) -> Self {
        let name = format!("client {which}");
        let is_over = Arc::new(AtomicBool::new(false));
        let random = Random::seeded(seed, 2_000 + which as u64);
        let thread = thread::spawn({
            let (client, name, is_over) = (client.clone(), name.clone(), Arc::clone(&is_over));
            move || follow(&client, name, random, &is_over)
        });
        Self { name, is_over, thread }
    }

    /// Waits until the client has the last event. Returns its events, and how often it has resumed.
    pub(super) fn finish(self, patience: Duration) -> Result<(Observation, usize)> {
        let has_ended = || Ok(self.thread.is_finished());
        let ended = wait::until_true("the last event", patience, has_ended);
        self.is_over.store(true, Ordering::Relaxed);
        ended.map_err(|error| error.context(self.name.clone()))?;
        self.thread.join().map_err(|_| anyhow!("{} panicked", self.name))?
    }
}

/// Follows the events until the last one.
fn follow(
    client: &Client,
    name: String,
    mut random: Random,
    is_over: &AtomicBool,
) -> Result<(Observation, usize)> {
    let mut observation = Observation::new(name);
    let (mut last, mut resumed) = (String::new(), 0);
    while !is_over.load(Ordering::Relaxed) {
        // `Last-Event-ID` precedes `after`.
        match EventStream::open(random.choose(&client.routers), "after=earliest", &last) {
            Ok(Opened::Stream(mut stream)) => {
                let has_ended = read(&mut stream, client, &mut random, &mut observation)?;
                if has_ended {
                    return Ok((observation, resumed));
                }
                last = stream.last;
                resumed += 1;
            }
            Ok(Opened::Refused(status)) if status < 500 => {
                bail!("{} is refused with {status} after {last:?}", observation.name)
            }
            Ok(Opened::Refused(_)) | Err(_) => thread::sleep(AGAIN),
        }
    }
    bail!("{} has not got the last event", observation.name)
}

/// Reads one connection to its end; returns whether the last event has come.
fn read(
    stream: &mut EventStream,
    client: &Client,
    random: &mut Random,
    observation: &mut Observation,
) -> Result<bool> {
    while let Ok(Some(event)) = stream.event() {
        ensure!(event["organization"] == *client.organization, "another organization's {event}");
        observation.add(&event);
        if event["payload"]["label"] == LAST {
            return Ok(true);
        }
        if random.below(LEAVES) == 0 {
            return Ok(false);
        }
    }
    Ok(false)
}
