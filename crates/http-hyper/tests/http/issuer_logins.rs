//! Logins at an issuer: the code flow with PKCE, from the link to the cookie.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use domain::{Capabilities, LoginClaims, SignIn, ports::Refused, testing::World};
use http_hyper::{
    Api, ApiDependencies, BrowserDependencies, Limits, LoginCode, LoginFlow, LoginRequest,
};
use serde_json::json;
use sha2::{Digest as _, Sha256};
use tokio_util::sync::CancellationToken;

use crate::{
    browser::{self, Browser},
    client::{ReceivedResponse, Version, ask, send},
    test_server::{TestServer, backing, listen},
};

/// An issuer that accepts the code `good` of the login that began last.
#[derive(Default)]
struct FakeIssuer {
    /// State, nonce and challenge.
    begun: Mutex<(String, String, String)>,
}

#[async_trait]
impl LoginFlow for FakeIssuer {
    async fn url(&self, request: &LoginRequest<'_>) -> Result<String, Refused> {
        assert_eq!(request.redirect_uri, "https://berth.test/auth/callback");
        let LoginRequest { state, nonce, challenge, .. } = *request;
        *self.begun.lock().unwrap() = (state.to_owned(), nonce.to_owned(), challenge.to_owned());
        Ok(format!("https://id.test/authorize?state={state}"))
    }

    async fn redeem(&self, code: &LoginCode<'_>) -> Result<SignIn, Refused> {
        let (_, nonce, challenge) = self.begun.lock().unwrap().clone();
        assert_eq!(code.nonce, nonce);
        assert_eq!(URL_SAFE_NO_PAD.encode(Sha256::digest(code.verifier)), challenge);
        match code.code {
            "good" => Ok(SignIn::of_caller(World::acme())),
            "homeless" => {
                let claims = LoginClaims {
                    user: None,
                    organizations: Vec::new(),
                    capabilities: Capabilities::of_role("admin"),
                    platform_admin: false,
                };
                Ok(SignIn::of_claims(claims, None))
            }
            "away" => Err(Refused::Unavailable("the issuer is on the moon".into())),
            _ => Err(Refused::Denied("no such code")),
        }
    }
}

struct Fixture {
    server: TestServer,
    issuer: Arc<FakeIssuer>,
    address: std::net::SocketAddr,
    _stop: CancellationToken,
}

impl Fixture {
    async fn new() -> Self {
        let (server, issuer) = (TestServer::open().await, Arc::<FakeIssuer>::default());
        let backing = backing(&server.world, &server.authenticator, &server.checks);
        let browser = BrowserDependencies {
            login_flow: Some(issuer.clone()),
            ..browser::dependencies(&server.world)
        };
        let api = Api::new(ApiDependencies { browser, ..backing });
        let (address, stop, _) = listen(api.public(Limits::default())).await;
        Self { server, issuer, address, _stop: stop }
    }

    /// Follows a link, with a cookie.
    async fn follow(&self, path: &str, cookie: &str) -> ReceivedResponse {
        let request =
            ask("GET", path).header("sec-fetch-site", "cross-site").header("cookie", cookie);
        send(self.address, Version::One, request, "").await
    }

    /// Begins a login; returns its cookie and its state.
    async fn begin(&self, page: &str) -> (String, String) {
        let answer = self.follow(&format!("/auth/login?return={page}"), "").await;
        assert_eq!(answer.status, 302, "{answer:?}");
        let state = self.issuer.begun.lock().unwrap().0.clone();
        assert_eq!(answer.header("location"), format!("https://id.test/authorize?state={state}"));
        let (cookie, attributes) = answer.header("set-cookie").split_once("; ").unwrap();
        assert_eq!(attributes, "Max-Age=600; Path=/; Secure; HttpOnly; SameSite=Lax");
        assert!(cookie.starts_with("__Host-berth-login="));
        assert!(!cookie.contains(&state), "sealed");
        (cookie.to_owned(), state)
    }

    async fn end(&self, query: &str, cookie: &str) -> ReceivedResponse {
        let answer = self.follow(&format!("/auth/callback?{query}"), cookie).await;
        assert_eq!(answer.status, 302, "{answer:?}");
        let cleared = "__Host-berth-login=; Max-Age=0; Path=/; Secure; HttpOnly; SameSite=Lax";
        let set: Vec<_> = answer.headers.get_all("set-cookie").iter().collect();
        assert_eq!(set.last().unwrap(), &cleared);
        answer
    }

    /// Ends a login that fails; returns the problem.
    async fn problem(&self, query: &str, cookie: &str) -> String {
        let answer = self.end(query, cookie).await;
        assert_eq!(answer.headers.get_all("set-cookie").iter().count(), 1, "no session");
        let page = answer.header("location").to_owned();
        page.strip_prefix("/ui/login?problem=").unwrap().to_owned()
    }
}

#[tokio::test]
async fn login_at_the_issuer_leads_to_a_session_and_the_page() {
    let fixture = Fixture::new().await;
    let (cookie, state) = fixture.begin("/ui/keys?x=1").await;
    let answer = fixture.end(&format!("code=good&state={state}&iss=x"), &cookie).await;
    assert_eq!(answer.header("location"), "/ui/keys?x=1");
    let mut browser = Browser::new(&fixture.server);
    browser.keep_cookie(&answer);
    let shown = browser.send("GET", "/auth/session", "").await.json();
    assert_eq!(shown["organization"], "acme-canary");
}

#[tokio::test]
async fn failed_login_says_why_and_begins_no_session() {
    let fixture = Fixture::new().await;
    for (code, problem) in [
        ("code=wrong", "token"),
        ("code=away", "issuer"),
        ("code=homeless", "no_organization"),
        ("error=access_denied", "denied"),
        ("error=access_denied&code=good", "denied"),
        ("", "denied"),
    ] {
        let (cookie, state) = fixture.begin("/ui/").await;
        let query = format!("{code}&state={state}");
        assert_eq!(fixture.problem(&query, &cookie).await, problem, "{code}");
    }
}

#[tokio::test]
async fn login_of_another_browser_is_refused() {
    let fixture = Fixture::new().await;
    let (cookie, state) = fixture.begin("/ui/").await;
    let (_, other_state) = fixture.begin("/ui/").await;
    for (query, cookie) in [
        (format!("code=good&state={state}"), String::new()),
        (format!("code=good&state={other_state}"), cookie.clone()),
        ("code=good&state=".to_owned(), cookie.clone()),
        ("code=good".to_owned(), cookie.clone()),
        (format!("code=good&state={state}"), format!("{cookie}A")),
        (format!("code=good&state={state}"), "__Host-berth-login=AAAA".to_owned()),
    ] {
        assert_eq!(fixture.problem(&query, &cookie).await, "state", "{query} {cookie}");
    }
    fixture.server.world.environment.advance(std::time::Duration::from_mins(10));
    let query = format!("code=good&state={state}");
    assert_eq!(fixture.problem(&query, &cookie).await, "expired");
}

#[tokio::test]
async fn return_to_another_site_is_refused() {
    let fixture = Fixture::new().await;
    for page in ["https://evil.test/", "//evil.test/ui/", "/api/v1/sessions", "/ui/../x"] {
        let answer = fixture.follow(&format!("/auth/login?return={page}"), "").await;
        assert_eq!((answer.status.as_u16(), answer.faults()), (400, vec!["return".to_owned()]));
    }
}

#[tokio::test]
async fn options_tell_whether_there_is_an_issuer() {
    let fixture = Fixture::new().await;
    let with = fixture.follow("/auth/options", "").await;
    assert_eq!(with.json(), json!({ "oidc": true, "publicUrl": "https://berth.test" }));
    let without = fixture.server.ask("", "GET", "/auth/options").await;
    assert_eq!(without.json(), json!({ "oidc": false, "publicUrl": "https://berth.test" }));
    for path in ["/auth/login", "/auth/callback?code=good&state=x"] {
        let answer = fixture.server.ask("", "GET", path).await;
        assert_eq!((answer.status.as_u16(), answer.code().as_str()), (404, "not_found"), "{path}");
    }
}
