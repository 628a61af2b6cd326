//! The activity of a connection: requests in flight, the time of the peer's last progress, and the
//! response bytes that are not written to the socket.
//!
//! A change of these values wakes no task, because they change far more often than they are read.

use std::{
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, AtomicIsize, AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::{address::Address, shared_permits::PermitHolder};

/// The activity of one connection, shared by the connection and its requests.
#[derive(Clone, Debug)]
pub struct ConnectionActivity(Arc<ConnectionState>);

#[derive(Debug)]
struct ConnectionState {
    /// The number of the connection; unique in its listener, counted from 1.
    number: u64,
    /// `None` for a trusted proxy, whose connections are not counted by address.
    address: Option<Address>,
    /// The number of open connections of the listener from this address.
    connections_from_address: Arc<AtomicUsize>,
    /// The number of open connections of the listener without an authenticated caller.
    unauthenticated: Arc<AtomicUsize>,
    /// The start of the listener. The times below are microseconds since then.
    epoch: Instant,
    /// The time of the last progress: the connection was opened, a request began, a part of a body
    /// arrived, a part of a response was written, or a response ended.
    last_progress: AtomicU64,
    /// Requests whose responses are not completely written.
    requests: AtomicUsize,
    /// Requests that wait for the server and not for the peer. May be negative for a moment.
    working: AtomicIsize,
    /// Response bytes that are not written to the socket.
    unwritten: AtomicUsize,
    /// The time since which `unwritten` has been above 0; meaningless while `unwritten` is 0.
    unwritten_since: AtomicU64,
    /// Requests whose responses are streams.
    streams: AtomicUsize,
    /// Bytes of streams that are not written to the socket; not part of `unwritten`, because a
    /// stream may have unwritten bytes at all times.
    stream_unwritten: AtomicUsize,
    had_request: AtomicBool,
    authenticated: AtomicBool,
    end: CancellationToken,
    end_at_once: AtomicBool,
    end_cause: OnceLock<&'static str>,
}

/// A request in flight, from its head to the last byte of its response.
#[derive(Debug)]
pub(crate) struct RequestActivity {
    activity: ConnectionActivity,
    working: bool,
    streaming: bool,
}

/// Marks a request as waiting for its peer until dropped.
#[derive(Debug)]
pub(crate) struct AwaitingPeer(ConnectionActivity);

impl ConnectionActivity {
    /// Creates the activity of a new connection and counts the connection for its address and as
    /// unauthenticated.
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
            streams: AtomicUsize::default(),
            stream_unwritten: AtomicUsize::default(),
            had_request: AtomicBool::default(),
            authenticated: AtomicBool::default(),
            end: CancellationToken::new(),
            end_at_once: AtomicBool::default(),
            end_cause: OnceLock::new(),
        }));
        activity.record_progress();
        activity
    }

    /// Records that a request has arrived.
    pub(crate) fn begin(&self) -> RequestActivity {
        self.0.requests.fetch_add(1, Ordering::SeqCst);
        self.0.working.fetch_add(1, Ordering::SeqCst);
        self.0.had_request.store(true, Ordering::SeqCst);
        self.record_progress();
        RequestActivity { activity: self.clone(), working: true, streaming: false }
    }

    /// Records that a request waits for its peer to send the rest of the body.
    pub(crate) fn await_peer(&self) -> AwaitingPeer {
        self.0.working.fetch_sub(1, Ordering::SeqCst);
        AwaitingPeer(self.clone())
    }

    /// Records progress of the peer.
    pub(crate) fn record_progress(&self) {
        self.0.last_progress.store(self.now(), Ordering::SeqCst);
    }

    /// Records that a caller has authenticated on the connection. Unauthenticated connections are
    /// closed first when the listener has too many.
    pub fn mark_authenticated(&self) {
        // The plain load avoids a write in the usual case, a further request of the connection.
        if !self.is_authenticated() && !self.0.authenticated.swap(true, Ordering::SeqCst) {
            self.0.unauthenticated.fetch_sub(1, Ordering::SeqCst);
        }
    }

    /// Stops counting the connection. Must be called exactly once.
    pub(crate) fn deregister(&self) {
        self.mark_authenticated();
        self.0.connections_from_address.fetch_sub(1, Ordering::SeqCst);
    }

    /// Returns the number of open connections from the same address, this one included.
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

    /// Returns the holder of the permits that requests use before their caller is known: the
    /// connection, in the group of its address. Each connection of a trusted proxy is a group by
    /// itself.
    pub fn permit_holder(&self) -> PermitHolder {
        // Connection numbers are smaller than every number of an address.
        let group = self.0.address.map_or(self.0.number, Address::number);
        PermitHolder { group, member: self.0.number }
    }

    /// Returns whether a request waits for the server. A lack of progress is then not the peer's
    /// fault.
    pub(crate) fn has_work(&self) -> bool {
        self.0.working.load(Ordering::SeqCst) > 0
    }

    /// Returns whether a request is in flight.
    pub(crate) fn has_request(&self) -> bool {
        self.0.requests.load(Ordering::SeqCst) > 0
    }

    /// Returns whether a request has ever arrived.
    pub(crate) fn had_request(&self) -> bool {
        self.0.had_request.load(Ordering::SeqCst)
    }

    /// Returns the time of the last progress.
    pub(crate) fn last_progress(&self) -> Instant {
        self.0.epoch + Duration::from_micros(self.0.last_progress.load(Ordering::SeqCst))
    }

    /// Returns whether a request is in flight, and all such requests are streams.
    pub(crate) fn has_only_streams(&self) -> bool {
        let streams = self.0.streams.load(Ordering::SeqCst);
        streams > 0 && streams >= self.0.requests.load(Ordering::SeqCst)
    }

    /// Returns the number of unwritten bytes of responses and streams.
    pub(crate) fn unwritten(&self) -> usize {
        let streams = self.0.stream_unwritten.load(Ordering::SeqCst);
        self.0.unwritten.load(Ordering::SeqCst) + streams
    }

    /// Returns the time since which bytes of responses, streams not included, have been unwritten;
    /// `None` without such bytes.
    pub(crate) fn blocked_since(&self) -> Option<Instant> {
        let since = Duration::from_micros(self.0.unwritten_since.load(Ordering::SeqCst));
        (self.0.unwritten.load(Ordering::SeqCst) > 0).then(|| self.0.epoch + since)
    }

    /// Returns the time since which the peer has not read: the time of [`Self::blocked_since`], or
    /// of the last progress when only bytes of streams are unwritten; `None` without unwritten
    /// bytes.
    pub(crate) fn unwritten_since(&self) -> Option<Instant> {
        let stream_unwritten = self.0.stream_unwritten.load(Ordering::SeqCst) > 0;
        self.blocked_since().or_else(|| stream_unwritten.then(|| self.last_progress()))
    }

    /// Asks the connection to end: immediately, or after the responses of its requests.
    pub(crate) fn end(&self, end_at_once: bool) {
        self.0.end_at_once.store(end_at_once, Ordering::SeqCst);
        self.0.end.cancel();
    }

    /// Records why the listener ends the connection. The first cause stands.
    pub(crate) fn set_end_cause(&self, cause: &'static str) {
        let _ = self.0.end_cause.set(cause);
    }

    /// Returns why the listener ended the connection, as the label `reason` of
    /// `berth_connections_evicted_total`; `None` when the peer ended the connection, or the
    /// listener for another reason.
    pub fn end_cause(&self) -> Option<&'static str> {
        self.0.end_cause.get().copied()
    }

    pub(crate) async fn ended(&self) {
        self.0.end.cancelled().await;
    }

    /// Returns whether the connection may be dropped without waiting for a response.
    pub(crate) fn ends_at_once(&self) -> bool {
        self.0.end_at_once.load(Ordering::SeqCst) || !self.has_work()
    }

    fn now(&self) -> u64 {
        u64::try_from(self.0.epoch.elapsed().as_micros()).unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
impl ConnectionActivity {
    /// Creates the activity of the only connection of a listener.
    pub(crate) fn for_test() -> Self {
        Self::new(1, None, Instant::now(), Default::default())
    }
}

impl RequestActivity {
    /// Returns the connection of the request.
    pub(crate) fn connection(&self) -> &ConnectionActivity {
        &self.activity
    }

    /// Records that the response is ready and that `bytes` are to be written. The request then
    /// waits for its peer.
    pub(crate) fn answered(&mut self, bytes: usize) {
        self.end_work();
        let state = &self.activity.0;
        // The time is not reset: readers ignore it while there are no bytes.
        if bytes > 0 && state.unwritten.fetch_add(bytes, Ordering::SeqCst) == 0 {
            state.unwritten_since.store(self.activity.now(), Ordering::SeqCst);
        }
    }

    /// Records that the response is a stream, or that the connection is upgraded. The request then
    /// waits for its peer.
    pub(crate) fn stream(&mut self) {
        self.end_work();
        if !std::mem::replace(&mut self.streaming, true) {
            self.activity.0.streams.fetch_add(1, Ordering::SeqCst);
        }
    }

    /// Records that `bytes` of a stream are to be written.
    pub(crate) fn stream_queued(&self, bytes: usize) {
        self.activity.0.stream_unwritten.fetch_add(bytes, Ordering::SeqCst);
    }

    /// Records that `bytes` of a stream have been written to the socket.
    pub(crate) fn stream_written(&self, bytes: usize) {
        self.stream_abandoned(bytes);
        self.activity.record_progress();
    }

    /// Records that `bytes` of a stream will not be written, or have been counted otherwise.
    pub(crate) fn stream_abandoned(&self, bytes: usize) {
        self.activity.0.stream_unwritten.fetch_sub(bytes, Ordering::SeqCst);
    }

    /// Records that `bytes` have been written to the socket.
    pub(crate) fn written(&self, bytes: usize) {
        self.activity.0.unwritten.fetch_sub(bytes, Ordering::SeqCst);
        self.activity.record_progress();
    }

    /// Records that `bytes` will never be written.
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
        if self.streaming {
            self.activity.0.streams.fetch_sub(1, Ordering::SeqCst);
        }
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
    fn request_is_at_work_until_the_response_is_ready_and_open_until_it_is_written() {
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
    fn abandoned_request_leaves_no_counts() {
        let activity = ConnectionActivity::for_test();
        let (request, awaiting) = (activity.begin(), activity.await_peer());
        // The order varies: the work of a request may outlive the connection's wait for the
        // response.
        drop(request);
        assert!(!activity.has_work());
        drop(awaiting);
        assert!(!activity.has_work() && !activity.has_request());
        assert!(activity.begin().activity.has_work());
    }
}
