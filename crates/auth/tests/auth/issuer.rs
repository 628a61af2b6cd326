//! An issuer on a loopback socket. It counts fetches and answers as a test says: with keys, with an
//! error, with invalid text, or only after a release.

use std::{
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
};

use auth::{Config, Source};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::watch,
};
use tokio_util::task::AbortOnDropHandle;

pub(crate) struct Issuer {
    state: Arc<State>,
    address: SocketAddr,
    _task: AbortOnDropHandle<()>,
}

struct State {
    fetches: AtomicUsize,
    answer: Mutex<(String, String)>,
    open: watch::Sender<bool>,
}

impl Issuer {
    /// Starts an issuer that publishes `keys`.
    pub(crate) async fn new(keys: &[Value]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let state = Arc::new(State {
            fetches: AtomicUsize::new(0),
            answer: Mutex::default(),
            open: watch::Sender::new(true),
        });
        let serving = Arc::clone(&state);
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let state = Arc::clone(&serving);
                tokio::spawn(async move { state.serve(stream).await });
            }
        });
        let issuer = Self { state, address, _task: AbortOnDropHandle::new(task) };
        issuer.publish(keys);
        issuer
    }

    pub(crate) fn publish(&self, keys: &[Value]) {
        self.answer("200 OK", &json!({ "keys": keys }).to_string());
    }

    /// Sets the status line, with optional header lines, and the body of all answers.
    pub(crate) fn answer(&self, status: &str, body: &str) {
        *self.state.answer.lock().unwrap() = (status.to_owned(), body.to_owned());
    }

    /// Holds all answers back, or releases them.
    pub(crate) fn hold(&self, hold: bool) {
        self.state.open.send_replace(!hold);
    }

    /// Returns the number of fetches so far.
    pub(crate) fn fetches(&self) -> usize {
        self.state.fetches.load(SeqCst)
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}/jwks", self.address)
    }

    /// Returns a configuration that verifies tokens with the keys of this issuer.
    pub(crate) fn config(&self) -> Config {
        Config { jwks: Some(Source::parse(&self.url(), false).unwrap()), ..Config::default() }
    }
}

impl State {
    async fn serve(&self, mut stream: TcpStream) {
        let mut request = Vec::new();
        while !request.ends_with(b"\r\n\r\n") {
            let Ok(byte @ 0..) = stream.read_u8().await else { return };
            request.push(byte);
        }
        self.fetches.fetch_add(1, SeqCst);
        if self.open.subscribe().wait_for(|open| *open).await.is_err() {
            return;
        }
        let (status, body) = self.answer.lock().unwrap().clone();
        let head = format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\n\r\n", body.len());
        let _ = stream.write_all((head + &body).as_bytes()).await;
    }
}
