//! A login issuer: a key set over HTTP on loopback, and tokens signed by its key; and an OIDC issuer
//! that logs in the same person at once.

use std::{
    io::Write as _,
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

use anyhow::Result;
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use ed25519_compact::{KeyPair, Seed};
use serde_json::{Value, json};

use crate::{client::Credential, issuer_flow};

/// Claim `iss` of the tokens.
pub const NAME: &str = "https://login.example";
/// Claim `aud` of the tokens.
pub const AUDIENCE: &str = "berth";
/// Default of the claim `exp`: the year 2100.
const FAR_AWAY: u64 = 4_102_444_800;

/// A running issuer. Dropping the value stops the issuer.
#[derive(Debug)]
pub struct Issuer {
    address: SocketAddr,
    stopped: Arc<AtomicBool>,
    fetched: Arc<AtomicUsize>,
    person: Arc<Mutex<Value>>,
}

/// The claims of a token and the number of its signing key.
#[derive(Clone, Debug)]
pub struct Token {
    claims: Value,
    key: u8,
}

impl Issuer {
    /// Starts an issuer that publishes its first key.
    pub fn start() -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?;
        let (stopped, fetched) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let (ending, count) = (Arc::clone(&stopped), Arc::clone(&fetched));
        let person = Arc::new(Mutex::new(json!({})));
        let claims = Arc::clone(&person);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if ending.load(Ordering::SeqCst) {
                    return; // closes the port
                }
                let claims = claims.lock().unwrap_or_else(PoisonError::into_inner).clone();
                if serve(stream, address, &claims).is_ok_and(|was_fetched| was_fetched) {
                    count.fetch_add(1, Ordering::SeqCst);
                }
            }
        });
        Ok(Self { address, stopped, fetched, person })
    }

    /// Returns the URL of the key set.
    pub fn url(&self) -> String {
        format!("http://{}/jwks", self.address)
    }

    /// Returns the settings with which the router accepts the tokens.
    pub fn settings(&self) -> [(&'static str, String); 3] {
        [
            ("BERTH_JWKS", self.url()),
            ("BERTH_JWT_ISSUER", NAME.to_owned()),
            ("BERTH_JWT_AUDIENCE", AUDIENCE.to_owned()),
        ]
    }

    /// Returns the settings with which browsers log in at this issuer.
    pub fn login_settings(&self) -> [(&'static str, String); 2] {
        [
            ("BERTH_OIDC_ISSUER", format!("http://{}", self.address)),
            ("BERTH_OIDC_CLIENT_ID", issuer_flow::CLIENT.to_owned()),
        ]
    }

    /// Sets the claims of the person whom the next logins of browsers log in.
    pub fn set_person(&self, claims: Value) {
        *self.person.lock().unwrap_or_else(PoisonError::into_inner) = claims;
    }

    /// Returns the number of fetches of the key set.
    pub fn fetched(&self) -> usize {
        self.fetched.load(Ordering::SeqCst)
    }

    /// Stops the issuer.
    pub fn stop(&self) {
        if !self.stopped.swap(true, Ordering::SeqCst) {
            let _ = TcpStream::connect(self.address); // wakes the listener
        }
    }
}

impl Drop for Issuer {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Token {
    /// Returns the token of a person in this organization with this role.
    pub fn of(organization: &str, role: &str) -> Self {
        let claims = json!({
            "iss": NAME, "aud": AUDIENCE, "sub": "user-1", "exp": FAR_AWAY,
            "org_id": organization, "role": role,
        });
        Self { claims, key: 1 }
    }

    /// Sets a claim; null removes the claim.
    #[must_use]
    pub fn with(mut self, claim: &str, value: Value) -> Self {
        if let Some(claims) = self.claims.as_object_mut() {
            claims.insert(claim.to_owned(), value);
            claims.retain(|_, value| !value.is_null());
        }
        self
    }

    /// Signs with a key that the issuer does not publish.
    #[must_use]
    pub fn by_unknown_key(mut self) -> Self {
        self.key = 2;
        self
    }

    /// Returns the signed token.
    pub fn sign(&self) -> Credential {
        let header = json!({ "alg": "EdDSA", "typ": "JWT", "kid": kid(self.key) });
        let part = |json: &Value| URL_SAFE_NO_PAD.encode(json.to_string());
        let text = format!("{}.{}", part(&header), part(&self.claims));
        let signature = URL_SAFE_NO_PAD.encode(pair(self.key).sk.sign(&text, None).as_ref());
        Credential::Token(format!("{text}.{signature}"))
    }
}

fn kid(key: u8) -> String {
    format!("key-{key}")
}

fn pair(key: u8) -> KeyPair {
    KeyPair::from_seed(Seed::new([key; 32]))
}

/// Answers a request; returns whether the request was for the key set.
fn serve(mut stream: TcpStream, address: SocketAddr, person: &Value) -> Result<bool> {
    stream.set_read_timeout(Some(Duration::from_secs(2)))?;
    let request = issuer_flow::read_request(&mut stream)?;
    let sign = |claims: Value| Token { claims, key: 1 }.sign();
    if let Some(answer) = issuer_flow::answer(&request, address, person, &sign) {
        stream.write_all(answer.as_bytes())?;
        return Ok(false);
    }
    let x = URL_SAFE_NO_PAD.encode(pair(1).pk.as_ref());
    let key = json!({ "kty": "OKP", "crv": "Ed25519", "x": x, "kid": kid(1), "alg": "EdDSA" });
    let body = json!({ "keys": [key] }).to_string();
    write!(
        stream,
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\
         Connection: close\r\n\r\n{body}",
        body.len()
    )?;
    Ok(true)
}
