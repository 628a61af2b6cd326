//! Two kinds of request in pairs with random order, so that disturbances of the machine affect both
//! kinds alike.

use std::net::SocketAddr;

use anyhow::{Context as _, Result, ensure};
use testbed::random::Random;

use crate::{
    connection::{Connection, TimedReply},
    spread::{float, number},
    welch::Verdict,
};

/// Pairs before the measurement, which warm up code, pools and caches.
const WARM_UP: usize = 2_000;
/// Pairs between two uses of the requests in `used`.
const USED_EVERY: usize = 100;

/// A kind of request.
#[derive(Clone, Debug)]
pub(crate) struct Kind {
    /// Complete requests; each use chooses one at random.
    pub(crate) requests: Vec<Vec<u8>>,
    /// Status of every answer.
    pub(crate) status: u16,
}

/// Two kinds of request that are compared.
#[derive(Clone, Debug)]
pub(crate) struct PairedRequests {
    /// Name of the comparison in the output.
    pub(crate) name: String,
    /// Both kinds.
    pub(crate) kinds: [Kind; 2],
    /// Requests that are sent now and then and not measured.
    pub(crate) used: Vec<Vec<u8>>,
    /// Number of pairs.
    pub(crate) pairs: usize,
}

impl PairedRequests {
    /// Sends every request once, warms up, and measures the pairs.
    pub(crate) fn compare(&self, address: SocketAddr) -> Result<Verdict> {
        println!("    {} pairs: {}", number(float(self.pairs as u64), 0), self.name);
        self.run(address).with_context(|| self.name.clone())
    }

    fn run(&self, address: SocketAddr) -> Result<Verdict> {
        let (mut connection, mut random) = (Connection::open(address)?, Random::new()?);
        let mut bodies: [Option<Vec<u8>>; 2] = [None, None];
        for (kind, body) in self.kinds.iter().zip(&mut bodies) {
            for request in &kind.requests {
                let reply = connection.ask(request)?;
                kind.must_be(&reply)?;
                *body = Some(reply.body.to_vec());
            }
        }
        ensure!(
            self.kinds[0].status != self.kinds[1].status || bodies[0] == bodies[1],
            "the bodies differ: {bodies:?}"
        );
        let mut took = [Vec::new(), Vec::new()];
        for pair in 0..WARM_UP.min(self.pairs) + self.pairs {
            if pair % USED_EVERY == 0 {
                for request in &self.used {
                    connection.ask(request)?;
                }
            }
            let first = usize::from(random.flip());
            for which in [first, 1 - first] {
                let kind = &self.kinds[which];
                let request: &Vec<u8> = random.choose(&kind.requests);
                let reply = connection.ask(request)?;
                kind.must_be(&reply)?;
                if pair >= WARM_UP.min(self.pairs) {
                    let nanos = u32::try_from(reply.took.as_nanos()).unwrap_or(u32::MAX);
                    took[which].push(nanos);
                }
            }
        }
        Ok(Verdict::of(&took[0], &took[1]))
    }
}

impl Kind {
    fn must_be(&self, reply: &TimedReply<'_>) -> Result<()> {
        let text = String::from_utf8_lossy(reply.body);
        ensure!(
            reply.status == self.status,
            "status {} instead of {}: {text}",
            reply.status,
            self.status
        );
        Ok(())
    }
}
