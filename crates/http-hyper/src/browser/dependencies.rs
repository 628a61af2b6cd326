//! The dependencies of browser sessions, and the steps that several operations share.

use std::sync::Arc;

use domain::{
    BrowserSession, BrowserSessionDigest, BrowserSessions, Error, SignIn, Timestamp,
    ports::{Authenticator, Credential, Refused},
};
use hyper::{
    HeaderMap,
    header::{self, HeaderValue},
};

use super::{
    cookie::CookieSpec,
    login_failures::LoginFailures,
    login_flow::LoginFlow,
    public_url::{PublicUrl, is_loopback_origin},
    secret,
};
use crate::{
    response::problem::{Problem, Result},
    streams::sealer::Sealer,
};

const LOGINS: &str = "berth_browser_logins_total";

/// The cookie of a browser session.
pub(crate) const SESSION_COOKIE: CookieSpec = CookieSpec::strict("__Host-berth", "berth");

/// The dependencies of browser sessions.
pub struct BrowserDependencies {
    /// Whether cookies count, and the operations under `/auth/` exist.
    pub enabled: bool,
    /// The use cases of browser sessions.
    pub sessions: BrowserSessions,
    /// The URL at which browsers reach the service.
    pub public_url: PublicUrl,
    /// The origins whose pages may hand over a login token, as browsers send them.
    pub handover_origins: Vec<String>,
    /// The issuer of logins; `None` without one.
    pub login_flow: Option<Arc<dyn LoginFlow>>,
    /// The key that encrypts logins in progress; the same on all routers of a deployment.
    pub login_secret: [u8; 32],
}

/// The way by which a login reaches the service, as metric label.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LoginWay {
    /// A key or token in a JSON body.
    Credential,
    /// A form post of another origin.
    Handover,
    /// The code flow of the issuer.
    Issuer,
}

impl LoginWay {
    const fn label(self) -> &'static str {
        match self {
            Self::Credential => "credential",
            Self::Handover => "handover",
            Self::Issuer => "issuer",
        }
    }
}

/// The dependencies as handlers use them.
pub(crate) struct Browser {
    pub(crate) enabled: bool,
    pub(crate) sessions: BrowserSessions,
    pub(crate) public_url: PublicUrl,
    pub(crate) handover_origins: Vec<String>,
    pub(crate) login_flow: Option<Arc<dyn LoginFlow>>,
    pub(crate) sealer: Sealer,
    authenticator: Arc<dyn Authenticator>,
    failures: LoginFailures,
}

impl Browser {
    pub(crate) fn new(
        dependencies: BrowserDependencies,
        authenticator: Arc<dyn Authenticator>,
    ) -> Self {
        let BrowserDependencies {
            enabled,
            sessions,
            public_url,
            handover_origins,
            login_flow,
            login_secret,
        } = dependencies;
        Self {
            enabled,
            sessions,
            public_url,
            handover_origins,
            login_flow,
            sealer: Sealer::new(&login_secret),
            authenticator,
            failures: LoginFailures::default(),
        }
    }

    /// Returns the digest of the secret in the cookie of a request; `None` without a cookie.
    ///
    /// # Errors
    /// The logged cause of a cookie whose value is no secret.
    pub(crate) fn session_digest(
        &self,
        headers: &HeaderMap,
    ) -> Option<Result<BrowserSessionDigest, &'static str>> {
        let text = SESSION_COOKIE.read(headers, &self.public_url)?;
        Some(secret::digest(text).map(BrowserSessionDigest).ok_or("malformed cookie"))
    }

    /// Accepts a credential of a peer with this address.
    ///
    /// # Errors
    /// 401 for a credential that is not accepted, 429 after too many of them, 503 when the credential
    /// cannot be checked now.
    pub(crate) async fn check_credential(
        &self,
        text: String,
        (address, now): (u64, Timestamp),
        way: LoginWay,
    ) -> Result<SignIn> {
        self.failures.admit(address, now)?;
        let checked = self.authenticator.sign_in(&Credential::Bearer(text)).await;
        if let Err(Refused::Denied(_)) = &checked {
            self.failures.record(address, now);
        }
        Self::accepted(checked, way)
    }

    /// Returns the login that was accepted, and counts the outcome.
    ///
    /// # Errors
    /// As [`Self::check_credential`].
    pub(crate) fn accepted(checked: Result<SignIn, Refused>, way: LoginWay) -> Result<SignIn> {
        let outcome = match &checked {
            Ok(_) => "accepted",
            Err(Refused::Denied(_)) => "refused",
            Err(Refused::Unavailable(_)) => "unavailable",
        };
        metrics::counter!(LOGINS, "way" => way.label(), "outcome" => outcome).increment(1);
        checked.map_err(|refused| match refused {
            Refused::Denied(cause) => {
                tracing::info!(cause, way = way.label(), "the login of a browser was refused");
                Error::Unauthorized.into()
            }
            Refused::Unavailable(source) => Error::unavailable(source).into(),
        })
    }

    /// Begins a session, and ends the session that the browser had before. Returns the `Set-Cookie`.
    ///
    /// # Errors
    /// 401 for a login that has expired; errors of the store.
    pub(crate) async fn begin_session(
        &self,
        headers: &HeaderMap,
        sign_in: SignIn,
    ) -> Result<HeaderValue> {
        let (text, digest) = secret::generate()?;
        let session = self.sessions.open(BrowserSessionDigest(digest), sign_in).await?;
        if let Some(Ok(before)) = self.session_digest(headers) {
            self.sessions.close(before).await?;
        }
        self.cookie(&text, &session)
    }

    fn cookie(&self, text: &str, session: &BrowserSession) -> Result<HeaderValue> {
        let max_age = session.created_at.until(session.ends_at);
        SESSION_COOKIE
            .set(&self.public_url, text, max_age)
            .ok_or_else(|| Problem::internal("the cookie is no header value"))
    }

    /// Returns the `Set-Cookie` that removes the cookie.
    ///
    /// # Errors
    /// None in practice: the value is constant.
    pub(crate) fn cleared_cookie(&self) -> Result<HeaderValue> {
        SESSION_COOKIE
            .clear(&self.public_url)
            .ok_or_else(|| Problem::internal("the cookie is no header value"))
    }

    /// Rejects a login of a page that is not on the machine itself, while the public URL is plain http.
    /// The cookie would have no protection there.
    ///
    /// # Errors
    /// 400, which names the remedy.
    pub(crate) fn require_protected_cookie(&self, headers: &HeaderMap) -> Result<()> {
        let origin = headers.get(header::ORIGIN).and_then(|origin| origin.to_str().ok());
        if self.public_url.is_secure() || origin.is_none_or(is_loopback_origin) {
            return Ok(());
        }
        let reason =
            "is not the origin of the service; the operator sets BERTH_PUBLIC_URL to the https URL";
        Err(Problem::invalid("Origin", reason))
    }
}
