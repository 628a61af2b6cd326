//! The connections of a listener: how many there are, and which of them ends when there are too many, or
//! when too much waits for their peers (ADR 0028).

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
    time::{Instant, sleep},
};

use crate::{
    listener::activity::ConnectionActivity,
    listener::address::{Address, Network},
    listener::limits::Limits,
};

const CONNECTIONS_EVICTED: &str = "berth_connections_evicted_total";
/// Why connections end: others have no place, or too many answers are not taken.
const REASON_CONNECTIONS: &str = "connections";
const REASON_UNWRITTEN: &str = "answers";
/// How often a newcomer looks for a place while each connection is at work.
const ADMISSION_RETRY_INTERVAL: Duration = Duration::from_millis(50);
/// Evictions come by thousands: they are told together.
const LOG_INTERVAL: Duration = Duration::from_secs(60);

/// The open connections.
#[derive(Debug)]
pub(crate) struct Connections {
    max_connections: usize,
    max_unauthenticated: usize,
    max_unwritten_bytes: usize,
    proxies: Vec<Network>,
    epoch: Instant,
    table: Mutex<ConnectionTable>,
    /// How many of them nobody was admitted on.
    unauthenticated: Arc<AtomicUsize>,
    freed: Notify,
    /// Bytes that peers have not taken, of connections that were found blocked.
    unwritten: AtomicUsize,
}

#[derive(Debug, Default)]
struct ConnectionTable {
    last_number: u64,
    open: HashMap<u64, ConnectionActivity>,
    /// How many are open from each address.
    addresses: HashMap<Address, Arc<AtomicUsize>>,
    logged_at: Option<Instant>,
    unlogged: u64,
}

/// A connection's place, until dropped.
#[derive(Debug)]
pub(crate) struct ConnectionGuard {
    pub(crate) activity: ConnectionActivity,
    connections: Arc<Connections>,
    /// What of it is in [`Connections::unwritten`].
    reported: AtomicUsize,
}

impl Connections {
    pub(crate) fn new(limits: &Limits) -> Arc<Self> {
        Arc::new(Self {
            max_connections: limits.connections,
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

    /// A place for a new connection. When there is none, another connection ends for it; while all are at
    /// work, the newcomer waits.
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
        let full = table.open.len() >= self.max_connections;
        if full || self.unauthenticated.load(Ordering::SeqCst) >= self.max_unauthenticated {
            let eviction_candidate = eviction_candidate(
                table.open.values().filter(|one| full || !one.is_authenticated()),
            )?;
            table.evict(&eviction_candidate, REASON_CONNECTIONS);
        }
        Some(table.open(address, self.epoch, &self.unauthenticated))
    }

    /// Ends the connection that is missed least, whatever there is room for: the system has none.
    pub(crate) fn evict_one(&self) {
        let mut table = self.table.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(eviction_candidate) = eviction_candidate(table.open.values()) {
            table.evict(&eviction_candidate, REASON_CONNECTIONS);
        }
    }

    /// Ends all connections where they stand.
    pub(crate) fn end_all(&self) {
        let table = self.table.lock().unwrap_or_else(PoisonError::into_inner);
        table.open.values().for_each(|one| one.end(true));
    }

    /// Ends connections whose peers take nothing, until what waits for the others is not too much.
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

/// Of those that wait for their peers: one of the address that has most, and there the one that has been
/// idle longest. Each connection of a trusted proxy counts as an address of its own.
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

    /// It is open no more.
    fn close(&mut self, activity: &ConnectionActivity) {
        if self.open.remove(&activity.number()).is_none() {
            return; // it was evicted before it ended
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
        eviction_candidate.end(why == REASON_UNWRITTEN);
        metrics::counter!(CONNECTIONS_EVICTED, "reason" => why).increment(1);
        self.unlogged += 1;
        if self.logged_at.is_none_or(|logged_at| logged_at.elapsed() >= LOG_INTERVAL) {
            self.logged_at = Some(Instant::now());
            let connections = std::mem::take(&mut self.unlogged);
            tracing::warn!(connections, reason = why, "connections ended for want of room");
        }
    }
}

impl ConnectionGuard {
    /// Tells how much waits for its peer. To be called whenever the connection was driven.
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
}

/// A connection ends because its peer did not take its answers.
pub(crate) fn count_stalled() {
    metrics::counter!(CONNECTIONS_EVICTED, "reason" => "stalled").increment(1);
}

impl Drop for ConnectionGuard {
    fn drop(&mut self) {
        let reported = *self.reported.get_mut();
        self.connections.unwritten.fetch_sub(reported, Ordering::Relaxed);
        let mut table = self.connections.table.lock().unwrap_or_else(PoisonError::into_inner);
        table.close(&self.activity);
        drop(table);
        self.connections.freed.notify_one();
    }
}

#[cfg(test)]
mod tests;
