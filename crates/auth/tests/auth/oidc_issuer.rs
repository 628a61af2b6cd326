//! An OIDC issuer on a loopback socket: discovery, key set, and a token endpoint that checks the
//! code, the client and the verifier.

use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
};

use aws_lc_rs::digest::{SHA256, digest};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};
use tokio_util::task::AbortOnDropHandle;

use crate::signer::{Signer, encode};

pub(crate) struct OidcIssuer {
    pub(crate) state: Arc<IssuerState>,
    address: SocketAddr,
    _task: AbortOnDropHandle<()>,
}

pub(crate) struct IssuerState {
    pub(crate) signer: Signer,
    /// The challenge of the login in progress.
    pub(crate) challenge: Mutex<String>,
    /// The claims of the next ID token, beside issuer and validity.
    pub(crate) claims: Mutex<Value>,
    /// Members of the discovery document that differ.
    pub(crate) discovery: Mutex<Value>,
    /// The status of answers of the token endpoint in place of its own.
    pub(crate) failure: Mutex<Option<&'static str>>,
    /// The way by which the client authenticated last.
    pub(crate) client: Mutex<String>,
    pub(crate) discoveries: AtomicUsize,
}

impl OidcIssuer {
    pub(crate) async fn new(signer: Signer) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let state = Arc::new(IssuerState {
            signer,
            challenge: Mutex::default(),
            claims: Mutex::new(json!({})),
            discovery: Mutex::new(json!({})),
            failure: Mutex::default(),
            client: Mutex::default(),
            discoveries: AtomicUsize::new(0),
        });
        let serving = Arc::clone(&state);
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let state = Arc::clone(&serving);
                tokio::spawn(async move { state.serve(stream, address).await });
            }
        });
        Self { state, address, _task: AbortOnDropHandle::new(task) }
    }

    /// Returns the issuer, as its tokens state it.
    pub(crate) fn name(&self) -> String {
        format!("http://{}/realm", self.address)
    }
}

impl IssuerState {
    async fn serve(&self, mut stream: TcpStream, address: SocketAddr) {
        let mut request = Vec::new();
        while !request.ends_with(b"\r\n\r\n") {
            let Ok(byte) = stream.read_u8().await else { return };
            request.push(byte);
        }
        let head = String::from_utf8(request).unwrap();
        let header = |name: &str| {
            let lines = head.lines().filter_map(|line| line.split_once(": "));
            let mut named = lines.filter(|(given, _)| given.eq_ignore_ascii_case(name));
            named.next().map(|(_, value)| value.to_owned())
        };
        let length = header("content-length").map_or(0, |length| length.parse().unwrap());
        let mut body = vec![0; length];
        stream.read_exact(&mut body).await.unwrap();
        let path = head.split(' ').nth(1).unwrap();
        let (status, answer) = match path {
            "/realm/.well-known/openid-configuration" => {
                self.discoveries.fetch_add(1, SeqCst);
                ("200 OK", self.document(address))
            }
            "/realm/jwks" => ("200 OK", json!({ "keys": [self.signer.jwk()] })),
            "/realm/token" => self.token(&form(&body), header("authorization"), address),
            _ => ("404 Not Found", json!({})),
        };
        let body = answer.to_string();
        let head = format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\n\r\n", body.len());
        let _ = stream.write_all((head + &body).as_bytes()).await;
    }

    fn document(&self, address: SocketAddr) -> Value {
        let issuer = format!("http://{address}/realm");
        let mut document = json!({
            "issuer": issuer,
            "authorization_endpoint": format!("{issuer}/authorize"),
            "token_endpoint": format!("{issuer}/token"),
            "jwks_uri": format!("{issuer}/jwks"),
        });
        let changed = self.discovery.lock().unwrap().clone();
        document.as_object_mut().unwrap().extend(changed.as_object().cloned().unwrap());
        document
    }

    fn token(
        &self,
        form: &HashMap<String, String>,
        authorization: Option<String>,
        address: SocketAddr,
    ) -> (&'static str, Value) {
        if let Some(status) = *self.failure.lock().unwrap() {
            return (status, json!({ "error": "server_error" }));
        }
        let secret = form.get("client_secret").map(|secret| format!("body {secret}"));
        *self.client.lock().unwrap() = authorization.or(secret).unwrap_or_default();
        let verifier = form["code_verifier"].as_bytes();
        let challenge = encode(digest(&SHA256, verifier));
        let is_good = form["grant_type"] == "authorization_code"
            && form["code"] == "good/code"
            && form["client_id"] == "berth app"
            && form["redirect_uri"] == "https://berth.example/auth/callback"
            && challenge == *self.challenge.lock().unwrap();
        if !is_good {
            return ("400 Bad Request", json!({ "error": "invalid_grant" }));
        }
        let mut claims = json!({
            "iss": format!("http://{address}/realm"),
            "aud": "berth app",
            "exp": crate::world::NOW + 300,
        });
        let more = self.claims.lock().unwrap().clone();
        for (name, value) in more.as_object().cloned().unwrap() {
            claims[name] = value;
        }
        let token = self.signer.token(&claims);
        ("200 OK", json!({ "access_token": "opaque", "token_type": "Bearer", "id_token": token }))
    }
}

/// Parses a form; the values of these tests have no plus signs.
fn form(body: &[u8]) -> HashMap<String, String> {
    let text = String::from_utf8(body.to_vec()).unwrap();
    let pairs = text.split('&').map(|pair| pair.split_once('=').unwrap());
    pairs.map(|(name, value)| (name.to_owned(), decoded(value))).collect()
}

fn decoded(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'%' => {
                let digits = [rest.next().unwrap(), rest.next().unwrap()];
                u8::from_str_radix(std::str::from_utf8(&digits).unwrap(), 16).unwrap()
            }
            byte => byte,
        });
    }
    String::from_utf8(bytes).unwrap()
}
