//! The open streams of a router: their number, and the end of those whose credential is no longer
//! valid.
//!
//! The keys and the browser sessions of all streams are read together, at most once in [`CHECK_INTERVAL`]. A revocation that
//! passes through the event feed ends the streams of its key earlier. While the database does not
//! answer, streams stay open: they get no events either.

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
    time::Duration,
};

use domain::{
    Actor, BrowserSessionDigest, BrowserSessions, Caller, KeyId, OrganizationId, Timestamp,
    ports::{Environment, KeyValidity},
};
use http_listener::ConnectionActivity;
use tokio::{
    sync::broadcast::{self, error::RecvError},
    time::{Instant, sleep, sleep_until, timeout},
};
use tokio_util::sync::CancellationToken;

use super::close_cause::CloseCause;

const STREAMS: &str = "berth_streams";
const CLOSES: &str = "berth_stream_closes_total";
/// Time between two checks of credentials. A revoked key's streams end within one second.
const CHECK_INTERVAL: Duration = Duration::from_millis(800);
/// Maximum time of one check, so that an unreachable database does not delay the checks of expiry.
const CHECK_TIMEOUT: Duration = Duration::from_secs(5);

/// The kind of a stream, as metric label.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum StreamKind {
    ServerSent,
    WebSocket,
}

impl StreamKind {
    const fn label(self) -> &'static str {
        match self {
            Self::ServerSent => "sse",
            Self::WebSocket => "websocket",
        }
    }
}

/// The open streams of a router.
pub(crate) struct OpenStreams {
    keys: Arc<dyn KeyValidity>,
    sessions: BrowserSessions,
    environment: Arc<dyn Environment>,
    table: Mutex<StreamTable>,
}

#[derive(Default)]
struct StreamTable {
    last_number: u64,
    watched: HashMap<u64, Credential>,
}

/// The credential of a stream or a waiting request, and the way to end it.
struct Credential {
    key: Option<KeyId>,
    /// The browser session, with the organization that the stream is of.
    browser_session: Option<(BrowserSessionDigest, Option<OrganizationId>)>,
    expires_at: Option<Timestamp>,
    end: StreamEnd,
}

/// The end of a stream, with its cause.
#[derive(Clone, Debug, Default)]
struct StreamEnd {
    cause: Arc<OnceLock<CloseCause>>,
    token: CancellationToken,
}

impl StreamEnd {
    /// Ends the stream. The first cause stands.
    fn end(&self, cause: CloseCause) {
        let _ = self.cause.set(cause);
        self.token.cancel();
    }
}

/// A credential that is checked until this value is dropped.
pub(crate) struct WatchedCredential {
    streams: Arc<OpenStreams>,
    number: u64,
    end: StreamEnd,
}

/// An open stream. Dropping it counts the close.
pub(crate) struct OpenStream {
    credential: WatchedCredential,
    kind: StreamKind,
    connection: ConnectionActivity,
    stop: Arc<CancellationToken>,
}

impl OpenStreams {
    pub(crate) fn new(
        keys: Arc<dyn KeyValidity>,
        sessions: BrowserSessions,
        environment: Arc<dyn Environment>,
    ) -> Arc<Self> {
        Arc::new(Self { keys, sessions, environment, table: Mutex::default() })
    }

    /// Adds a stream of `caller`. `stop` is cancelled when the router stops.
    pub(crate) fn open(
        self: &Arc<Self>,
        caller: &Caller,
        kind: StreamKind,
        connection: ConnectionActivity,
        stop: Arc<CancellationToken>,
    ) -> OpenStream {
        metrics::gauge!(STREAMS, "kind" => kind.label()).increment(1);
        OpenStream { credential: self.watch_credential(caller), kind, connection, stop }
    }

    /// Checks the credential of `caller` from now on.
    pub(crate) fn watch_credential(self: &Arc<Self>, caller: &Caller) -> WatchedCredential {
        let key = match &caller.actor {
            Actor::Key(key) => Some(key.clone()),
            Actor::User(_) | Actor::Link(_) | Actor::Operator | Actor::System => None,
        };
        let session = caller.browser_session.map(|digest| (digest, caller.organization.clone()));
        let end = StreamEnd::default();
        let mut table = self.table();
        table.last_number += 1;
        let number = table.last_number;
        let credential = Credential {
            key,
            browser_session: session,
            expires_at: caller.expires_at,
            end: end.clone(),
        };
        table.watched.insert(number, credential);
        drop(table);
        WatchedCredential { streams: self.clone(), number, end }
    }

    /// Ends streams whose credential has expired or was revoked, until `stop`.
    pub(crate) async fn watch(
        &self,
        revoked: broadcast::Receiver<KeyId>,
        stop: &CancellationToken,
    ) {
        tokio::select! {
            () = stop.cancelled() => {}
            () = self.watch_expiry() => {}
            () = self.watch_keys(revoked) => {}
            () = self.watch_browser_sessions() => {}
        }
    }

    async fn watch_expiry(&self) {
        loop {
            sleep(CHECK_INTERVAL).await;
            let now = self.environment.now();
            let is_over = |it: &&Credential| it.expires_at.is_some_and(|at| at <= now);
            let table = self.table();
            table.watched.values().filter(is_over).for_each(|it| it.end.end(CloseCause::Expired));
        }
    }

    async fn watch_keys(&self, mut revoked: broadcast::Receiver<KeyId>) {
        let mut next_check = Instant::now() + CHECK_INTERVAL;
        let mut revocations = true;
        loop {
            tokio::select! {
                () = sleep_until(next_check) => {
                    next_check = Instant::now() + CHECK_INTERVAL;
                    let _ = timeout(CHECK_TIMEOUT, self.check_keys()).await;
                }
                key = revoked.recv(), if revocations => match key {
                    Ok(key) => self.end_of_key(&key),
                    // The next check finds the keys of the revocations that were missed.
                    Err(RecvError::Lagged(_)) => {}
                    Err(RecvError::Closed) => revocations = false,
                },
            }
        }
    }

    fn end_of_key(&self, key: &KeyId) {
        let of_key = |it: &&Credential| it.key.as_ref() == Some(key);
        let table = self.table();
        table.watched.values().filter(of_key).for_each(|it| it.end.end(CloseCause::Revoked));
    }

    async fn check_keys(&self) {
        let now = self.environment.now();
        // An expired key is the other task's.
        let is_current = |it: &&Credential| it.expires_at.is_none_or(|at| now < at);
        // Most streams share their key with others: only different keys are copied.
        let keys: BTreeSet<_> = {
            let table = self.table();
            let current = table.watched.values().filter(is_current);
            let different: HashSet<_> = current.filter_map(|it| it.key.as_ref()).collect();
            different.into_iter().cloned().collect()
        };
        if keys.is_empty() {
            return;
        }
        match self.keys.valid_keys(&keys, now).await {
            Ok(valid) => keys.difference(&valid).for_each(|key| self.end_of_key(key)),
            Err(error) => {
                let error: &(dyn std::error::Error + 'static) = &error;
                tracing::debug!(error, "the keys of open streams could not be checked");
            }
        }
    }

    async fn watch_browser_sessions(&self) {
        loop {
            sleep(CHECK_INTERVAL).await;
            let _ = timeout(CHECK_TIMEOUT, self.check_browser_sessions()).await;
        }
    }

    /// Ends the streams of browser sessions that have ended, or that act for another organization.
    async fn check_browser_sessions(&self) {
        let digests: BTreeSet<_> = self
            .table()
            .watched
            .values()
            .filter_map(|it| it.browser_session.as_ref().map(|(digest, _)| *digest))
            .collect();
        if digests.is_empty() {
            return;
        }
        match self.sessions.organizations(&digests).await {
            Ok(current) => {
                let table = self.table();
                // A stream that began after the read is checked next time.
                let ended = table.watched.values().filter(|it| {
                    it.browser_session.as_ref().is_some_and(|(digest, organization)| {
                        digests.contains(digest) && current.get(digest) != Some(organization)
                    })
                });
                ended.for_each(|it| it.end.end(CloseCause::Revoked));
            }
            Err(error) => {
                let error: &(dyn std::error::Error + 'static) = &error;
                tracing::debug!(error, "the browser sessions of streams could not be checked");
            }
        }
    }

    fn table(&self) -> MutexGuard<'_, StreamTable> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl WatchedCredential {
    /// Waits until the credential is no longer valid.
    pub(crate) async fn ended(&self) {
        self.end.token.cancelled().await;
    }
}

impl Drop for WatchedCredential {
    fn drop(&mut self) {
        self.streams.table().watched.remove(&self.number);
    }
}

impl OpenStream {
    /// Waits until the stream must end, and returns the cause: its credential is no longer valid,
    /// or the router stops.
    pub(crate) async fn ended(&self) -> CloseCause {
        tokio::select! {
            biased;
            () = self.credential.ended() => {}
            () = self.stop.cancelled() => self.close(CloseCause::Stopping),
        }
        self.cause().unwrap_or(CloseCause::Client)
    }

    fn cause(&self) -> Option<CloseCause> {
        self.credential.end.cause.get().copied()
    }

    /// Records why the stream ends. The first cause stands.
    pub(crate) fn close(&self, cause: CloseCause) {
        self.credential.end.end(cause);
    }
}

impl Drop for OpenStream {
    fn drop(&mut self) {
        let cause = self.cause().unwrap_or_else(|| {
            if self.stop.is_cancelled() {
                CloseCause::Stopping
            } else if self.connection.end_cause().is_some() {
                CloseCause::Stalled
            } else {
                CloseCause::Client
            }
        });
        metrics::gauge!(STREAMS, "kind" => self.kind.label()).decrement(1);
        metrics::counter!(CLOSES, "reason" => cause.label()).increment(1);
    }
}
