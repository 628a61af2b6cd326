//! A login issuer of our own: a key set over HTTP on loopback, and tokens signed by its keys.

use std::{
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

use anyhow::Result;
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use ed25519_compact::{KeyPair, Seed};
use serde_json::{Value, json};

use crate::client::Credential;

/// What `iss` says.
pub const NAME: &str = "https://login.example";
/// What `aud` says.
pub const AUDIENCE: &str = "berth";
/// Long after any test.
const FAR_AWAY: u64 = 4_102_444_800;

/// A running issuer. Dropping it stops it.
#[derive(Debug)]
pub struct Issuer {
    address: SocketAddr,
    stopped: Arc<AtomicBool>,
    fetched: Arc<AtomicUsize>,
}

/// A token in the making.
#[derive(Clone, Debug)]
pub struct Token {
    claims: Value,
    key: u8,
}

impl Issuer {
    /// Starts one that shows its first key.
    pub fn start() -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?;
        let (stopped, fetched) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let (ending, count) = (Arc::clone(&stopped), Arc::clone(&fetched));
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if ending.load(Ordering::SeqCst) {
                    return; // and the port is closed
                }
                if serve(stream).is_ok() {
                    count.fetch_add(1, Ordering::SeqCst);
                }
            }
        });
        Ok(Self { address, stopped, fetched })
    }

    /// Where its key set is.
    pub fn url(&self) -> String {
        format!("http://{}/jwks", self.address)
    }

    /// What makes a berth believe its tokens.
    pub fn settings(&self) -> [(&'static str, String); 3] {
        [
            ("BERTH_JWKS", self.url()),
            ("BERTH_JWT_ISSUER", NAME.to_owned()),
            ("BERTH_JWT_AUDIENCE", AUDIENCE.to_owned()),
        ]
    }

    /// How often its key set was fetched.
    pub fn fetched(&self) -> usize {
        self.fetched.load(Ordering::SeqCst)
    }

    /// Answers no more.
    pub fn stop(&self) {
        if !self.stopped.swap(true, Ordering::SeqCst) {
            let _ = TcpStream::connect(self.address); // wakes it to see that
        }
    }
}

impl Drop for Issuer {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Token {
    /// Somebody of this organization, in this role.
    pub fn of(organization: &str, role: &str) -> Self {
        let claims = json!({
            "iss": NAME, "aud": AUDIENCE, "sub": "user-1", "exp": FAR_AWAY,
            "org_id": organization, "role": role,
        });
        Self { claims, key: 1 }
    }

    /// With this claim instead; null leaves it out.
    #[must_use]
    pub fn with(mut self, claim: &str, value: Value) -> Self {
        if let Some(claims) = self.claims.as_object_mut() {
            claims.insert(claim.to_owned(), value);
            claims.retain(|_, value| !value.is_null());
        }
        self
    }

    /// Signed by a key the issuer never showed.
    #[must_use]
    pub fn by_unknown_key(mut self) -> Self {
        self.key = 2;
        self
    }

    /// Signed.
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

fn serve(mut stream: TcpStream) -> Result<()> {
    stream.set_read_timeout(Some(Duration::from_secs(2)))?;
    let mut request = [0; 4096];
    let _ = stream.read(&mut request)?;
    let x = URL_SAFE_NO_PAD.encode(pair(1).pk.as_ref());
    let key = json!({ "kty": "OKP", "crv": "Ed25519", "x": x, "kid": kid(1), "alg": "EdDSA" });
    let body = json!({ "keys": [key] }).to_string();
    write!(
        stream,
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\
         Connection: close\r\n\r\n{body}",
        body.len()
    )?;
    Ok(())
}
