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

use crate::{address::Address, shares::Holder};

/// A connection's state, shared by all that work for it.
#[derive(Clone, Debug)]
pub(crate) struct Activity(Arc<State>);

#[derive(Debug)]
struct State {
    /// Told apart from all connections of the listener.
    number: u64,
    /// None for a proxy that is trusted, which speaks for many.
    address: Option<Address>,
    /// How many connections of the listener are open from there.
    of_address: Arc<AtomicUsize>,
    /// How many connections of the listener nobody was admitted on.
    strangers: Arc<AtomicUsize>,
    /// When the listener began; what follows counts microseconds from there.
    epoch: Instant,
    /// When the peer last did something that brings a request forward: the newest of its connecting, a
    /// request, a part of a body, a part of an answer taken, and the end of an answer.
    moved: AtomicU64,
    /// Requests whose answers are not written whole.
    requests: AtomicUsize,
    /// Of them, those that wait for this side and not for the peer.
    working: AtomicIsize,
    /// Bytes of answers that the peer has not taken.
    unwritten: AtomicUsize,
    /// Since when there have been such bytes all the time, if there are any.
    unwritten_since: AtomicU64,
    ever_asked: AtomicBool,
    authenticated: AtomicBool,
    end: CancellationToken,
    at_once: AtomicBool,
}

/// A request, from its head to the last byte of its answer.
#[derive(Debug)]
pub(crate) struct UnderWay {
    activity: Activity,
    working: bool,
}

/// A request that waits for its peer, until dropped.
#[derive(Debug)]
pub(crate) struct Expecting(Activity);

impl Activity {
    /// A connection that was just opened, and is counted as one of its address and as a stranger.
    pub(crate) fn new(
        number: u64,
        address: Option<Address>,
        epoch: Instant,
        (of_address, strangers): (Arc<AtomicUsize>, Arc<AtomicUsize>),
    ) -> Self {
        of_address.fetch_add(1, Ordering::SeqCst);
        strangers.fetch_add(1, Ordering::SeqCst);
        let activity = Self(Arc::new(State {
            number,
            address,
            of_address,
            strangers,
            epoch,
            moved: AtomicU64::default(),
            requests: AtomicUsize::default(),
            working: AtomicIsize::default(),
            unwritten: AtomicUsize::default(),
            unwritten_since: AtomicU64::default(),
            ever_asked: AtomicBool::default(),
            authenticated: AtomicBool::default(),
            end: CancellationToken::new(),
            at_once: AtomicBool::default(),
        }));
        activity.moves();
        activity
    }

    /// A request has arrived.
    pub(crate) fn begin(&self) -> UnderWay {
        self.0.requests.fetch_add(1, Ordering::SeqCst);
        self.0.working.fetch_add(1, Ordering::SeqCst);
        self.0.ever_asked.store(true, Ordering::SeqCst);
        self.moves();
        UnderWay { activity: self.clone(), working: true }
    }

    /// A request waits for its peer, which has to send more of it.
    pub(crate) fn expect(&self) -> Expecting {
        self.0.working.fetch_sub(1, Ordering::SeqCst);
        Expecting(self.clone())
    }

    /// The peer did something.
    pub(crate) fn moves(&self) {
        self.0.moved.store(self.now(), Ordering::SeqCst);
    }

    /// A caller was admitted.
    pub(crate) fn authenticate(&self) {
        // Nearly always it was so before.
        if !self.is_authenticated() && !self.0.authenticated.swap(true, Ordering::SeqCst) {
            self.0.strangers.fetch_sub(1, Ordering::SeqCst);
        }
    }

    /// It is counted no more. To be called once.
    pub(crate) fn leave(&self) {
        self.authenticate();
        self.0.of_address.fetch_sub(1, Ordering::SeqCst);
    }

    /// How many connections are open from its address, itself counted.
    pub(crate) fn of_address(&self) -> usize {
        self.0.of_address.load(Ordering::SeqCst)
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
    pub(crate) fn holder(&self) -> Holder {
        // No address is as small as the number of a connection.
        let group = self.0.address.map_or(self.0.number, Address::number);
        Holder { group, member: self.0.number }
    }

    /// Whether a request waits for this side. Then its peer is not to blame that nothing moves.
    pub(crate) fn is_working(&self) -> bool {
        self.0.working.load(Ordering::SeqCst) > 0
    }

    /// Whether a request is under way.
    pub(crate) fn is_asked(&self) -> bool {
        self.0.requests.load(Ordering::SeqCst) > 0
    }

    /// Whether there ever was a request.
    pub(crate) fn ever_asked(&self) -> bool {
        self.0.ever_asked.load(Ordering::SeqCst)
    }

    /// When its peer last did something.
    pub(crate) fn moved(&self) -> Instant {
        self.0.epoch + Duration::from_micros(self.0.moved.load(Ordering::SeqCst))
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
    pub(crate) fn end(&self, at_once: bool) {
        self.0.at_once.store(at_once, Ordering::SeqCst);
        self.0.end.cancel();
    }

    pub(crate) async fn ended(&self) {
        self.0.end.cancelled().await;
    }

    /// Whether there is nothing to wait for when it ends.
    pub(crate) fn ends_at_once(&self) -> bool {
        self.0.at_once.load(Ordering::SeqCst) || !self.is_working()
    }

    fn now(&self) -> u64 {
        u64::try_from(self.0.epoch.elapsed().as_micros()).unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
impl Activity {
    /// A connection that was just opened, the only one of its listener.
    pub(crate) fn alone() -> Self {
        Self::new(1, None, Instant::now(), Default::default())
    }
}

impl UnderWay {
    /// The request is answered; so many bytes are to be written. From here on it waits for its peer.
    pub(crate) fn answered(&mut self, bytes: usize) {
        self.work_ends();
        let state = &self.activity.0;
        // Nothing clears it: it is looked at only while there are bytes.
        if bytes > 0 && state.unwritten.fetch_add(bytes, Ordering::SeqCst) == 0 {
            state.unwritten_since.store(self.activity.now(), Ordering::SeqCst);
        }
    }

    /// The peer has taken so many of the bytes.
    pub(crate) fn written(&self, bytes: usize) {
        self.activity.0.unwritten.fetch_sub(bytes, Ordering::SeqCst);
        self.activity.moves();
    }

    /// So many of the bytes will never be written.
    pub(crate) fn given_up(&self, bytes: usize) {
        self.activity.0.unwritten.fetch_sub(bytes, Ordering::SeqCst);
    }

    fn work_ends(&mut self) {
        if std::mem::take(&mut self.working) {
            self.activity.0.working.fetch_sub(1, Ordering::SeqCst);
        }
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.work_ends();
        self.activity.moves();
        self.activity.0.requests.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Drop for Expecting {
    fn drop(&mut self) {
        self.0.0.working.fetch_add(1, Ordering::SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn request_is_work_until_it_is_answered_and_under_way_until_it_is_written() {
        let activity = Activity::alone();
        assert!(!activity.ever_asked());
        let mut request = activity.begin();
        assert!(activity.is_working() && activity.is_asked());
        let expecting = activity.expect();
        assert!(!activity.is_working() && activity.is_asked());
        drop(expecting);
        assert!(activity.is_working());
        request.answered(10);
        assert!(!activity.is_working() && activity.is_asked());
        assert_eq!(activity.unwritten(), 10);
        assert!(activity.unwritten_since().is_some());
        request.written(4);
        request.given_up(6);
        assert_eq!((activity.unwritten(), activity.unwritten_since()), (0, None));
        drop(request);
        assert!(!activity.is_asked() && activity.ever_asked());
    }

    #[test]
    fn request_that_is_given_up_leaves_nothing() {
        let activity = Activity::alone();
        let (request, expecting) = (activity.begin(), activity.expect());
        // In either order: the work of a request may outlive its connection's wait for it.
        drop(request);
        assert!(!activity.is_working());
        drop(expecting);
        assert!(!activity.is_working() && !activity.is_asked());
        assert!(activity.begin().activity.is_working());
    }
}
