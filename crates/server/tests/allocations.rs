//! What a request costs, counted and not timed: allocations on the way from the socket through the
//! door, the store and back. They are the same on every machine, so more of them are a change somebody
//! made. A new figure goes here together with its reason.
#![allow(clippy::expect_used, reason = "what is not as expected fails the test")]

use std::{
    alloc::System,
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    sync::Arc,
};

use async_trait::async_trait;
use auth::{Chain, HotKeys, KeyForge};
use domain::{
    ApiKeys, Audit, Caller, Capability, Deadlines, KeyId, KeySpec, Leases, Operators,
    OrganizationId, SessionPorts, Sessions, Settings,
    ports::KeyGenerator as _,
    testing::{FakeSessionControl, TestEnvironment, TestNotifier},
};
use http_hyper::{Api, Backing, Check, Exposition, Limits, Rates, Readiness, serve};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use store_diesel::{Config, Database};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

#[global_allocator]
static COUNTED: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const ORGANIZATION: &str = "acme";
const REQUESTS: usize = 200;
/// Of a session that is there, one that is not, and a key that is none.
const MOST: [usize; 3] = [42, 40, 27];
/// Bodies of any answer here are smaller.
const LONGEST: usize = 4096;

/// Nothing but the request's path is asked here.
struct Nothing;

#[async_trait]
impl Readiness for Nothing {
    async fn checks(&self) -> Vec<Check> {
        Vec::new()
    }
}

impl Exposition for Nothing {
    fn text(&self) -> String {
        String::new()
    }
}

/// berth over an SQLite file, with a session and a key of its organization.
struct Served {
    address: SocketAddr,
    session: String,
    key: String,
    _folder: tempfile::TempDir,
}

impl Served {
    async fn start() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("berth.db");
        let config = Config::new(format!("sqlite:{}", file.display()));
        let store = Arc::new(Database::connect(&config).await.expect("a database"));
        // Its clock stands still, so nothing is read anew in the background.
        let environment = TestEnvironment::new();
        let hot_keys = Arc::new(HotKeys::new(store.clone(), environment.clone()));
        let leases = Arc::<Leases>::default();
        let notifier = || TestNotifier::new(environment.clone());
        let ports = SessionPorts {
            store: store.clone(),
            nodes: store.clone(),
            session_control: Arc::new(FakeSessionControl::new(environment.clone())),
            environment: environment.clone(),
            worker_notifier: notifier(),
            change_notifier: notifier(),
            leases: leases.clone(),
        };
        let sessions = Sessions::new(ports, Deadlines::default());
        let forge = Arc::new(KeyForge::default());
        let keys = ApiKeys::new(store.clone(), hot_keys.clone(), forge, environment.clone());
        let operator = Caller::operator(OrganizationId::parse(ORGANIZATION).expect("a name"));
        let session = sessions.create(&operator, Settings::default(), false).await;
        let key = keys.create(&operator, spec()).await.expect("a key");
        let api = Api::new(Backing {
            sessions,
            keys,
            audit: Audit::new(store.clone()),
            operators: Operators::new(store.clone(), environment.clone(), leases),
            authenticator: Arc::new(Chain::new(None, hot_keys, environment.clone())),
            idempotency_records: store,
            environment,
            readiness: Arc::new(Nothing),
            metrics: Arc::new(Nothing),
            cursor_secret: [7; 32],
            rates: Rates::default(),
        });
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let door = api.public(Limits::default());
        tokio::spawn(serve(listener, door, CancellationToken::new()));
        let session = session.expect("a session").id.to_string();
        Self { address, session, key: key.text, _folder: folder }
    }
}

fn spec() -> KeySpec {
    KeySpec {
        name: "bench".to_owned(),
        capabilities: [Capability::Manage].into_iter().collect(),
        sessions: None,
        expires_at: None,
    }
}

/// Asks so often, over one connection, and says how often something was allocated for each: made or
/// made larger.
fn cost(address: SocketAddr, request: &[u8], status: &str) -> usize {
    let start = format!("HTTP/1.1 {status}");
    let mut stream = TcpStream::connect(address).expect("a connection");
    let mut answer = [0; LONGEST];
    let mut ask = |times| {
        for _ in 0..times {
            let length = exchange(&mut stream, request, &mut answer);
            let answer = String::from_utf8_lossy(&answer[..length]);
            assert!(answer.starts_with(&start), "not {status}: {answer}");
        }
    };
    ask(20); // what is set up once is no part of it
    let region = Region::new(COUNTED);
    ask(REQUESTS);
    let counted = region.change();
    (counted.allocations + counted.reallocations) / REQUESTS
}

/// Sends a request and reads its answer: an object, whose last brace is the last byte.
fn exchange(stream: &mut TcpStream, request: &[u8], answer: &mut [u8]) -> usize {
    stream.write_all(request).expect("sent");
    let mut length = 0;
    while !answer[..length].ends_with(b"}") {
        let more = stream.read(&mut answer[length..]).expect("an answer");
        assert!(more > 0, "the connection ended");
        length += more;
    }
    length
}

#[test]
fn a_request_allocates_no_more_than_it_did() {
    // One thread besides this one, which allocates nothing while it asks.
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    let runtime = runtime.worker_threads(1).enable_all().build().expect("a runtime");
    let served = runtime.block_on(Served::start());
    let Served { address, session, key, .. } = &served;
    let nobody = format!("{}0", &session[..session.len() - 1]);
    let wrong = &KeyForge::default().generate(&KeyId::from_bits(1)).key;
    let costs = [
        (session, key.as_str(), "200 OK"),
        (&nobody, key.as_str(), "404 Not Found"),
        (session, wrong, "401 Unauthorized"),
    ]
    .map(|(session, key, status)| cost(*address, &request(*address, session, key), status));
    let within = costs.iter().zip(&MOST).all(|(cost, most)| cost <= most);
    assert!(within, "{costs:?} allocations, where {MOST:?} were the most");
    runtime.shutdown_background();
}

fn request(address: SocketAddr, session: &str, key: &str) -> Vec<u8> {
    let head = format!("GET /api/v1/sessions/{session} HTTP/1.1\r\nhost: {address}\r\n");
    format!("{head}x-api-key: {key}\r\n\r\n").into_bytes()
}
