//! How a node belongs to its router: it enlists, beats to keep its leases, and reports what it sees,
//! in order and at least once.
//!
//! A node that cannot beat for as long as its leases last closes everything, because by then the
//! router may have given its sessions to another.

use std::{collections::HashMap, sync::Arc, time::Duration};

use futures_util::FutureExt as _;
use gateway_protocol::{Beat, Enlist, Reason, Reports, Snapshot, Status, reason};
use tokio::{sync::Notify, time::Instant};

use crate::{
    context::NodeContext,
    fleet::Fleet,
    router_client::{RouterClient, RouterError},
    session_name::SessionName,
};

/// How many snapshots travel together.
const MAX_BATCH: usize = 64;
/// Between tries, at least and at most.
const MIN_RETRY_INTERVAL: Duration = Duration::from_millis(100);
const MAX_RETRY_INTERVAL: Duration = Duration::from_secs(5);
/// How soon a beat follows another at the earliest when sessions may leave.
const MIN_EARLY_HEARTBEAT_INTERVAL: Duration = Duration::from_secs(1);
/// No router may ask for a beat more often than this.
const MIN_HEARTBEAT_INTERVAL: Duration = Duration::from_millis(20);

/// The node's membership.
pub(crate) struct Reporter {
    pub(crate) context: Arc<NodeContext>,
    pub(crate) fleet: Arc<Fleet>,
    pub(crate) router: RouterClient,
    pub(crate) registration: Enlist,
    /// Rung when the router says that it does not know this node.
    pub(crate) unregistered: Notify,
    /// Rung when the router may have room here to give to others.
    pub(crate) early_heartbeat: Notify,
}

/// What the node's connections hang on.
struct Lease {
    ends: Option<Instant>,
    /// When the newest call was sent whose answer came: from then on the lease counts.
    heard: Option<Instant>,
    length: Duration,
    beat: Duration,
}

/// Whether a session is closed without a link, so that the router may take it off this node.
fn is_idle(snapshot: &Snapshot) -> bool {
    let closed = matches!(snapshot.status, Status::Stopped | Status::Failed);
    let unknown = |reason: &Reason| reason.code == reason::KEYS_UNAVAILABLE;
    let known = !snapshot.reason.as_ref().is_some_and(unknown);
    closed && known && snapshot.identity.is_none()
}

impl Lease {
    /// The answer to a call came that was sent then.
    fn renew(&mut self, sent_at: Instant) {
        (self.heard, self.ends) = (Some(sent_at), Some(sent_at + self.length));
    }
}

impl Reporter {
    /// Enlists, beats, and enlists again whenever the router asks for it. Never returns.
    pub(crate) async fn maintain_membership(&self) {
        let mut lease =
            Lease { ends: None, heard: None, length: Duration::ZERO, beat: MAX_RETRY_INTERVAL };
        loop {
            self.register_until_accepted(&mut lease).await;
            tokio::select! {
                () = self.send_heartbeats(&mut lease) => {}
                () = self.unregistered.notified() => {}
            }
        }
    }

    /// Tries to enlist until it works.
    async fn register_until_accepted(&self, lease: &mut Lease) {
        let mut wait = MIN_RETRY_INTERVAL;
        loop {
            let sent_at = Instant::now();
            match self.while_leased(lease, self.router.register(&self.registration)).await {
                Ok(registered) => {
                    lease.length = Duration::from_millis(registered.lease_ms);
                    lease.beat =
                        Duration::from_millis(registered.beat_ms).max(MIN_HEARTBEAT_INTERVAL);
                    lease.renew(sent_at);
                    tracing::info!(boot = registered.boot, "enlisted");
                    self.context.generation.send_replace(registered.boot);
                    // Said of the time before, if it was.
                    let _ = self.unregistered.notified().now_or_never();
                    self.fleet.report_all();
                    return;
                }
                Err(error) => tracing::warn!(%error, "cannot enlist; trying again"),
            }
            self.while_leased(lease, tokio::time::sleep(wait)).await;
            wait = (wait * 2).min(MAX_RETRY_INTERVAL);
        }
    }

    /// Beats until the router does not know this node any more, or the leases ran out.
    async fn send_heartbeats(&self, lease: &mut Lease) {
        let mut times_named = HashMap::new();
        loop {
            let sent_at = Instant::now();
            let incarnation = self.registration.incarnation.clone();
            let answered_ago = lease.heard.map(|heard| heard.elapsed().as_millis());
            let heard_ago_ms = answered_ago.map(|ago| u64::try_from(ago).unwrap_or(u64::MAX));
            let beat = Beat { incarnation, held: self.fleet.held_sessions(), heard_ago_ms };
            match self.while_leased(lease, self.router.heartbeat(&beat)).await {
                // Everything was closed meanwhile: only at an enlistment does the router look at all
                // of it again.
                Ok(_) if lease.ends.is_none() => return,
                Ok(renewed) => {
                    lease.length = Duration::from_millis(renewed.lease_ms);
                    lease.renew(sent_at);
                    self.release_lost(&beat, &renewed.lost).await;
                    times_named = log_orphans(&times_named, &renewed.lost);
                }
                Err(RouterError::NotRegistered) => return,
                Err(error) => tracing::warn!(%error, "cannot beat; trying again"),
            }
            let next = self.wait_for_next_heartbeat(sent_at, lease.beat);
            self.while_leased(lease, next).await;
        }
    }

    /// Waits for the time of the next beat, which comes sooner when sessions may leave: their room is
    /// waited for.
    async fn wait_for_next_heartbeat(&self, sent_at: Instant, every: Duration) {
        let soon = async {
            self.early_heartbeat.notified().await;
            tokio::time::sleep_until(sent_at + MIN_EARLY_HEARTBEAT_INTERVAL.min(every)).await;
        };
        tokio::select! {
            () = tokio::time::sleep_until(sent_at + every) => {}
            () = soon => {}
        }
    }

    /// Lets go of sessions that are no longer this node's. What was told of one since the beat was sent
    /// is newer than the router's word on it.
    async fn release_lost(&self, beat: &Beat, lost: &[String]) {
        for held in beat.held.iter().filter(|held| lost.contains(&held.session)) {
            if let Some(session) = SessionName::parse(&held.session) {
                tracing::debug!(session = held.session, "no longer this node's");
                if self.fleet.snapshot(&session).is_ok_and(|snapshot| is_idle(&snapshot)) {
                    self.early_heartbeat.notify_one(); // to tell that it is gone
                }
                self.fleet.release(&session, held.epoch).await;
            }
        }
    }

    /// Waits for something, closing everything when the leases run out meanwhile.
    async fn while_leased<T>(&self, lease: &mut Lease, task: impl Future<Output = T>) -> T {
        tokio::pin!(task);
        if let Some(ends) = lease.ends {
            if let Ok(done) = tokio::time::timeout_at(ends, &mut task).await {
                return done;
            }
            tracing::error!("no word from the router for the length of a lease: closing all");
            lease.ends = None;
            self.fleet.suspend().await;
        }
        task.await
    }

    /// Sends what there is to say, for ever.
    pub(crate) async fn send_reports(&self) {
        let mut generation = self.context.generation.subscribe();
        let mut wait = MIN_RETRY_INTERVAL;
        loop {
            let batch = self.context.outbox.batch(MAX_BATCH);
            if batch.is_empty() {
                self.context.outbox.wait_for_push().await;
                continue;
            }
            let present = *generation.borrow_and_update();
            let sent = match present {
                0 => Err(RouterError::NotRegistered),
                _ => self.router.report(&self.reports(&batch, present)).await,
            };
            match sent {
                Ok(()) => {
                    if batch.iter().any(is_idle) {
                        self.early_heartbeat.notify_one();
                    }
                    self.context.outbox.acknowledge(&batch);
                    wait = MIN_RETRY_INTERVAL;
                }
                Err(RouterError::NotRegistered) => {
                    if present > 0 {
                        self.unregistered.notify_one();
                    }
                    // Its sender lives as long as the context.
                    let _ = generation.changed().await;
                }
                Err(error) => {
                    tracing::warn!(%error, "cannot report; trying again");
                    tokio::time::sleep(wait).await;
                    wait = (wait * 2).min(MAX_RETRY_INTERVAL);
                }
            }
        }
    }

    fn reports(&self, batch: &[gateway_protocol::Snapshot], generation: u64) -> Reports {
        let reports = batch.iter().cloned().map(|mut snapshot| {
            snapshot.boot = generation;
            snapshot
        });
        Reports { incarnation: self.registration.incarnation.clone(), reports: reports.collect() }
    }
}

/// Logs the sessions that the router does not know and whose keys stay, for a device is linked by them:
/// those that it names for the second time. Answers how often it has named each.
fn log_orphans(times_named: &HashMap<String, u32>, lost: &[String]) -> HashMap<String, u32> {
    let next_count =
        |session: &String| times_named.get(session).map_or(1, |times| times.saturating_add(1));
    let times_named: HashMap<_, _> =
        lost.iter().map(|name| (name.clone(), next_count(name))).collect();
    for (session, _) in times_named.iter().filter(|(_, times)| **times == 2) {
        tracing::warn!(session, "keys of a session that the router does not know stay here");
    }
    times_named
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orphan_is_logged_once_when_it_is_named_again() {
        let lost = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        let mut times_named = HashMap::new();
        let mut logged = Vec::new();
        for names in [&["a"][..], &["a", "b"], &["a"], &["a", "b"], &["b"], &["a"]] {
            times_named = log_orphans(&times_named, &lost(names));
            let mut now: Vec<_> = times_named.iter().filter(|(_, times)| **times == 2).collect();
            now.sort();
            logged.push(now.into_iter().map(|(name, _)| name.clone()).collect::<Vec<_>>());
        }
        assert_eq!(
            logged,
            [lost(&[]), lost(&["a"]), lost(&[]), lost(&[]), lost(&["b"]), lost(&[])]
        );
    }
}
