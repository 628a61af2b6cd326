//! Prints the number of allocations of a request, from the socket through authentication and the
//! store and back. The counts do not depend on the speed of the machine.
#![allow(clippy::expect_used, clippy::print_stdout, reason = "a report fails by panicking")]

use std::{
    alloc::System,
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    sync::Arc,
    time::Duration,
};

use async_trait::async_trait;
use auth::{Chain, KeyCache, RandomKeyGenerator};
use domain::{
    ApiKeys, Audit, BrowserSessionLimits, BrowserSessionPorts, BrowserSessions, Caller, Capability,
    Chats, Deadlines, KeyId, KeySpec, Leases, Messages, MessagingTurns, Operators, OrganizationId,
    Outbox, OutboxLimits, OutboxPorts, ReturnOrigins, SessionPorts, Sessions, Settings,
    ShareLinkPorts, ShareLinks, WebhookPorts, Webhooks,
    ports::KeyGenerator as _,
    testing::{
        FakeMessagingControl, FakeSessionControl, FakeWebhookSender, PlainLinkSecrets, PlainSealer,
        TestEnvironment, TestNotifier,
    },
};
use event_feed::{EventFeed, FeedPorts};
use http_hyper::{
    Api, ApiDependencies, BrowserDependencies, Check, Exposition, Limits, PublicUrl, Rates,
    Readiness, StreamDependencies, render_event, serve,
};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use store_diesel::{Config, Database};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

#[global_allocator]
static COUNTED: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const ORGANIZATION: &str = "acme";
const REQUESTS: usize = 200;
/// The size of the buffer for answers; all answers are smaller.
const MAX_ANSWER: usize = 4096;

/// Readiness and metrics, which this program does not request.
struct Unused;

#[async_trait]
impl Readiness for Unused {
    async fn checks(&self) -> Vec<Check> {
        Vec::new()
    }
}

impl Exposition for Unused {
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
        // The clock stands still, so no cache entry grows too old.
        let environment = TestEnvironment::new();
        let key_cache = Arc::new(KeyCache::new(store.clone(), environment.clone()));
        let leases = Arc::<Leases>::default();
        let ports = SessionPorts {
            store: store.clone(),
            nodes: store.clone(),
            session_control: Arc::new(FakeSessionControl::new(environment.clone())),
            environment: environment.clone(),
            notifier: TestNotifier::new(environment.clone()),
            leases: leases.clone(),
        };
        let sessions = Sessions::new(ports, Deadlines::default());
        let generator = Arc::new(RandomKeyGenerator::default());
        let keys = ApiKeys::new(store.clone(), key_cache.clone(), generator, environment.clone());
        let operator = Caller::operator(OrganizationId::parse(ORGANIZATION).expect("a name"));
        let session = sessions.create(&operator, Settings::default(), false, None).await;
        let key = keys.create(&operator, spec(), None).await.expect("a key");
        let webhooks = Webhooks::new(WebhookPorts {
            store: store.clone(),
            sessions: store.clone(),
            feed: store.clone(),
            organization_feed: store.clone(),
            sealer: Arc::new(PlainSealer::default()),
            sender: Arc::new(FakeWebhookSender::default()),
            render: Arc::new(|event| render_event(event).to_vec()),
            environment: environment.clone(),
            notifier: TestNotifier::new(environment.clone()),
        });
        let outbox = OutboxPorts {
            sessions: store.clone(),
            nodes: store.clone(),
            messages: store.clone(),
            messaging: store.clone(),
            outbox: store.clone(),
            control: Arc::new(FakeMessagingControl::default()),
            environment: environment.clone(),
            notifier: TestNotifier::new(environment.clone()),
            leases: leases.clone(),
            turns: MessagingTurns::default(),
        };
        let links = ShareLinkPorts {
            store: store.clone(),
            directory: store.clone(),
            secrets: Arc::new(PlainLinkSecrets),
            environment: environment.clone(),
            notifier: TestNotifier::new(environment.clone()),
        };
        let api = Api::new(ApiDependencies {
            links: ShareLinks::new(links, sessions.clone(), ReturnOrigins::new()),
            sessions,
            chats: Chats::new(store.clone()),
            messages: Messages::new(store.clone()),
            outbox: Outbox::new(outbox, Deadlines::default(), OutboxLimits::default()),
            keys,
            webhooks,
            audit: Audit::new(store.clone()),
            operators: Operators::new(
                store.clone(),
                store.clone(),
                environment.clone(),
                leases,
                Deadlines::default().lease,
            ),
            authenticator: Arc::new(Chain::new(None, key_cache, environment.clone())),
            idempotency_records: store.clone(),
            environment: environment.clone(),
            readiness: Arc::new(Unused),
            metrics: Arc::new(Unused),
            cursor_secret: [7; 32],
            rates: Rates::default(),
            streams: StreamDependencies {
                feed: EventFeed::new(FeedPorts {
                    all: store.clone(),
                    organizations: store.clone(),
                    render: Arc::new(render_event),
                    interval: Duration::from_secs(1),
                }),
                store: store.clone(),
                keys: store.clone(),
                tickets: store.clone(),
                bookmark_secret: [8; 32],
                ticket_secret: [9; 32],
            },
            browser: browser(store, environment),
        });
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let service = api.public(Limits::default());
        tokio::spawn(serve(listener, service, CancellationToken::new()));
        let session = session.expect("a session").id.to_string();
        Self { address, session, key: key.text, _folder: folder }
    }
}

fn browser(store: Arc<Database>, environment: Arc<TestEnvironment>) -> BrowserDependencies {
    let ports = BrowserSessionPorts {
        store: store.clone(),
        keys: store.clone(),
        directory: store,
        environment,
    };
    BrowserDependencies {
        enabled: true,
        sessions: BrowserSessions::new(ports, BrowserSessionLimits::default()),
        public_url: PublicUrl::parse("http://localhost").expect("a URL"),
        handover_origins: Vec::new(),
        login_flow: None,
        login_secret: [10; 32],
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

/// Sends requests over one connection and returns the allocations and reallocations of one request.
fn cost(address: SocketAddr, request: &[u8], status: &str) -> usize {
    let start = format!("HTTP/1.1 {status}");
    let mut stream = TcpStream::connect(address).expect("a connection");
    let mut answer = [0; MAX_ANSWER];
    let mut ask = |times| {
        for _ in 0..times {
            let length = exchange(&mut stream, request, &mut answer);
            let answer = String::from_utf8_lossy(&answer[..length]);
            assert!(answer.starts_with(&start), "not {status}: {answer}");
        }
    };
    ask(20); // excludes allocations that occur once
    let region = Region::new(COUNTED);
    ask(REQUESTS);
    let counted = region.change();
    (counted.allocations + counted.reallocations) / REQUESTS
}

/// Sends a request and reads its answer. The body is an object, so the last byte is a brace.
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

fn main() {
    // One runtime thread besides the main thread, which allocates nothing during requests.
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    let runtime = runtime.worker_threads(1).enable_all().build().expect("a runtime");
    let served = runtime.block_on(Served::start());
    let Served { address, session, key, .. } = &served;
    let missing = format!("{}0", &session[..session.len() - 1]);
    let wrong = &RandomKeyGenerator::default().generate(&KeyId::from_bits(1)).key;
    println!("allocations of one GET of a session on SQLite:");
    for (name, session, key, status) in [
        ("existing session", session, key.as_str(), "200 OK"),
        ("missing session", &missing, key.as_str(), "404 Not Found"),
        ("wrong key", session, wrong, "401 Unauthorized"),
    ] {
        let count = cost(*address, &request(*address, session, key), status);
        println!("  {name}: {count}");
    }
    runtime.shutdown_background();
}

fn request(address: SocketAddr, session: &str, key: &str) -> Vec<u8> {
    let head = format!("GET /api/v1/sessions/{session} HTTP/1.1\r\nhost: {address}\r\n");
    format!("{head}x-api-key: {key}\r\n\r\n").into_bytes()
}
