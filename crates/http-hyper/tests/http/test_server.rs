//! The service over memory stores on a free port, with an authenticator whose tokens are plain
//! words.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use domain::{
    Actor, ApiKey, Audit, Caller, Capabilities, Capability, DeadLetter, EventId, FeedPosition,
    KeyId, KeySpec, LoginClaims, Operators, OutcomeClass, Pass, Reach, RetryQueue, Session,
    SessionId, SignIn, Timestamp, UserId,
    ports::{Authenticator, Credential, Environment, KeyValidity, Refused, WorkerStore},
    testing::{CANARY, FakeSessionControl, Memory, TestEnvironment, TestPause, World},
};
use event_feed::{EventFeed, FeedPorts};
use http_hyper::{
    Api, ApiDependencies, Check, Drained, Exposition, HttpService, Limits, Rates, Readiness,
    StreamDependencies, render_event, serve,
};
use serde_json::Value;
use tokio::{net::TcpListener, sync::Notify, task::JoinHandle, time::timeout};
use tokio_util::sync::CancellationToken;

use crate::{
    browser,
    client::{GENEROUS, ReceivedResponse, Version, ask, send},
    conformity::assert_documented,
    fake_reconciler::FakeReconciler,
    link_holders::browser_secret,
};

/// A running service.
pub(crate) struct TestServer {
    pub(crate) world: World,
    pub(crate) reconciler: FakeReconciler,
    pub(crate) authenticator: Arc<FakeAuthenticator>,
    pub(crate) checks: Arc<Checks>,
    pub(crate) api: Api,
    pub(crate) address: SocketAddr,
    pub(crate) stop: CancellationToken,
    /// The secrets of links by the session of each.
    pub(crate) links: Mutex<BTreeMap<String, String>>,
    served: JoinHandle<Drained>,
}

impl TestServer {
    pub(crate) async fn open() -> Self {
        Self::with(Limits::default()).await
    }

    pub(crate) async fn with(limits: Limits) -> Self {
        Self::build(limits, |reconciler| Arc::new(reconciler.clone())).await
    }

    /// Starts the service with a pause for requests that wait.
    pub(crate) async fn build(
        limits: Limits,
        pause: impl Fn(&FakeReconciler) -> Arc<dyn TestPause>,
    ) -> Self {
        let environment = TestEnvironment::new();
        let gateway = FakeSessionControl::new(environment.clone());
        let memory = Memory::new();
        let reconciler = FakeReconciler {
            memory: memory.clone(),
            gateway: gateway.clone(),
            environment: environment.clone(),
            world: Arc::default(),
            sequence: Arc::default(),
        };
        let world =
            World::with_pause(environment.clone(), gateway, memory, pause(&reconciler)).await;
        assert!(reconciler.world.set(world.clone()).is_ok());
        browser::insert_session(&world).await;
        let keys = Some((world.memory.clone(), environment.clone()));
        let authenticator = Arc::new(FakeAuthenticator { keys, ..FakeAuthenticator::default() });
        let checks = Arc::new(Checks::default());
        let api = another_router(&world, &authenticator, &checks);
        let (address, stop, served) = listen(api.public(limits)).await;
        let links = Mutex::default();
        Self { world, reconciler, authenticator, checks, api, address, stop, links, served }
    }

    /// Sends a request of a caller over HTTP/1.1.
    pub(crate) async fn ask(&self, caller: &str, method: &str, path: &str) -> ReceivedResponse {
        self.say(Version::One, caller, method, path, None).await
    }

    /// Sends a POST with a JSON body.
    pub(crate) async fn post(&self, caller: &str, path: &str, body: &Value) -> ReceivedResponse {
        self.say(Version::One, caller, "POST", path, Some(body)).await
    }

    pub(crate) async fn say(
        &self,
        version: Version,
        caller: &str,
        method: &str,
        path: &str,
        body: Option<&Value>,
    ) -> ReceivedResponse {
        let mut request = ask(method, path);
        request = match caller.strip_prefix("holder-") {
            Some(session) => {
                let cookie = format!("__Host-berth-link={}", browser_secret(session).0);
                request.header("cookie", cookie).header("sec-fetch-site", "same-origin")
            }
            None => browser::authorize(request, caller),
        };
        if body.is_some() {
            request = request.header("content-type", "application/json");
        }
        if path.starts_with("/api/v1/events") {
            // A page: a stream has no end.
            request = request.header("accept", "application/json");
        }
        let body = body.map_or_else(Bytes::new, |body| body.to_string().into());
        let answer = send(self.address, version, request, body).await;
        assert_documented(method, path, &answer);
        answer
    }

    /// Creates a session of acme with a linked and connected phone.
    pub(crate) async fn linked(&self) -> Session {
        let id = self.pairing().await.id;
        let attempt = self.find(&id).await.observed.pairing.unwrap();
        assert!(self.world.gateway.scan(&attempt.qr.unwrap().text));
        self.reconciler.round().await;
        self.find(&id).await
    }

    /// Creates a session of acme with a QR code.
    pub(crate) async fn pairing(&self) -> Session {
        let id = self.world.acme_session().await.id;
        let wait = std::time::Duration::from_secs(10);
        self.world.sessions.qr(&World::acme(), id.as_str(), wait).await.unwrap();
        self.find(&id).await
    }

    /// Creates a key of acme.
    pub(crate) async fn key(&self) -> ApiKey {
        let spec = KeySpec {
            name: format!("{CANARY} key"),
            capabilities: [Capability::Read].into_iter().collect(),
            expires_at: None,
            sessions: None,
        };
        self.world.keys.create(&World::acme(), spec, None).await.unwrap().key
    }

    /// Creates a webhook of acme with an event that is a dead letter, and that is also the failing
    /// event of a retry queue. Returns the ids of the webhook and of the event.
    pub(crate) async fn failing_webhook(&self) -> String {
        let webhook = self.world.acme_webhook().await.id;
        let now = self.world.environment.now();
        let dead = DeadLetter {
            event: EventId::from_bits(self.world.environment.ulid()),
            session: None,
            position: FeedPosition::from_number(1),
            attempts: 15,
            first_failed_at: now,
            died_at: now,
            class: OutcomeClass::ServerError,
            status: Some(500),
            replayed_at: None,
        };
        let queue = RetryQueue { pass: Pass::Live, ..dead.retry_queue(now) };
        let event = dead.event.clone();
        self.world.memory.insert_dead_letter(&webhook, dead);
        self.world.memory.insert_retry_queue(&webhook, queue);
        format!("{webhook}|{event}")
    }

    pub(crate) async fn find(&self, id: &SessionId) -> Session {
        WorkerStore::find(&self.world.memory, id).await.unwrap().unwrap()
    }

    /// Returns the next sequence number of the journal of the only node.
    pub(crate) fn next_sequence(&self) -> u64 {
        self.reconciler.sequence.fetch_add(1, Ordering::SeqCst) + 1
    }

    /// Returns a text of everything stored and of every call to the node.
    pub(crate) fn fingerprint(&self) -> String {
        format!("{}{:?}", self.world.memory.fingerprint(), self.world.gateway.calls())
    }

    /// Stops the service.
    pub(crate) async fn stopped(self) -> Drained {
        self.stop.cancel();
        timeout(GENEROUS, self.served).await.expect("it stops in time").unwrap()
    }
}

/// Returns the API of another router over the same stores.
pub(crate) fn another_router(
    world: &World,
    authenticator: &Arc<FakeAuthenticator>,
    checks: &Arc<Checks>,
) -> Api {
    let api = Api::new(backing(world, authenticator, checks));
    let watched = api.clone();
    tokio::spawn(async move { watched.watch_streams(CancellationToken::new()).await });
    api
}

/// Returns the dependencies of event streams over the stores of a world.
fn streams(world: &World) -> StreamDependencies {
    let memory = Arc::new(world.memory.clone());
    let feed = EventFeed::new(FeedPorts {
        all: memory.clone(),
        organizations: memory.clone(),
        render: Arc::new(render_event),
        interval: Duration::from_millis(10),
    });
    tokio::spawn(feed.clone().run(CancellationToken::new()));
    StreamDependencies {
        feed,
        store: memory.clone(),
        keys: memory.clone(),
        tickets: memory,
        bookmark_secret: [8; 32],
        ticket_secret: [9; 32],
    }
}

/// Returns the dependencies of an API over the stores of a world.
pub(crate) fn backing(
    world: &World,
    authenticator: &Arc<FakeAuthenticator>,
    checks: &Arc<Checks>,
) -> ApiDependencies {
    ApiDependencies {
        sessions: world.sessions.clone(),
        links: world.links.clone(),
        chats: world.chats.clone(),
        messages: world.messages.clone(),
        outbox: world.outbox.clone(),
        keys: world.keys.clone(),
        webhooks: world.webhooks.clone(),
        audit: Audit::new(Arc::new(world.memory.clone())),
        operators: Operators::new(
            Arc::new(world.memory.clone()),
            Arc::new(world.memory.clone()),
            world.environment.clone(),
            world.leases.clone(),
            world.deadlines.lease,
        ),
        authenticator: authenticator.clone(),
        idempotency_records: Arc::new(world.memory.clone()),
        environment: world.environment.clone(),
        readiness: checks.clone(),
        metrics: checks.clone(),
        cursor_secret: [7; 32],
        rates: Rates::default(),
        streams: streams(world),
        browser: browser::dependencies(world),
    }
}

/// Runs a service on a free port.
pub(crate) async fn listen(
    service: HttpService,
) -> (SocketAddr, CancellationToken, JoinHandle<Drained>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (address, stop) = (listener.local_addr().unwrap(), CancellationToken::new());
    (address, stop.clone(), tokio::spawn(serve(listener, service, stop)))
}

/// Accepts tokens that are the names of callers.
#[derive(Default)]
pub(crate) struct FakeAuthenticator {
    pub(crate) asked: AtomicUsize,
    /// `arrived` is notified by each `slow` caller, which then waits for `go_on`.
    pub(crate) arrived: Notify,
    pub(crate) go_on: Notify,
    /// The id of a key in this store is the credential of its holder.
    pub(crate) keys: Option<(Memory, Arc<TestEnvironment>)>,
}

/// The time at which a key that is confined to a session expires.
pub(crate) const EXPIRY: i64 = 4_000_000_000_000;

/// A cause of a rejection that no response may contain.
pub(crate) const SECRET_CAUSE: &str = "revoked on a rainy day";

#[async_trait]
impl Authenticator for FakeAuthenticator {
    /// `both` is an admin of two organizations, whose token expires after an hour.
    async fn sign_in(&self, credential: &Credential) -> Result<SignIn, Refused> {
        if *credential != Credential::Bearer("both".to_owned()) {
            return self.authenticate(credential).await.map(SignIn::of_caller);
        }
        let organizations = [World::acme(), World::zeta()].map(|caller| caller.organization);
        let claims = LoginClaims {
            user: UserId::parse("user-of-both"),
            organizations: organizations.into_iter().flatten().collect(),
            capabilities: Capabilities::of_role("admin"),
            platform_admin: false,
        };
        let expires_at = Timestamp::from_millis(1_767_254_400_000 + 3_600_000);
        Ok(SignIn::of_claims(claims, Some(expires_at)))
    }

    async fn authenticate(&self, credential: &Credential) -> Result<Caller, Refused> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        let (Credential::Bearer(word) | Credential::ApiKey(word)) = credential;
        if let (Some(id), Some((memory, clock))) = (KeyId::parse(word), &self.keys) {
            let key = memory.valid_key(&id, clock.now()).await.unwrap();
            return key.map(ApiKey::into_caller).ok_or(Refused::Denied("no valid key"));
        }
        if let Some(session) = word.strip_prefix("only-") {
            let reach = Reach::Only(SessionId::parse(session).into_iter().collect());
            let actor = Actor::Key(KeyId::from_bits(1));
            let expires_at = Some(Timestamp::from_millis(EXPIRY));
            return Ok(Caller { reach, actor, expires_at, ..World::acme() });
        }
        match word.as_str() {
            "acme" => Ok(World::acme()),
            "member" => Ok(World::acme_member()),
            "zeta" => Ok(World::zeta()),
            "manager" => {
                let capabilities = [Capability::Manage].into_iter().collect();
                Ok(Caller { capabilities, actor: Actor::Key(KeyId::from_bits(2)), ..World::acme() })
            }
            "reader" => {
                let actor = Actor::Key(KeyId::from_bits(3));
                Ok(Caller { actor, ..World::acme_member() })
            }
            "nameless" => Ok(Caller { actor: Actor::User(None), ..World::acme() }),
            "guest" => Ok(Caller { capabilities: Capabilities::default(), ..World::acme() }),
            "platform" => Ok(Caller {
                capabilities: Capabilities::default(),
                platform_admin: true,
                ..World::acme()
            }),
            "nowhere" => Ok(Caller { organization: None, ..World::acme() }),
            "operator" => Ok(Caller { organization: None, platform_admin: true, ..World::acme() }),
            "slow" => {
                self.arrived.notify_one();
                self.go_on.notified().await;
                Ok(World::acme())
            }
            "down" => Err(Refused::Unavailable("the key set is on the moon".into())),
            "panic" => panic!("the doorman fell over"),
            "expired" => Err(Refused::Denied("its time is over")),
            "unknown" => Err(Refused::Denied("no such key")),
            "revoked" => Err(Refused::Denied(SECRET_CAUSE)),
            _ => Err(Refused::Denied("nobody knows this word")),
        }
    }
}

/// The readiness checks of a database and a key set.
#[derive(Default)]
pub(crate) struct Checks {
    pub(crate) down: AtomicBool,
    pub(crate) keyless: AtomicBool,
}

#[async_trait]
impl Readiness for Checks {
    async fn checks(&self) -> Vec<Check> {
        let ready = !self.down.load(Ordering::SeqCst);
        vec![Check { name: "database", ready }]
    }

    fn informational(&self) -> Vec<Check> {
        vec![Check { name: "key_set", ready: !self.keyless.load(Ordering::SeqCst) }]
    }
}

impl Exposition for Checks {
    fn text(&self) -> String {
        "berth_build_info{version=\"test\"} 1\n".to_owned()
    }
}
