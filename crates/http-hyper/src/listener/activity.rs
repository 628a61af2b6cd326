//! What a connection is up to: its requests, when its peer last did something, and what the peer has not
//! taken yet. Nobody is woken by it: a connection is busy far more often than it is looked at.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicIsize, AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::{listener::address::Address, listener::shared_permits::PermitHolder};

/// A connection's state, shared by all that work for it.
#[derive(Clone, Debug)]
pub(crate) struct ConnectionActivity(Arc<ConnectionState>);

#[derive(Debug)]
struct ConnectionState {
    /// Told apart from all connections of the listener.
    number: u64,
    /// None for a proxy that is trusted, which speaks for many.
    address: Option<Address>,
    /// How many connections of the listener are open from there.
    connections_from_address: Arc<AtomicUsize>,
    /// How many connections of the listener nobody was admitted on.
    unauthenticated: Arc<AtomicUsize>,
    /// When the listener began; what follows counts microseconds from there.
    epoch: Instant,
    /// When the peer last did something that brings a request forward: the newest of its connecting, a
    /// request, a part of a body, a part of an answer taken, and the end of an answer.
    last_progress: AtomicU64,
    /// Requests whose answers are not written whole.
    requests: AtomicUsize,
    /// Of them, those that wait for this side and not for the peer.
    working: AtomicIsize,
    /// Bytes of answers that the peer has not taken.
    unwritten: AtomicUsize,
    /// Since when there have been such bytes all the time, if there are any.
    unwritten_since: AtomicU64,
    had_request: AtomicBool,
    authenticated: AtomicBool,
    end: CancellationToken,
    end_at_once: AtomicBool,
}

/// A request, from its head to the last byte of its answer.
#[derive(Debug)]
pub(crate) struct RequestActivity {
    activity: ConnectionActivity,
    working: bool,
}

/// A request that waits for its peer, until dropped.
#[derive(Debug)]
pub(crate) struct AwaitingPeer(ConnectionActivity);

impl ConnectionActivity {
    /// A connection that was just opened, and is counted as one of its address and as a stranger.
    pub(crate) fn new(
        number: u64,
        address: Option<Address>,
        epoch: Instant,
        (connections_from_address, unauthenticated): (Arc<AtomicUsize>, Arc<AtomicUsize>),
    ) -> Self {
        connections_from_address.fetch_add(1, Ordering::SeqCst);
        unauthenticated.fetch_add(1, Ordering::SeqCst);
        let activity = Self(Arc::new(ConnectionState {
            number,
            address,
            connections_from_address,
            unauthenticated,
            epoch,
            last_progress: AtomicU64::default(),
            requests: AtomicUsize::default(),
            working: AtomicIsize::default(),
            unwritten: AtomicUsize::default(),
            unwritten_since: AtomicU64::default(),
            had_request: AtomicBool::default(),
            authenticated: AtomicBool::default(),
            end: CancellationToken::new(),
            end_at_once: AtomicBool::default(),
        }));
        activity.record_progress();
        activity
    }

    /// A request has arrived.
    pub(crate) fn begin(&self) -> RequestActivity {
        self.0.requests.fetch_add(1, Ordering::SeqCst);
        self.0.working.fetch_add(1, Ordering::SeqCst);
        self.0.had_request.store(true, Ordering::SeqCst);
        self.record_progress();
        RequestActivity { activity: self.clone(), working: true }
    }

    /// A request waits for its peer, which has to send more of it.
    pub(crate) fn await_peer(&self) -> AwaitingPeer {
        self.0.working.fetch_sub(1, Ordering::SeqCst);
        AwaitingPeer(self.clone())
    }

    /// The peer did something.
    pub(crate) fn record_progress(&self) {
        self.0.last_progress.store(self.now(), Ordering::SeqCst);
    }

    /// A caller was admitted.
    pub(crate) fn mark_authenticated(&self) {
        // Nearly always it was so before.
        if !self.is_authenticated() && !self.0.authenticated.swap(true, Ordering::SeqCst) {
            self.0.unauthenticated.fetch_sub(1, Ordering::SeqCst);
        }
    }

    /// It is counted no more. To be called once.
    pub(crate) fn deregister(&self) {
        self.mark_authenticated();
        self.0.connections_from_address.fetch_sub(1, Ordering::SeqCst);
    }

    /// How many connections are open from its address, itself counted.
    pub(crate) fn connections_from_address(&self) -> usize {
        self.0.connections_from_address.load(Ordering::SeqCst)
    }

    pub(crate) fn is_authenticated(&self) -> bool {
        self.0.authenticated.load(Ordering::SeqCst)
    }

    pub(crate) fn number(&self) -> u64 {
        self.0.number
    }

    pub(crate) fn address(&self) -> Option<Address> {
        self.0.address
    }

    /// Whom its requests are counted for before their callers are known: the connection, of its address; that
    /// of a trusted proxy is a group by itself.
    pub(crate) fn permit_holder(&self) -> PermitHolder {
        // No address is as small as the number of a connection.
        let group = self.0.address.map_or(self.0.number, Address::number);
        PermitHolder { group, member: self.0.number }
    }

    /// Whether a request waits for this side. Then its peer is not to blame that nothing moves.
    pub(crate) fn has_work(&self) -> bool {
        self.0.working.load(Ordering::SeqCst) > 0
    }

    /// Whether a request is under way.
    pub(crate) fn has_request(&self) -> bool {
        self.0.requests.load(Ordering::SeqCst) > 0
    }

    /// Whether there ever was a request.
    pub(crate) fn had_request(&self) -> bool {
        self.0.had_request.load(Ordering::SeqCst)
    }

    /// When its peer last did something.
    pub(crate) fn last_progress(&self) -> Instant {
        self.0.epoch + Duration::from_micros(self.0.last_progress.load(Ordering::SeqCst))
    }

    pub(crate) fn unwritten(&self) -> usize {
        self.0.unwritten.load(Ordering::SeqCst)
    }

    /// Since when there is something that the peer has not taken.
    pub(crate) fn unwritten_since(&self) -> Option<Instant> {
        let since = Duration::from_micros(self.0.unwritten_since.load(Ordering::SeqCst));
        (self.unwritten() > 0).then(|| self.0.epoch + since)
    }

    /// Ends the connection; where it stands, or when what it is asked is answered.
    pub(crate) fn end(&self, end_at_once: bool) {
        self.0.end_at_once.store(end_at_once, Ordering::SeqCst);
        self.0.end.cancel();
    }

    pub(crate) async fn ended(&self) {
        self.0.end.cancelled().await;
    }

    /// Whether there is nothing to wait for when it ends.
    pub(crate) fn ends_at_once(&self) -> bool {
        self.0.end_at_once.load(Ordering::SeqCst) || !self.has_work()
    }

    fn now(&self) -> u64 {
        u64::try_from(self.0.epoch.elapsed().as_micros()).unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
impl ConnectionActivity {
    /// A connection that was just opened, the only one of its listener.
    pub(crate) fn for_test() -> Self {
        Self::new(1, None, Instant::now(), Default::default())
    }
}

impl RequestActivity {
    /// The request is answered; so many bytes are to be written. From here on it waits for its peer.
    pub(crate) fn answered(&mut self, bytes: usize) {
        self.end_work();
        let state = &self.activity.0;
        // Nothing clears it: it is looked at only while there are bytes.
        if bytes > 0 && state.unwritten.fetch_add(bytes, Ordering::SeqCst) == 0 {
            state.unwritten_since.store(self.activity.now(), Ordering::SeqCst);
        }
    }

    /// The peer has taken so many of the bytes.
    pub(crate) fn written(&self, bytes: usize) {
        self.activity.0.unwritten.fetch_sub(bytes, Ordering::SeqCst);
        self.activity.record_progress();
    }

    /// So many of the bytes will never be written.
    pub(crate) fn abandoned(&self, bytes: usize) {
        self.activity.0.unwritten.fetch_sub(bytes, Ordering::SeqCst);
    }

    fn end_work(&mut self) {
        if std::mem::take(&mut self.working) {
            self.activity.0.working.fetch_sub(1, Ordering::SeqCst);
        }
    }
}

impl Drop for RequestActivity {
    fn drop(&mut self) {
        self.end_work();
        self.activity.record_progress();
        self.activity.0.requests.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Drop for AwaitingPeer {
    fn drop(&mut self) {
        self.0.0.working.fetch_add(1, Ordering::SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn request_is_work_until_it_is_answered_and_under_way_until_it_is_written() {
        let activity = ConnectionActivity::for_test();
        assert!(!activity.had_request());
        let mut request = activity.begin();
        assert!(activity.has_work() && activity.has_request());
        let awaiting = activity.await_peer();
        assert!(!activity.has_work() && activity.has_request());
        drop(awaiting);
        assert!(activity.has_work());
        request.answered(10);
        assert!(!activity.has_work() && activity.has_request());
        assert_eq!(activity.unwritten(), 10);
        assert!(activity.unwritten_since().is_some());
        request.written(4);
        request.abandoned(6);
        assert_eq!((activity.unwritten(), activity.unwritten_since()), (0, None));
        drop(request);
        assert!(!activity.has_request() && activity.had_request());
    }

    #[test]
    fn request_that_is_given_up_leaves_nothing() {
        let activity = ConnectionActivity::for_test();
        let (request, awaiting) = (activity.begin(), activity.await_peer());
        // In either order: the work of a request may outlive its connection's wait for it.
        drop(request);
        assert!(!activity.has_work());
        drop(awaiting);
        assert!(!activity.has_work() && !activity.has_request());
        assert!(activity.begin().activity.has_work());
    }
}
