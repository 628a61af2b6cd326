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
    context::Context,
    fleet::Fleet,
    keys::SessionName,
    router::{Failure, Router},
};

/// How many snapshots travel together.
const BATCH: usize = 64;
/// Between tries, at least and at most.
const SHORTEST: Duration = Duration::from_millis(100);
const LONGEST: Duration = Duration::from_secs(5);
/// How soon a beat follows another at the earliest when sessions may leave.
const SOON: Duration = Duration::from_secs(1);
/// No router may ask for a beat more often than this.
const FASTEST: Duration = Duration::from_millis(20);

/// The node's membership.
pub(crate) struct Reporter {
    pub(crate) context: Arc<Context>,
    pub(crate) fleet: Arc<Fleet>,
    pub(crate) router: Router,
    pub(crate) enlist: Enlist,
    /// Rung when the router says that it does not know this node.
    pub(crate) unknown: Notify,
    /// Rung when the router may have room here to give to others.
    pub(crate) beat_soon: Notify,
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
    fn renew(&mut self, asked: Instant) {
        (self.heard, self.ends) = (Some(asked), Some(asked + self.length));
    }
}

impl Reporter {
    /// Enlists, beats, and enlists again whenever the router asks for it. Never returns.
    pub(crate) async fn belong(&self) {
        let mut lease = Lease { ends: None, heard: None, length: Duration::ZERO, beat: LONGEST };
        loop {
            self.join(&mut lease).await;
            tokio::select! {
                () = self.keep(&mut lease) => {}
                () = self.unknown.notified() => {}
            }
        }
    }

    /// Tries to enlist until it works.
    async fn join(&self, lease: &mut Lease) {
        let mut wait = SHORTEST;
        loop {
            let asked = Instant::now();
            match self.while_leased(lease, self.router.enlist(&self.enlist)).await {
                Ok(enlisted) => {
                    lease.length = Duration::from_millis(enlisted.lease_ms);
                    lease.beat = Duration::from_millis(enlisted.beat_ms).max(FASTEST);
                    lease.renew(asked);
                    tracing::info!(boot = enlisted.boot, "enlisted");
                    self.context.boot.send_replace(enlisted.boot);
                    // Said of the time before, if it was.
                    let _ = self.unknown.notified().now_or_never();
                    self.fleet.report_all();
                    return;
                }
                Err(error) => tracing::warn!(%error, "cannot enlist; trying again"),
            }
            self.while_leased(lease, tokio::time::sleep(wait)).await;
            wait = (wait * 2).min(LONGEST);
        }
    }

    /// Beats until the router does not know this node any more, or the leases ran out.
    async fn keep(&self, lease: &mut Lease) {
        let mut named = HashMap::new();
        loop {
            let asked = Instant::now();
            let incarnation = self.enlist.incarnation.clone();
            let heard_ago = lease.heard.map(|heard| heard.elapsed().as_millis());
            let heard_ago_ms = heard_ago.map(|ago| u64::try_from(ago).unwrap_or(u64::MAX));
            let beat = Beat { incarnation, held: self.fleet.held(), heard_ago_ms };
            match self.while_leased(lease, self.router.beat(&beat)).await {
                // Everything was closed meanwhile: only at an enlistment does the router look at all
                // of it again.
                Ok(_) if lease.ends.is_none() => return,
                Ok(beaten) => {
                    lease.length = Duration::from_millis(beaten.lease_ms);
                    lease.renew(asked);
                    self.let_go(&beat, &beaten.lost).await;
                    named = tell_orphans(&named, &beaten.lost);
                }
                Err(Failure::NotEnlisted) => return,
                Err(error) => tracing::warn!(%error, "cannot beat; trying again"),
            }
            let next = self.next_beat(asked, lease.beat);
            self.while_leased(lease, next).await;
        }
    }

    /// Waits for the time of the next beat, which comes sooner when sessions may leave: their room is
    /// waited for.
    async fn next_beat(&self, asked: Instant, every: Duration) {
        let soon = async {
            self.beat_soon.notified().await;
            tokio::time::sleep_until(asked + SOON.min(every)).await;
        };
        tokio::select! {
            () = tokio::time::sleep_until(asked + every) => {}
            () = soon => {}
        }
    }

    /// Lets go of sessions that are no longer this node's. What was told of one since the beat was sent
    /// is newer than the router's word on it.
    async fn let_go(&self, beat: &Beat, lost: &[String]) {
        for held in beat.held.iter().filter(|held| lost.contains(&held.session)) {
            if let Some(session) = SessionName::parse(&held.session) {
                tracing::debug!(session = held.session, "no longer this node's");
                if self.fleet.snapshot(&session).is_ok_and(|snapshot| is_idle(&snapshot)) {
                    self.beat_soon.notify_one(); // to tell that it is gone
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
    pub(crate) async fn report(&self) {
        let mut boot = self.context.boot.subscribe();
        let mut wait = SHORTEST;
        loop {
            let batch = self.context.outbox.batch(BATCH);
            if batch.is_empty() {
                self.context.outbox.news().await;
                continue;
            }
            let present = *boot.borrow_and_update();
            let sent = match present {
                0 => Err(Failure::NotEnlisted),
                _ => self.router.report(&self.batch(&batch, present)).await,
            };
            match sent {
                Ok(()) => {
                    if batch.iter().any(is_idle) {
                        self.beat_soon.notify_one();
                    }
                    self.context.outbox.acknowledge(&batch);
                    wait = SHORTEST;
                }
                Err(Failure::NotEnlisted) => {
                    if present > 0 {
                        self.unknown.notify_one();
                    }
                    // Its sender lives as long as the context.
                    let _ = boot.changed().await;
                }
                Err(error) => {
                    tracing::warn!(%error, "cannot report; trying again");
                    tokio::time::sleep(wait).await;
                    wait = (wait * 2).min(LONGEST);
                }
            }
        }
    }

    fn batch(&self, batch: &[gateway_protocol::Snapshot], boot: u64) -> Reports {
        let reports = batch.iter().cloned().map(|mut snapshot| {
            snapshot.boot = boot;
            snapshot
        });
        Reports { incarnation: self.enlist.incarnation.clone(), reports: reports.collect() }
    }
}

/// Logs the sessions that the router does not know and whose keys stay, for a device is linked by them:
/// those that it names for the second time. Answers how often it has named each.
fn tell_orphans(named: &HashMap<String, u32>, lost: &[String]) -> HashMap<String, u32> {
    let again = |session: &String| named.get(session).map_or(1, |times| times.saturating_add(1));
    let named: HashMap<_, _> = lost.iter().map(|name| (name.clone(), again(name))).collect();
    for (session, _) in named.iter().filter(|(_, times)| **times == 2) {
        tracing::warn!(session, "keys of a session that the router does not know stay here");
    }
    named
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orphan_is_told_when_it_is_named_again_and_once() {
        let lost = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        let mut named = HashMap::new();
        let mut told = Vec::new();
        for names in [&["a"][..], &["a", "b"], &["a"], &["a", "b"], &["b"], &["a"]] {
            named = tell_orphans(&named, &lost(names));
            let mut now: Vec<_> = named.iter().filter(|(_, times)| **times == 2).collect();
            now.sort();
            told.push(now.into_iter().map(|(name, _)| name.clone()).collect::<Vec<_>>());
        }
        assert_eq!(told, [lost(&[]), lost(&["a"]), lost(&[]), lost(&[]), lost(&["b"]), lost(&[])]);
    }
}
