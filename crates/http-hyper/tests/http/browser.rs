//! A browser: cookies of sessions, and the headers that browsers send with requests.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use bytes::Bytes;
use domain::{
    BrowserSession, BrowserSessionDigest, SignIn, Timestamp, ports::BrowserSessionStore,
    testing::World,
};
use http_hyper::{BrowserDependencies, PublicUrl};
use hyper::http::request;
use sha2::{Digest as _, Sha256};

use crate::{
    client::{ReceivedResponse, Version, ask, send},
    conformity::assert_documented,
    test_server::TestServer,
};

/// The origin of the service.
pub(crate) const ORIGIN: &str = "https://berth.test";
/// An origin whose pages may hand over a login.
pub(crate) const FRONTEND: &str = "https://app.test";
/// A time that no test reaches.
const NEVER: Timestamp = Timestamp::from_millis(4_000_000_000_000);

/// Returns the secret of a cookie.
fn secret(number: u8) -> String {
    URL_SAFE_NO_PAD.encode([number; 32])
}

/// Adds the credential of a caller. `browser` is the cookie of an admin of acme, `crosssite` the same
/// cookie in a request of another site, and `loggedout` the cookie of no session.
pub(crate) fn authorize(request: request::Builder, caller: &str) -> request::Builder {
    let (number, site) = match caller {
        "" => return request,
        "browser" => (1, "same-origin"),
        "crosssite" => (1, "cross-site"),
        "loggedout" => (2, "same-origin"),
        token => return request.header("authorization", format!("Bearer {token}")),
    };
    request
        .header("cookie", format!("__Host-berth={}", secret(number)))
        .header("sec-fetch-site", site)
}

/// Stores the session of the caller `browser`, whose use is never recorded.
pub(crate) async fn insert_session(world: &World) {
    let digest = BrowserSessionDigest(Sha256::digest([1; 32]).into());
    let SignIn { holder, organization, .. } = SignIn::of_caller(World::acme());
    let session = BrowserSession {
        digest,
        holder,
        organization,
        created_at: Timestamp::from_millis(0),
        last_used_at: NEVER,
        ends_at: NEVER,
        expires_at: NEVER,
    };
    world.memory.insert(&session, 20).await.unwrap();
}

/// Returns the dependencies of browser sessions over the stores of a world.
pub(crate) fn dependencies(world: &World) -> BrowserDependencies {
    BrowserDependencies {
        enabled: true,
        sessions: world.browser_sessions.clone(),
        public_url: PublicUrl::parse(ORIGIN).unwrap(),
        handover_origins: vec![FRONTEND.to_owned()],
        login_flow: None,
        login_secret: [10; 32],
    }
}

/// A browser with at most one cookie of a session.
pub(crate) struct Browser<'a> {
    pub(crate) server: &'a TestServer,
    /// Name and value.
    pub(crate) cookie: String,
}

impl<'a> Browser<'a> {
    /// Returns a browser that is not logged in.
    pub(crate) fn new(server: &'a TestServer) -> Self {
        Self { server, cookie: String::new() }
    }

    /// Returns a browser that is logged in with a credential.
    pub(crate) async fn logged_in(server: &'a TestServer, credential: &str) -> Self {
        let mut browser = Self::new(server);
        let answer = browser.log_in(credential).await;
        assert_eq!(answer.status, 204, "{answer:?}");
        browser
    }

    /// Logs in, and keeps the cookie.
    pub(crate) async fn log_in(&mut self, credential: &str) -> ReceivedResponse {
        let body = serde_json::json!({ "credential": credential }).to_string();
        let answer = self.send("POST", "/auth/session", &body).await;
        if answer.status == 204 {
            self.keep_cookie(&answer);
        }
        answer
    }

    /// Keeps the cookie that a response sets.
    pub(crate) fn keep_cookie(&mut self, answer: &ReceivedResponse) {
        let set = answer.header("set-cookie").split(';').next().unwrap();
        set.clone_into(&mut self.cookie);
    }

    /// Sends a request as a page of the service.
    pub(crate) async fn send(&self, method: &str, path: &str, body: &str) -> ReceivedResponse {
        self.send_as(method, path, body, &[("sec-fetch-site", "same-origin")]).await
    }

    /// Sends a request with the cookie and these headers.
    pub(crate) async fn send_as(
        &self,
        method: &str,
        path: &str,
        body: &str,
        headers: &[(&str, &str)],
    ) -> ReceivedResponse {
        let mut request = ask(method, path);
        if !self.cookie.is_empty() {
            request = request.header("cookie", &self.cookie);
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if !body.is_empty() && !headers.iter().any(|(name, _)| *name == "content-type") {
            request = request.header("content-type", "application/json");
        }
        if path.starts_with("/api/v1/events") {
            request = request.header("accept", "application/json");
        }
        let body = Bytes::from(body.to_owned());
        let answer = send(self.server.address, Version::One, request, body).await;
        assert_documented(method, path, &answer);
        answer
    }

    /// Returns the status of a request of a page of the service.
    pub(crate) async fn status(&self, method: &str, path: &str) -> u16 {
        self.send(method, path, "").await.status.as_u16()
    }
}
