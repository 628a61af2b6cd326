//! Senders with short time limits, and tables of hostile receivers.

use std::{
    io,
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::future::{BoxFuture, join_all};
use hyper::header::HeaderValue;
use rustls::RootCertStore;
use tokio::net::TcpStream;
use webhook_client::{
    Allowed, Attempt, Config, CustomHeaders, Delivery, Dial, Limits, Lookup, NetworkAccess,
    Outcome, Sender,
};

use crate::receiver::{Peer, Receiver};

/// Time limit of the head in tests; a healthy receiver answers far sooner, even on a busy machine.
pub(crate) const HEAD: Duration = Duration::from_millis(1_500);

pub(crate) fn limits() -> Limits {
    Limits {
        lookup: Duration::from_millis(300),
        connect: Duration::from_millis(500),
        dial_gap: Duration::from_millis(20),
        head: HEAD,
        body: Duration::from_millis(150),
        ..Limits::default()
    }
}

pub(crate) fn config(allowed: &str) -> Config {
    Config {
        allowed: allowed.parse::<Allowed>().unwrap(),
        denied: Vec::new(),
        roots: RootCertStore::empty(),
        user_agent: HeaderValue::from_static("berth/test"),
        limits: limits(),
    }
}

/// Returns a sender that may reach loopback.
pub(crate) fn sender() -> Sender {
    Sender::new(config("127.0.0.0/8")).unwrap()
}

pub(crate) fn delivery(url: &str, webhook: &str) -> Delivery {
    Delivery {
        organization: "org_1".into(),
        webhook: webhook.into(),
        url: url.parse().unwrap(),
        event: "evt_1".into(),
        body: Bytes::from_static(b"{\"id\":\"evt_1\"}"),
        number: 1,
        at: 784_111_777_000,
        replay: false,
        secrets: None,
        headers: CustomHeaders::default(),
    }
}

pub(crate) fn attempt(url: &str, webhook: &str) -> Attempt {
    Attempt::new(&delivery(url, webhook)).unwrap()
}

/// Sends one attempt of the webhook `wh_1`.
pub(crate) async fn send(sender: &Sender, url: &str) -> Outcome {
    sender.send(&attempt(url, "wh_1")).await
}

/// Answers lookups from a function and records the names.
pub(crate) struct Names<F> {
    pub(crate) answer: F,
    pub(crate) asked: Arc<Mutex<Vec<String>>>,
}

impl<F: Fn(&str) -> io::Result<Vec<SocketAddr>> + Send + Sync + 'static> Lookup for Names<F> {
    fn addresses(&self, name: &str) -> io::Result<Vec<SocketAddr>> {
        self.asked.lock().unwrap().push(name.to_owned());
        (self.answer)(name)
    }
}

/// Records the dialled addresses and refuses every connection.
#[derive(Clone, Default)]
pub(crate) struct Dialled(pub(crate) Arc<Mutex<Vec<SocketAddr>>>);

#[async_trait]
impl Dial for Dialled {
    async fn dial(&self, address: SocketAddr) -> io::Result<TcpStream> {
        self.0.lock().unwrap().push(address);
        Err(io::ErrorKind::ConnectionRefused.into())
    }
}

/// Returns a network whose lookups come from `answer`, with the names that are asked for.
pub(crate) fn network(
    answer: impl Fn(&str) -> io::Result<Vec<SocketAddr>> + Send + Sync + 'static,
    dial: impl Dial,
) -> (NetworkAccess, Arc<Mutex<Vec<String>>>) {
    let asked = Arc::<Mutex<Vec<String>>>::default();
    let names = Names { answer, asked: Arc::clone(&asked) };
    (NetworkAccess { lookup: Arc::new(names), dial: Arc::new(dial) }, asked)
}

/// The behaviour of a receiver.
type Script = Box<dyn Fn(Peer) -> BoxFuture<'static, ()> + Send + Sync>;

/// A hostile receiver and the acceptable classes of an attempt at it.
pub(crate) struct Case {
    pub(crate) name: String,
    script: Script,
    classes: &'static [&'static str],
}

/// Creates a case whose receiver runs `script` for each connection.
pub(crate) fn case<F, Fut>(name: &str, classes: &'static [&'static str], script: F) -> Case
where
    F: Fn(Peer) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = ()> + Send + 'static,
{
    let script: Script = Box::new(move |peer| Box::pin(script(peer)));
    Case { name: name.to_owned(), script, classes }
}

/// Creates a case whose receiver reads the request, writes `response` and keeps the connection
/// open.
pub(crate) fn response(
    name: &str,
    classes: &'static [&'static str],
    response: impl AsRef<[u8]> + Clone + Send + Sync + 'static,
) -> Case {
    case(name, classes, move |mut peer| {
        let response = response.clone();
        async move {
            peer.request().await;
            peer.write(response.as_ref()).await;
            peer.hold().await;
        }
    })
}

/// Sends one attempt at every receiver at once, and meanwhile one after the other at a healthy
/// receiver, whose attempts must all succeed. Returns the outcomes in the order of the cases.
pub(crate) async fn run(cases: Vec<Case>) -> Vec<Outcome> {
    let (sender, healthy) = (sender(), Receiver::healthy().await);
    let done = AtomicBool::new(false);
    let neighbour = async {
        let mut sent = 0;
        while !done.load(Ordering::SeqCst) || sent < 5 {
            let outcome = sender.send(&attempt(&healthy.url(), "wh_healthy")).await;
            assert_eq!(outcome.class.as_str(), "2xx", "{outcome:?}");
            sent += 1;
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        assert_eq!(healthy.requests().len(), sent);
    };
    let hostile = async {
        let outcomes = join_all(cases.into_iter().map(|case| one(&sender, case))).await;
        done.store(true, Ordering::SeqCst);
        outcomes
    };
    tokio::join!(neighbour, hostile).1
}

async fn one(sender: &Sender, case: Case) -> Outcome {
    let Case { name, script, classes } = case;
    let receiver = Receiver::start(script).await;
    let outcome = sender.send(&attempt(&receiver.url(), &name)).await;
    assert!(classes.contains(&outcome.class.as_str()), "{name}: {outcome:?}");
    assert_eq!(outcome.excerpt, None, "{name}: a private address shows no body");
    let has_status = outcome.status.is_some();
    assert_eq!(has_status, outcome.cause.is_none(), "{name}: {outcome:?}");
    assert!(receiver.requests().len() <= 1, "{name}: one attempt sends one request");
    // The connection ends, however the receiver behaves: only idle connections stay.
    if outcome.class.as_str() != "2xx" && !has_status {
        receiver.wait_until_open(0).await;
    }
    outcome
}
