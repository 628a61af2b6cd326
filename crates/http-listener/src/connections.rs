//! The open connections of a listener, and the choice of the connections that end when there are
//! too many or when too many response bytes are unwritten.
//!
//! Decision: ADR 0028.

use std::{
    cmp::Reverse,
    collections::HashMap,
    net::IpAddr,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::{
    sync::Notify,
    time::{Instant, sleep, timeout},
};

use crate::{
    activity::ConnectionActivity,
    address::{Address, Network},
    limits::Limits,
};

const CONNECTIONS_EVICTED: &str = "berth_connections_evicted_total";
/// Values of the metric label `reason`: another connection needs the place, too many response bytes
/// are unwritten, or the peer does not read its responses.
const REASON_CONNECTIONS: &str = "connections";
const REASON_UNWRITTEN: &str = "answers";
const REASON_STALLED: &str = "stalled";
/// Interval in which a new connection retries while every connection is at work.
const ADMISSION_RETRY_INTERVAL: Duration = Duration::from_millis(50);
/// Time for connections to end that were told to end immediately.
const END_TIMEOUT: Duration = Duration::from_secs(1);
/// Minimum time between two log lines on evictions, which come in thousands.
const LOG_INTERVAL: Duration = Duration::from_secs(60);

/// The open connections of one listener.
#[derive(Debug)]
pub(crate) struct Connections {
    max_open: usize,
    max_unauthenticated: usize,
    max_unwritten_bytes: usize,
    proxies: Vec<Network>,
    epoch: Instant,
    table: Mutex<ConnectionTable>,
    /// Number of open connections without an authenticated caller.
    unauthenticated: Arc<AtomicUsize>,
    freed: Notify,
    /// Unwritten response bytes, as the connections last reported.
    unwritten: AtomicUsize,
}

#[derive(Debug, Default)]
struct ConnectionTable {
    last_number: u64,
    open: HashMap<u64, ConnectionActivity>,
    /// Evicted connections that have not ended: one may have a request that arrived before the
    /// eviction.
    evicted: HashMap<u64, ConnectionActivity>,
    /// Number of open connections of each address.
    addresses: HashMap<Address, Arc<AtomicUsize>>,
    logged_at: Option<Instant>,
    unlogged: u64,
}

/// An open connection; dropping the guard removes the connection from the table.
#[derive(Debug)]
pub(crate) struct ConnectionGuard {
    pub(crate) activity: ConnectionActivity,
    connections: Arc<Connections>,
    /// The part of [`Connections::unwritten`] that this connection reported.
    reported: AtomicUsize,
}

impl Connections {
    pub(crate) fn new(limits: &Limits) -> Arc<Self> {
        Arc::new(Self {
            max_open: limits.connections,
            max_unauthenticated: limits.unauthenticated_connections,
            max_unwritten_bytes: limits.unwritten_bytes,
            proxies: limits.trusted_proxies.clone(),
            epoch: Instant::now(),
            table: Mutex::default(),
            unauthenticated: Arc::default(),
            freed: Notify::new(),
            unwritten: AtomicUsize::new(0),
        })
    }

    /// Admits a new connection. When the listener is full, the connection replaces another one;
    /// while every connection is at work, the new one waits.
    pub(crate) async fn admit(self: &Arc<Self>, peer: IpAddr) -> ConnectionGuard {
        let trusted = self.proxies.iter().any(|network| network.contains(peer));
        let address = (!trusted).then(|| Address::of(peer));
        loop {
            if let Some(activity) = self.enter(address) {
                let reported = AtomicUsize::new(0);
                return ConnectionGuard { activity, connections: self.clone(), reported };
            }
            tokio::select! {
                () = self.freed.notified() => {}
                () = sleep(ADMISSION_RETRY_INTERVAL) => {}
            }
        }
    }

    fn enter(&self, address: Option<Address>) -> Option<ConnectionActivity> {
        let mut table = self.table.lock().unwrap_or_else(PoisonError::into_inner);
        let full = table.open.len() >= self.max_open;
        if full || self.unauthenticated.load(Ordering::SeqCst) >= self.max_unauthenticated {
            let eviction_candidate = eviction_candidate(
                table.open.values().filter(|one| full || !one.is_authenticated()),
            )?;
            table.evict(&eviction_candidate, REASON_CONNECTIONS);
        }
        Some(table.open(address, self.epoch, &self.unauthenticated))
    }

    /// Ends one connection whatever the limits are, because the system has no resources for another
    /// one.
    pub(crate) fn evict_one(&self) {
        let mut table = self.table.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(eviction_candidate) = eviction_candidate(table.open.values()) {
            table.evict(&eviction_candidate, REASON_CONNECTIONS);
        }
    }

    /// Ends all connections immediately, and waits until they have ended and their requests are in
    /// the access log, for at most [`END_TIMEOUT`]. No connection may be admitted any more.
    pub(crate) async fn end_all(&self) {
        let table = || self.table.lock().unwrap_or_else(PoisonError::into_inner);
        table().present().for_each(|one| one.end(true));
        let ended = async {
            while table().present().next().is_some() {
                self.freed.notified().await;
            }
        };
        let _ = timeout(END_TIMEOUT, ended).await;
    }

    /// Ends blocked connections until the unwritten bytes of the others are within the limit.
    fn evict_blocked(&self) {
        let mut table = self.table.lock().unwrap_or_else(PoisonError::into_inner);
        let mut blocked: Vec<_> = table
            .open
            .values()
            .filter_map(|one| Some((one.is_authenticated(), one.unwritten_since()?, one.clone())))
            .collect();
        let mut waiting: usize = blocked.iter().map(|(_, _, one)| one.unwritten()).sum();
        blocked.sort_by_key(|(authenticated, since, _)| (*authenticated, *since));
        for (_, _, eviction_candidate) in blocked {
            if waiting <= self.max_unwritten_bytes {
                return;
            }
            waiting = waiting.saturating_sub(eviction_candidate.unwritten());
            table.evict(&eviction_candidate, REASON_UNWRITTEN);
        }
    }
}

/// Returns the connection to end, of those that wait for their peers: of the address with the most
/// connections, the one without progress for longest. Each connection of a trusted proxy counts as
/// an address by itself.
fn eviction_candidate<'a>(
    among: impl Iterator<Item = &'a ConnectionActivity>,
) -> Option<ConnectionActivity> {
    let idle = among.filter(|one| !one.has_work());
    idle.max_by_key(|one| (one.connections_from_address(), Reverse(one.last_progress()))).cloned()
}

impl ConnectionTable {
    fn open(
        &mut self,
        address: Option<Address>,
        epoch: Instant,
        unauthenticated: &Arc<AtomicUsize>,
    ) -> ConnectionActivity {
        self.last_number += 1;
        let connections_from_address = match address {
            Some(address) => self.addresses.entry(address).or_default().clone(),
            None => Arc::default(),
        };
        let activity = ConnectionActivity::new(
            self.last_number,
            address,
            epoch,
            (connections_from_address, unauthenticated.clone()),
        );
        self.open.insert(activity.number(), activity.clone());
        activity
    }

    /// Returns the connections that have not ended.
    fn present(&self) -> impl Iterator<Item = &ConnectionActivity> {
        self.open.values().chain(self.evicted.values())
    }

    /// Removes a connection from the open ones.
    fn close(&mut self, activity: &ConnectionActivity) {
        if self.open.remove(&activity.number()).is_none() {
            return; // The connection was evicted before it ended.
        }
        activity.deregister();
        if let Some(address) = activity.address()
            && activity.connections_from_address() == 0
        {
            self.addresses.remove(&address);
        }
    }

    fn evict(&mut self, eviction_candidate: &ConnectionActivity, why: &'static str) {
        self.close(eviction_candidate);
        self.evicted.insert(eviction_candidate.number(), eviction_candidate.clone());
        eviction_candidate.set_end_cause(why);
        eviction_candidate.end(why == REASON_UNWRITTEN);
        metrics::counter!(CONNECTIONS_EVICTED, "reason" => why).increment(1);
        self.unlogged += 1;
        if self.logged_at.is_none_or(|logged_at| logged_at.elapsed() >= LOG_INTERVAL) {
            self.logged_at = Some(Instant::now());
            let connections = std::mem::take(&mut self.unlogged);
            tracing::warn!(connections, reason = why, "connections were ended to make room");
        }
    }
}

impl ConnectionGuard {
    /// Reports the unwritten bytes of the connection. Called after each poll of the connection.
    pub(crate) fn report_unwritten(&self) {
        let now = self.activity.unwritten();
        let before = self.reported.swap(now, Ordering::Relaxed);
        if now > before {
            let all = self.connections.unwritten.fetch_add(now - before, Ordering::Relaxed);
            if all + (now - before) > self.connections.max_unwritten_bytes {
                self.connections.evict_blocked();
            }
        } else if now < before {
            self.connections.unwritten.fetch_sub(before - now, Ordering::Relaxed);
        }
    }

    /// Counts the connection as ended because its peer does not read its responses.
    pub(crate) fn count_stalled(&self) {
        self.activity.set_end_cause(REASON_STALLED);
        metrics::counter!(CONNECTIONS_EVICTED, "reason" => REASON_STALLED).increment(1);
    }
}

impl Drop for ConnectionGuard {
    fn drop(&mut self) {
        let reported = *self.reported.get_mut();
        self.connections.unwritten.fetch_sub(reported, Ordering::Relaxed);
        let mut table = self.connections.table.lock().unwrap_or_else(PoisonError::into_inner);
        table.close(&self.activity);
        table.evicted.remove(&self.activity.number());
        drop(table);
        self.connections.freed.notify_one();
    }
}

#[cfg(test)]
mod tests;
