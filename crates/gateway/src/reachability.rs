//! Whether WhatsApp can be reached, as the connections of this node find out. Decision: ADR 0058.
//!
//! The engine waits longer after each failed attempt, up to 15 minutes, as WhatsApp Web does. After a
//! long outage, every session would stay away for that time. One probe of the node therefore tries to
//! connect while sessions wait, and sessions begin anew after an attempt that succeeded.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use rand::RngExt as _;
use tokio::time::{Instant, sleep, timeout};
use wacore::net::TransportFactory;

/// Failed attempts in a row from which a session does not wait for the engine's next attempt. The
/// engine makes the sixth attempt 12 s after the first one, and waits 8 s and longer behind it.
const LONG_OUTAGE: u32 = 6;
/// The mean pause between attempts of the probe.
const PROBE_INTERVAL: Duration = Duration::from_secs(10);
/// Time limit for an attempt of the probe.
const PROBE_TIMEOUT: Duration = Duration::from_secs(20);
/// Time for which the probe goes on after a session's latest failed attempt; longer than the longest
/// wait of the engine.
const PROBE_LIFETIME: Duration = Duration::from_secs(1_200);

/// The knowledge of all sessions of a node.
#[derive(Default)]
pub(crate) struct Reachability(Mutex<Knowledge>);

#[derive(Default)]
struct Knowledge {
    /// The latest time at which a connection was opened.
    reached: Option<Instant>,
    /// The time at which the probe ends. `None`: no probe runs.
    probe_until: Option<Instant>,
}

impl Reachability {
    fn was_reached_after(&self, time: Instant) -> bool {
        self.with(|knowledge| knowledge.reached.is_some_and(|reached| reached > time))
    }

    fn reached(&self) {
        self.with(|knowledge| knowledge.reached = Some(Instant::now()));
    }

    /// Starts the probe, or makes a running one go on.
    fn probe(self: &Arc<Self>, transports: &Arc<dyn TransportFactory>) {
        let until = Instant::now() + PROBE_LIFETIME;
        if self.with(|knowledge| knowledge.probe_until.replace(until)).is_some() {
            return;
        }
        let (known, transports) = (Arc::downgrade(self), transports.clone());
        tokio::spawn(async move {
            loop {
                let pause = PROBE_INTERVAL.mul_f64(rand::rng().random_range(0.8..1.2));
                sleep(pause).await;
                let reached = reaches(&*transports).await;
                let Some(known) = known.upgrade() else { return };
                if known.ends_probe(reached) {
                    return;
                }
            }
        });
    }

    /// Records the outcome of the probe's attempt. Returns whether the probe ends.
    fn ends_probe(&self, reached: bool) -> bool {
        let now = Instant::now();
        self.with(|knowledge| {
            if reached {
                knowledge.reached = Some(now);
            }
            let ends = reached || knowledge.probe_until.is_none_or(|until| until < now);
            if ends {
                knowledge.probe_until = None;
            }
            ends
        })
    }

    fn with<T>(&self, change: impl FnOnce(&mut Knowledge) -> T) -> T {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Returns whether a connection to WhatsApp can be opened now.
async fn reaches(transports: &dyn TransportFactory) -> bool {
    match timeout(PROBE_TIMEOUT, transports.create_transport()).await {
        Ok(Ok((transport, _))) => {
            transport.disconnect().await;
            true
        }
        Ok(Err(_)) | Err(_) => false,
    }
}

/// The attempts of one session to open a connection.
pub(crate) struct ConnectAttempts {
    node: Arc<Reachability>,
    /// The failed attempts since the last success, and the start of the latest attempt.
    failed: Mutex<Option<(u32, Instant)>>,
}

impl ConnectAttempts {
    pub(crate) fn new(node: Arc<Reachability>) -> Self {
        Self { node, failed: Mutex::new(None) }
    }

    /// Records that an attempt begins. It counts as failed until [`Self::succeeded`], because the
    /// engine drops an attempt that takes too long.
    pub(crate) fn begin(&self, transports: &Arc<dyn TransportFactory>) {
        let count = self.with(|failed| {
            let count = failed.map_or(0, |(count, _)| count) + 1;
            *failed = Some((count, Instant::now()));
            count
        });
        if count >= LONG_OUTAGE {
            self.node.probe(transports);
        }
    }

    pub(crate) fn succeeded(&self) {
        self.with(|failed| *failed = None);
        self.node.reached();
    }

    /// Returns whether the session waits after many failed attempts although WhatsApp was reached since
    /// the latest one.
    pub(crate) fn waits_needlessly(&self) -> bool {
        self.with(|failed| {
            failed.is_some_and(|(count, latest)| {
                count >= LONG_OUTAGE && self.node.was_reached_after(latest)
            })
        })
    }

    fn with<T>(&self, change: impl FnOnce(&mut Option<(u32, Instant)>) -> T) -> T {
        change(&mut self.failed.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

    use super::*;
    use crate::whatsapp_transport::OpenTransport;

    /// A network that refuses connections until it is up.
    #[derive(Default)]
    struct Network {
        is_up: AtomicBool,
        attempts: AtomicU32,
    }

    struct Silent;

    #[async_trait::async_trait]
    impl wacore::net::Transport for Silent {
        async fn send(&self, _data: bytes::Bytes) -> anyhow::Result<()> {
            Ok(())
        }
        async fn disconnect(&self) {}
    }

    #[async_trait::async_trait]
    impl TransportFactory for Network {
        async fn create_transport(&self) -> anyhow::Result<OpenTransport> {
            self.attempts.fetch_add(1, Ordering::Relaxed);
            anyhow::ensure!(self.is_up.load(Ordering::Relaxed), "refused");
            Ok((Arc::new(Silent), whatsapp_rust::async_channel::unbounded().1))
        }
    }

    struct World {
        network: Arc<Network>,
        transports: Arc<dyn TransportFactory>,
        node: Arc<Reachability>,
    }

    fn world() -> World {
        let network = Arc::new(Network::default());
        World { transports: network.clone(), network, node: Arc::default() }
    }

    impl World {
        fn session(&self, failures: u32) -> ConnectAttempts {
            let attempts = ConnectAttempts::new(self.node.clone());
            (0..failures).for_each(|_| attempts.begin(&self.transports));
            attempts
        }
    }

    #[tokio::test(start_paused = true)]
    async fn sessions_that_wait_hear_of_the_end_of_an_outage() {
        let world = world();
        let [first, second] = [world.session(LONG_OUTAGE), world.session(LONG_OUTAGE + 3)];
        let few = world.session(LONG_OUTAGE - 1);
        sleep(Duration::from_secs(600)).await;
        assert!(!first.waits_needlessly() && !second.waits_needlessly());
        let attempts = world.network.attempts.load(Ordering::Relaxed);
        assert!((50..=75).contains(&attempts), "{attempts} attempts of one probe in ten minutes");
        world.network.is_up.store(true, Ordering::Relaxed);
        sleep(Duration::from_secs(15)).await;
        assert!(first.waits_needlessly() && second.waits_needlessly());
        // The engine's own next attempt is near.
        assert!(!few.waits_needlessly());
        // The probe has ended.
        let attempts = world.network.attempts.load(Ordering::Relaxed);
        sleep(Duration::from_secs(600)).await;
        assert_eq!(world.network.attempts.load(Ordering::Relaxed), attempts);
        // A later attempt that fails does not wait needlessly, and begins another probe.
        sleep(Duration::from_secs(1)).await;
        first.begin(&world.transports);
        assert!(!first.waits_needlessly() && second.waits_needlessly());
        sleep(Duration::from_secs(15)).await;
        assert!(first.waits_needlessly());
        first.succeeded();
        assert!(!first.waits_needlessly());
    }

    #[tokio::test(start_paused = true)]
    async fn success_of_another_session_is_enough() {
        let world = world();
        let waiting = world.session(LONG_OUTAGE);
        sleep(Duration::from_secs(1)).await;
        world.session(1).succeeded();
        assert!(waiting.waits_needlessly());
    }

    #[tokio::test(start_paused = true)]
    async fn probe_ends_when_no_session_waits() {
        let world = world();
        drop(world.session(LONG_OUTAGE));
        sleep(PROBE_LIFETIME + PROBE_INTERVAL * 2).await;
        let attempts = world.network.attempts.load(Ordering::Relaxed);
        sleep(PROBE_LIFETIME).await;
        assert_eq!(world.network.attempts.load(Ordering::Relaxed), attempts);
    }
}
