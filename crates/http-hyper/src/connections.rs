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
    activity::Activity,
    address::{Address, Network},
    limits::Limits,
};

const EVICTED: &str = "berth_connections_evicted_total";
/// Why connections end: others have no place, or too many answers are not taken.
const CONNECTIONS: &str = "connections";
const ANSWERS: &str = "answers";
/// How often a newcomer looks for a place while each connection is at work.
const LOOK_AGAIN: Duration = Duration::from_millis(50);
/// Evictions come by thousands: they are told together.
const TELL_EVERY: Duration = Duration::from_secs(60);

/// The open connections.
#[derive(Debug)]
pub(crate) struct Connections {
    most: usize,
    most_unauthenticated: usize,
    most_unwritten: usize,
    proxies: Vec<Network>,
    epoch: Instant,
    table: Mutex<Table>,
    /// How many of them nobody was admitted on.
    strangers: Arc<AtomicUsize>,
    freed: Notify,
    /// Bytes that peers have not taken, of connections that were found blocked.
    unwritten: AtomicUsize,
}

#[derive(Debug, Default)]
struct Table {
    newest: u64,
    open: HashMap<u64, Activity>,
    /// How many are open from each address.
    addresses: HashMap<Address, Arc<AtomicUsize>>,
    told: Option<Instant>,
    untold: u64,
}

/// A connection's place, until dropped.
#[derive(Debug)]
pub(crate) struct Seat {
    pub(crate) activity: Activity,
    connections: Arc<Connections>,
    /// What of it is in [`Connections::unwritten`].
    reported: AtomicUsize,
}

impl Connections {
    pub(crate) fn new(limits: &Limits) -> Arc<Self> {
        Arc::new(Self {
            most: limits.connections,
            most_unauthenticated: limits.unauthenticated_connections,
            most_unwritten: limits.unwritten_bytes,
            proxies: limits.trusted_proxies.clone(),
            epoch: Instant::now(),
            table: Mutex::default(),
            strangers: Arc::default(),
            freed: Notify::new(),
            unwritten: AtomicUsize::new(0),
        })
    }

    /// A place for a new connection. When there is none, another connection ends for it; while all are at
    /// work, the newcomer waits.
    pub(crate) async fn seat(self: &Arc<Self>, peer: IpAddr) -> Seat {
        let trusted = self.proxies.iter().any(|network| network.contains(peer));
        let address = (!trusted).then(|| Address::of(peer));
        loop {
            if let Some(activity) = self.enter(address) {
                let reported = AtomicUsize::new(0);
                return Seat { activity, connections: self.clone(), reported };
            }
            tokio::select! {
                () = self.freed.notified() => {}
                () = sleep(LOOK_AGAIN) => {}
            }
        }
    }

    fn enter(&self, address: Option<Address>) -> Option<Activity> {
        let mut table = self.table.lock().unwrap_or_else(PoisonError::into_inner);
        let full = table.open.len() >= self.most;
        if full || self.strangers.load(Ordering::SeqCst) >= self.most_unauthenticated {
            let victim = victim(table.open.values().filter(|one| full || !one.is_authenticated()))?;
            table.evict(&victim, CONNECTIONS);
        }
        Some(table.open(address, self.epoch, &self.strangers))
    }

    /// Ends the connection that is missed least, whatever there is room for: the system has none.
    pub(crate) fn make_room(&self) {
        let mut table = self.table.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(victim) = victim(table.open.values()) {
            table.evict(&victim, CONNECTIONS);
        }
    }

    /// Ends all connections where they stand.
    pub(crate) fn end_all(&self) {
        let table = self.table.lock().unwrap_or_else(PoisonError::into_inner);
        table.open.values().for_each(|one| one.end(true));
    }

    /// Ends connections whose peers take nothing, until what waits for the others is not too much.
    fn make_room_for_answers(&self) {
        let mut table = self.table.lock().unwrap_or_else(PoisonError::into_inner);
        let mut blocked: Vec<_> = table
            .open
            .values()
            .filter_map(|one| Some((one.is_authenticated(), one.unwritten_since()?, one.clone())))
            .collect();
        let mut waiting: usize = blocked.iter().map(|(_, _, one)| one.unwritten()).sum();
        blocked.sort_by_key(|(authenticated, since, _)| (*authenticated, *since));
        for (_, _, victim) in blocked {
            if waiting <= self.most_unwritten {
                return;
            }
            waiting = waiting.saturating_sub(victim.unwritten());
            table.evict(&victim, ANSWERS);
        }
    }
}

/// Of those that wait for their peers: one of the address that has most, and there the one that has been
/// idle longest. Each connection of a trusted proxy counts as an address of its own.
fn victim<'a>(among: impl Iterator<Item = &'a Activity>) -> Option<Activity> {
    let idle = among.filter(|one| !one.is_working());
    idle.max_by_key(|one| (one.of_address(), Reverse(one.moved()))).cloned()
}

impl Table {
    fn open(
        &mut self,
        address: Option<Address>,
        epoch: Instant,
        strangers: &Arc<AtomicUsize>,
    ) -> Activity {
        self.newest += 1;
        let of_address = match address {
            Some(address) => self.addresses.entry(address).or_default().clone(),
            None => Arc::default(),
        };
        let activity = Activity::new(self.newest, address, epoch, (of_address, strangers.clone()));
        self.open.insert(activity.number(), activity.clone());
        activity
    }

    /// It is open no more.
    fn close(&mut self, activity: &Activity) {
        if self.open.remove(&activity.number()).is_none() {
            return; // it was evicted before it ended
        }
        activity.leave();
        if let Some(address) = activity.address()
            && activity.of_address() == 0
        {
            self.addresses.remove(&address);
        }
    }

    fn evict(&mut self, victim: &Activity, why: &'static str) {
        self.close(victim);
        victim.end(why == ANSWERS);
        metrics::counter!(EVICTED, "reason" => why).increment(1);
        self.untold += 1;
        if self.told.is_none_or(|told| told.elapsed() >= TELL_EVERY) {
            self.told = Some(Instant::now());
            let connections = std::mem::take(&mut self.untold);
            tracing::warn!(connections, reason = why, "connections ended for want of room");
        }
    }
}

impl Seat {
    /// Tells how much waits for its peer. To be called whenever the connection was driven.
    pub(crate) fn report(&self) {
        let now = self.activity.unwritten();
        let before = self.reported.swap(now, Ordering::Relaxed);
        if now > before {
            let all = self.connections.unwritten.fetch_add(now - before, Ordering::Relaxed);
            if all + (now - before) > self.connections.most_unwritten {
                self.connections.make_room_for_answers();
            }
        } else if now < before {
            self.connections.unwritten.fetch_sub(before - now, Ordering::Relaxed);
        }
    }
}

/// A connection ends because its peer did not take its answers.
pub(crate) fn count_stalled() {
    metrics::counter!(EVICTED, "reason" => "stalled").increment(1);
}

impl Drop for Seat {
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
