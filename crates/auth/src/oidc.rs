//! Logins at an issuer: OIDC code flow with PKCE (S256).
//!
//! The addresses of the issuer come from its discovery document, read at the first login and again after an
//! hour, so that berth starts before the issuer. The ID token is verified like a login token: signature,
//! issuer, audience (the client id), validity, and in addition the nonce of the login.
//!
//! Decision: ADR 0055.

mod address;
mod discovery;
mod form;

use std::{fmt, sync::Arc, time::Duration};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use domain::{
    SignIn, Timestamp,
    ports::{Environment, Refused},
};
use http_client::{
    ClientError, HttpClient, Limits, NoRoots, RootCertStore, TlsError, system_roots,
};
use hyper::{Request, header};
use serde::Deserialize;

use self::{address::fetchable, discovery::Addresses};
use crate::jwt::{ClaimPaths, Config, JwtVerifier, Source, SourceError};

/// The maximum duration of one request to the issuer.
const TIMEOUT: Duration = Duration::from_secs(5);
/// The maximum size of an answer of the issuer in bytes.
const MAX_ANSWER: usize = 256 * 1024;
/// The age at which the addresses of the issuer are read again.
const MAX_AGE: Duration = Duration::from_hours(1);

/// How browsers log in at an issuer.
#[derive(Clone)]
pub struct OidcConfig {
    /// The issuer, as its tokens state it in `iss`.
    pub issuer: String,
    /// The id of this service at the issuer.
    pub client_id: String,
    /// The secret of this service at the issuer; `None` for a public client.
    pub client_secret: Option<String>,
    /// The scopes of a login, separated by blanks.
    pub scopes: String,
    /// The locations of organization and roles in the claims.
    pub claims: ClaimPaths,
    /// The tolerated difference between the issuer's clock and this router's clock.
    pub leeway: Duration,
}

impl fmt::Debug for OidcConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OidcConfig")
            .field("issuer", &self.issuer)
            .field("client_id", &self.client_id)
            .field("scopes", &self.scopes)
            .finish_non_exhaustive()
    }
}

/// Why an issuer cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum OidcConfigError {
    /// The issuer is no URL that can be fetched.
    #[error("the issuer cannot be used: {0}")]
    Issuer(#[source] SourceError),
    /// The machine trusts no certificate authority.
    #[error(
        "https needs certificate authorities, and this machine has none: install them, or set SSL_CERT_FILE"
    )]
    NoRoots(#[source] NoRoots),
    /// TLS cannot be configured.
    #[error(transparent)]
    Tls(#[from] TlsError),
}

/// The begin of a login.
#[derive(Clone, Copy, Debug)]
pub struct OidcRequest<'a> {
    /// The URL to which the issuer sends the browser back.
    pub redirect_uri: &'a str,
    /// The text that the issuer returns with the browser.
    pub state: &'a str,
    /// The text that the issuer puts into the token.
    pub nonce: &'a str,
    /// The digest of the verifier in base64url (PKCE, S256).
    pub challenge: &'a str,
}

/// The code with which a browser returns.
#[derive(Clone, Copy)]
pub struct OidcCode<'a> {
    /// The code of the issuer.
    pub code: &'a str,
    /// As at the begin of the login.
    pub redirect_uri: &'a str,
    /// The text whose digest the issuer has (PKCE).
    pub verifier: &'a str,
    /// The text that the token must contain.
    pub nonce: &'a str,
}

/// A client of one issuer.
pub struct OidcClient {
    config: OidcConfig,
    http: HttpClient,
    environment: Arc<dyn Environment>,
    /// Held while the addresses are read, so that concurrent logins read them once.
    issuer: tokio::sync::Mutex<Option<Arc<KnownIssuer>>>,
}

/// An issuer whose addresses are read.
struct KnownIssuer {
    addresses: Addresses,
    verifier: Arc<JwtVerifier>,
    read_at: Timestamp,
}

/// The answer to a code.
#[derive(Deserialize)]
struct TokenAnswer {
    id_token: String,
}

impl OidcClient {
    /// Creates a client. The issuer is asked at the first login.
    ///
    /// # Errors
    /// If the issuer is no `https` URL (or `http` on a loopback address), or TLS cannot be set up.
    pub fn new(
        config: OidcConfig,
        environment: Arc<dyn Environment>,
    ) -> Result<Self, OidcConfigError> {
        let uri = fetchable(&config.issuer).map_err(OidcConfigError::Issuer)?;
        let roots = match uri.scheme_str() {
            Some("https") => system_roots().map_err(OidcConfigError::NoRoots)?,
            _ => RootCertStore::empty(),
        };
        let limits = Limits {
            connect: TIMEOUT,
            idle: Duration::ZERO,
            idle_per_host: 0,
            response_bytes: MAX_ANSWER,
        };
        let http = HttpClient::new(roots, limits)?;
        Ok(Self { config, http, environment, issuer: tokio::sync::Mutex::default() })
    }

    /// Returns the URL of the issuer to which a browser goes to log in.
    ///
    /// # Errors
    /// [`Refused::Unavailable`] if the issuer does not publish its addresses.
    pub async fn url(&self, request: &OidcRequest<'_>) -> Result<String, Refused> {
        let issuer = self.known_issuer().await?;
        let endpoint = &issuer.addresses.authorization_endpoint;
        let query = form::encode(&[
            ("response_type", "code"),
            ("client_id", &self.config.client_id),
            ("redirect_uri", request.redirect_uri),
            ("scope", &self.config.scopes),
            ("state", request.state),
            ("nonce", request.nonce),
            ("code_challenge", request.challenge),
            ("code_challenge_method", "S256"),
        ]);
        let separator = if endpoint.contains('?') { '&' } else { '?' };
        Ok(format!("{endpoint}{separator}{query}"))
    }

    /// Exchanges the code of a login for its ID token, and returns the login that the token states.
    ///
    /// # Errors
    /// [`Refused::Unavailable`] if the issuer does not answer, [`Refused::Denied`] for a code or a
    /// token that is not accepted.
    pub async fn redeem(&self, code: &OidcCode<'_>) -> Result<SignIn, Refused> {
        let issuer = self.known_issuer().await?;
        let request = self.token_request(&issuer.addresses, code);
        let request = request.map_err(|error| Refused::Unavailable(error.into()))?;
        let answer = self.http.fetch(request, TIMEOUT).await.map_err(|error| match error {
            ClientError::Status(status) if status.is_client_error() => {
                Refused::Denied("the issuer refused the code of the login")
            }
            error => Refused::Unavailable(error.into()),
        })?;
        let answer: TokenAnswer = serde_json::from_slice(answer.body())
            .map_err(|_| Refused::Denied("the issuer's answer has no ID token"))?;
        let client = &self.config.client_id;
        issuer.verifier.sign_in_of_id_token(&answer.id_token, code.nonce, client).await
    }

    fn token_request(
        &self,
        addresses: &Addresses,
        code: &OidcCode<'_>,
    ) -> Result<Request<Bytes>, hyper::http::Error> {
        let mut fields = vec![
            ("grant_type", "authorization_code"),
            ("code", code.code),
            ("redirect_uri", code.redirect_uri),
            ("code_verifier", code.verifier),
            ("client_id", &self.config.client_id),
        ];
        let mut request = Request::post(&addresses.token_endpoint)
            .header(header::ACCEPT, "application/json")
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            .header(header::USER_AGENT, concat!("berth/", env!("CARGO_PKG_VERSION")));
        match &self.config.client_secret {
            Some(secret) if addresses.takes_secret_in_body() => {
                fields.push(("client_secret", secret));
            }
            Some(secret) => {
                // RFC 6749, 2.3.1: both parts are form-encoded.
                let id = form::encode_text(&self.config.client_id);
                let pair = format!("{id}:{}", form::encode_text(secret));
                let basic = format!("Basic {}", STANDARD.encode(pair));
                request = request.header(header::AUTHORIZATION, basic);
            }
            None => {}
        }
        request.body(form::encode(&fields).into())
    }

    /// Returns the issuer with its addresses. An issuer that does not answer any more keeps the
    /// addresses that were read before.
    async fn known_issuer(&self) -> Result<Arc<KnownIssuer>, Refused> {
        let mut known = self.issuer.lock().await;
        let now = self.environment.now();
        if let Some(issuer) = &*known
            && issuer.read_at.until(now) < MAX_AGE
        {
            return Ok(Arc::clone(issuer));
        }
        let before = known.clone();
        match (self.read_addresses().await, before) {
            (Ok(addresses), Some(issuer)) if issuer.addresses.jwks_uri == addresses.jwks_uri => {
                let verifier = issuer.verifier.clone();
                let issuer = Arc::new(KnownIssuer { addresses, verifier, read_at: now });
                *known = Some(issuer.clone());
                Ok(issuer)
            }
            (Ok(addresses), _) => {
                let verifier = self.verifier(&addresses).await?;
                let issuer = Arc::new(KnownIssuer { addresses, verifier, read_at: now });
                *known = Some(issuer.clone());
                Ok(issuer)
            }
            (Err(_), Some(issuer)) => Ok(issuer),
            (Err(error), None) => Err(error),
        }
    }

    async fn read_addresses(&self) -> Result<Addresses, Refused> {
        let request = Request::get(discovery::url(&self.config.issuer))
            .header(header::ACCEPT, "application/json")
            .body(Bytes::new())
            .map_err(|error| Refused::Unavailable(error.into()))?;
        let answer = self.http.fetch(request, TIMEOUT).await;
        let answer = answer.map_err(|error| Refused::Unavailable(error.into()))?;
        Addresses::parse(answer.body(), &self.config.issuer)
            .map_err(|cause| Refused::Unavailable(cause.into()))
    }

    /// Returns a verifier of the issuer's ID tokens.
    async fn verifier(&self, addresses: &Addresses) -> Result<Arc<JwtVerifier>, Refused> {
        let unusable = |error: SourceError| Refused::Unavailable(error.into());
        let source = fetchable(&addresses.jwks_uri).map(Source::Url).map_err(unusable)?;
        let config = Config {
            jwks: Some(source),
            issuer: Some(self.config.issuer.clone()),
            audience: Some(self.config.client_id.clone()),
            claims: self.config.claims.clone(),
            leeway: self.config.leeway,
            ..Config::default()
        };
        let started = JwtVerifier::start(config, self.environment.clone()).await;
        let verifier = started.map_err(|error| Refused::Unavailable(error.into()))?;
        verifier.ok_or_else(|| Refused::Unavailable("the issuer has no key set".into()))
    }
}
