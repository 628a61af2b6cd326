//! The membership of a node: registers with its router, sends heartbeats to keep the lease, and
//! reports snapshots in order and at least once.
//!
//! A node without an answered heartbeat for the length of its lease closes all connections, because
//! the router may then assign the sessions to another node.

use std::{collections::HashMap, sync::Arc, time::Duration};

use futures_util::FutureExt as _;
use gateway_protocol::{Heartbeat, Reason, Register, Reports, Snapshot, Status, reason};
use tokio::{sync::Notify, time::Instant};

use crate::{
    context::NodeContext,
    fleet::Fleet,
    router_client::{RouterClient, RouterError},
    session_name::SessionName,
};

/// Snapshots in one report.
const MAX_BATCH: usize = 64;
/// Bounds of the interval between attempts of a call.
const MIN_RETRY_INTERVAL: Duration = Duration::from_millis(100);
const MAX_RETRY_INTERVAL: Duration = Duration::from_secs(5);
/// Interval of heartbeats while sessions can be released.
const MIN_EARLY_HEARTBEAT_INTERVAL: Duration = Duration::from_secs(1);
/// Lower bound of the heartbeat interval that a router may set.
const MIN_HEARTBEAT_INTERVAL: Duration = Duration::from_millis(20);

/// Keeps the membership of a node and sends its reports.
pub(crate) struct Reporter {
    pub(crate) context: Arc<NodeContext>,
    pub(crate) fleet: Arc<Fleet>,
    pub(crate) router: Arc<RouterClient>,
    pub(crate) registration: Register,
    /// Notified when the router does not know this node.
    pub(crate) unregistered: Arc<Notify>,
    /// Notified when a session of this node may free capacity.
    pub(crate) early_heartbeat: Notify,
}

/// The lease that permits the connections of the node.
struct Lease {
    ends: Option<Instant>,
    /// The send time of the newest call that was answered; the lease runs from this time.
    answered: Option<Instant>,
    length: Duration,
    heartbeat_interval: Duration,
}

/// Returns whether a session is closed and not linked, so that the router may remove the session
/// from this node.
fn is_idle(snapshot: &Snapshot) -> bool {
    let closed = matches!(snapshot.status, Status::Stopped | Status::Failed);
    let unknown = |reason: &Reason| reason.code == reason::KEYS_UNAVAILABLE;
    let known = !snapshot.reason.as_ref().is_some_and(unknown);
    closed && known && snapshot.identity.is_none()
}

impl Lease {
    /// Renews the lease by an answer to a call sent at `sent_at`.
    fn renew(&mut self, sent_at: Instant) {
        (self.answered, self.ends) = (Some(sent_at), Some(sent_at + self.length));
    }
}

impl Reporter {
    /// Registers, sends heartbeats, and registers again whenever the router requires it. Never
    /// returns.
    pub(crate) async fn maintain_membership(&self) {
        let mut lease = Lease {
            ends: None,
            answered: None,
            length: Duration::ZERO,
            heartbeat_interval: MAX_RETRY_INTERVAL,
        };
        loop {
            self.register_until_accepted(&mut lease).await;
            tokio::select! {
                () = self.send_heartbeats(&mut lease) => {}
                () = self.unregistered.notified() => {}
            }
        }
    }

    /// Registers, and retries until the router accepts.
    async fn register_until_accepted(&self, lease: &mut Lease) {
        let mut wait = MIN_RETRY_INTERVAL;
        loop {
            let sent_at = Instant::now();
            match self.while_leased(lease, self.router.register(&self.registration)).await {
                Ok(registered) => {
                    lease.length = Duration::from_millis(registered.lease_ms);
                    lease.heartbeat_interval =
                        Duration::from_millis(registered.heartbeat_ms).max(MIN_HEARTBEAT_INTERVAL);
                    lease.renew(sent_at);
                    tracing::info!(boot = registered.generation, "enlisted");
                    self.context.generation.send_replace(registered.generation);
                    // A pending notification concerns the time before this registration.
                    let _ = self.unregistered.notified().now_or_never();
                    self.fleet.report_all();
                    return;
                }
                Err(error) => tracing::warn!(%error, "registration failed; retrying"),
            }
            self.while_leased(lease, tokio::time::sleep(wait)).await;
            wait = (wait * 2).min(MAX_RETRY_INTERVAL);
        }
    }

    /// Sends heartbeats until the router does not know this node, or the lease has ended.
    async fn send_heartbeats(&self, lease: &mut Lease) {
        let mut times_named = HashMap::new();
        loop {
            let sent_at = Instant::now();
            let incarnation = self.registration.incarnation.clone();
            let answered_ago = lease.answered.map(|answered| answered.elapsed().as_millis());
            let answered_ago_ms = answered_ago.map(|ago| u64::try_from(ago).unwrap_or(u64::MAX));
            let heartbeat = Heartbeat {
                incarnation,
                held: self.fleet.held_sessions(),
                answered_ago_ms,
                journal: Some(self.context.journal.stats().await),
            };
            match self.while_leased(lease, self.router.heartbeat(&heartbeat)).await {
                // The lease ended meanwhile and all connections are closed. The router examines all
                // sessions only at a registration.
                Ok(_) if lease.ends.is_none() => return,
                Ok(renewed) => {
                    lease.length = Duration::from_millis(renewed.lease_ms);
                    lease.renew(sent_at);
                    self.release_lost(&heartbeat, &renewed.lost).await;
                    times_named = log_orphans(&times_named, &renewed.lost);
                }
                Err(RouterError::NotRegistered) => return,
                Err(error) => tracing::warn!(%error, "heartbeat failed; retrying"),
            }
            let next = self.wait_for_next_heartbeat(sent_at, lease.heartbeat_interval);
            self.while_leased(lease, next).await;
        }
    }

    /// Waits for the time of the next heartbeat, which is earlier when sessions can be released,
    /// because other sessions wait for their capacity.
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

    /// Releases sessions that are no longer assigned to this node. A declaration that arrived after
    /// the heartbeat was sent is newer than the router's answer.
    async fn release_lost(&self, heartbeat: &Heartbeat, lost: &[String]) {
        for held in heartbeat.held.iter().filter(|held| lost.contains(&held.session)) {
            if let Some(session) = SessionName::parse(&held.session) {
                tracing::debug!(
                    session = held.session,
                    "session is no longer assigned to this node"
                );
                if self.fleet.snapshot(&session).is_ok_and(|snapshot| is_idle(&snapshot)) {
                    self.early_heartbeat.notify_one(); // the next heartbeat then lacks this session
                }
                self.fleet.release(&session, held.epoch).await;
            }
        }
    }

    /// Awaits a task; suspends all sessions if the lease ends meanwhile.
    async fn while_leased<T>(&self, lease: &mut Lease, task: impl Future<Output = T>) -> T {
        tokio::pin!(task);
        if let Some(ends) = lease.ends {
            if let Ok(done) = tokio::time::timeout_at(ends, &mut task).await {
                return done;
            }
            tracing::error!(
                "lease ended without an answer from the router; closing all connections"
            );
            lease.ends = None;
            self.fleet.suspend().await;
        }
        task.await
    }

    /// Sends queued snapshots. Never returns.
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
                    // The sender lives as long as the context.
                    let _ = generation.changed().await;
                }
                Err(error) => {
                    tracing::warn!(%error, "report failed; retrying");
                    tokio::time::sleep(wait).await;
                    wait = (wait * 2).min(MAX_RETRY_INTERVAL);
                }
            }
        }
    }

    fn reports(&self, batch: &[gateway_protocol::Snapshot], generation: u64) -> Reports {
        let reports = batch.iter().cloned().map(|mut snapshot| {
            snapshot.generation = generation;
            snapshot
        });
        Reports { incarnation: self.registration.incarnation.clone(), reports: reports.collect() }
    }
}

/// Logs sessions without a record at the router whose keys stay because they link a device. A
/// session is logged when it is named for the second time in succession. Returns how often each
/// session was named.
fn log_orphans(times_named: &HashMap<String, u32>, lost: &[String]) -> HashMap<String, u32> {
    let next_count =
        |session: &String| times_named.get(session).map_or(1, |times| times.saturating_add(1));
    let times_named: HashMap<_, _> =
        lost.iter().map(|name| (name.clone(), next_count(name))).collect();
    for (session, _) in times_named.iter().filter(|(_, times)| **times == 2) {
        tracing::warn!(
            session,
            "keys of a session that the router does not know stay on this node"
        );
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
