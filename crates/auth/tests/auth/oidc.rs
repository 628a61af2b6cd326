//! The code flow: discovery, the URL of the login, and the exchange of a code.

use std::{
    sync::{Arc, atomic::Ordering::SeqCst},
    time::Duration,
};

use auth::{ClaimPaths, OidcClient, OidcCode, OidcConfig, OidcConfigError, OidcRequest};
use aws_lc_rs::digest::{SHA256, digest};
use domain::{
    BrowserSessionHolder, Capability, OrganizationId, SignIn, Timestamp, ports::Refused,
    testing::TestEnvironment,
};
use jsonwebtoken::Algorithm;
use serde_json::{Value, json};

use crate::{
    oidc_issuer::OidcIssuer,
    signer::{Signer, encode},
    world::NOW,
};

const REDIRECT: &str = "https://berth.example/auth/callback";
const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";

struct Fixture {
    issuer: OidcIssuer,
    clock: Arc<TestEnvironment>,
    client: OidcClient,
}

fn config(issuer: &str, secret: Option<&str>) -> OidcConfig {
    OidcConfig {
        issuer: issuer.to_owned(),
        client_id: "berth app".to_owned(),
        client_secret: secret.map(str::to_owned),
        scopes: "openid organization".to_owned(),
        claims: ClaimPaths::default(),
        leeway: Duration::from_secs(30),
    }
}

impl Fixture {
    async fn new(secret: Option<&str>) -> Self {
        let issuer = OidcIssuer::new(Signer::new(Algorithm::ES256, "k1")).await;
        *issuer.state.challenge.lock().unwrap() = encode(digest(&SHA256, VERIFIER.as_bytes()));
        let clock = TestEnvironment::new();
        let client = OidcClient::new(config(&issuer.name(), secret), clock.clone()).unwrap();
        let fixture = Self { issuer, clock, client };
        fixture.claims(json!({ "nonce": "n-1", "sub": "u", "org_id": "acme", "role": "admin" }));
        fixture
    }

    fn claims(&self, claims: Value) {
        *self.issuer.state.claims.lock().unwrap() = claims;
    }

    async fn url(&self) -> Result<String, Refused> {
        let challenge = "ch";
        let (state, nonce) = ("s t&x", "n-1");
        self.client.url(&OidcRequest { redirect_uri: REDIRECT, state, nonce, challenge }).await
    }

    async fn redeem(&self) -> Result<SignIn, Refused> {
        let code = OidcCode {
            code: "good/code",
            redirect_uri: REDIRECT,
            verifier: VERIFIER,
            nonce: "n-1",
        };
        self.client.redeem(&code).await
    }
}

#[track_caller]
fn denied(answer: Result<SignIn, Refused>) -> &'static str {
    match answer {
        Err(Refused::Denied(cause)) => cause,
        other => panic!("not denied: {other:?}"),
    }
}

#[tokio::test]
async fn url_of_a_login_has_every_parameter() {
    let fixture = Fixture::new(None).await;
    let expected = format!(
        "{}/authorize?response_type=code&client_id=berth%20app\
         &redirect_uri=https%3A%2F%2Fberth.example%2Fauth%2Fcallback&scope=openid%20organization\
         &state=s%20t%26x&nonce=n-1&code_challenge=ch&code_challenge_method=S256",
        fixture.issuer.name()
    );
    assert_eq!(fixture.url().await.unwrap(), expected);
}

#[tokio::test]
async fn code_is_exchanged_for_the_login_of_the_id_token() {
    let fixture = Fixture::new(None).await;
    let sign_in = fixture.redeem().await.unwrap();
    assert_eq!(sign_in.organization.as_ref().map(OrganizationId::as_str), Some("acme"));
    assert_eq!(sign_in.expires_at, Some(Timestamp::from_millis((NOW + 300) * 1000)));
    let BrowserSessionHolder::Person(claims) = sign_in.holder else { panic!("no person") };
    assert_eq!(claims.user.unwrap().as_str(), "u");
    assert_eq!(claims.capabilities.iter().collect::<Vec<_>>(), Capability::ALL);
    assert_eq!(*fixture.issuer.state.client.lock().unwrap(), "", "a public client");
}

#[tokio::test]
async fn client_secret_is_sent_as_the_issuer_takes_it() {
    let fixture = Fixture::new(Some("s:e+c")).await;
    fixture.redeem().await.unwrap();
    // "berth%20app:s%3Ae%2Bc"
    let basic = "Basic YmVydGglMjBhcHA6cyUzQWUlMkJj";
    assert_eq!(*fixture.issuer.state.client.lock().unwrap(), basic);

    let fixture = Fixture::new(Some("s:e+c")).await;
    *fixture.issuer.state.discovery.lock().unwrap() =
        json!({ "token_endpoint_auth_methods_supported": ["client_secret_post"] });
    fixture.redeem().await.unwrap();
    assert_eq!(*fixture.issuer.state.client.lock().unwrap(), "body s:e+c");
}

#[tokio::test]
async fn id_token_of_another_login_client_or_time_is_refused() {
    let fixture = Fixture::new(None).await;
    for (claims, cause) in [
        (json!({ "sub": "u" }), "the ID token is of another login"),
        (json!({ "nonce": "n-2" }), "the ID token is of another login"),
        (json!({ "nonce": "n-1", "aud": "other" }), "the token is for another audience"),
        (json!({ "nonce": "n-1", "iss": "https://x" }), "the token is of another issuer"),
        (
            json!({ "nonce": "n-1", "aud": ["berth app", "x"], "azp": "x" }),
            "the ID token is for another client",
        ),
        (json!({ "nonce": "n-1", "exp": NOW - 31 }), "the token has expired"),
        (json!({ "nonce": "n-1", "org_id": 7 }), "the organization claim has an unknown form"),
    ] {
        fixture.claims(claims.clone());
        assert_eq!(denied(fixture.redeem().await), cause, "{claims}");
    }
    let aud = json!({ "nonce": "n-1", "aud": ["berth app", "x"], "azp": "berth app" });
    fixture.claims(aud);
    assert!(fixture.redeem().await.is_ok());
}

#[tokio::test]
async fn wrong_code_is_denied_and_a_broken_issuer_is_unavailable() {
    let fixture = Fixture::new(None).await;
    let good =
        OidcCode { code: "good/code", redirect_uri: REDIRECT, verifier: VERIFIER, nonce: "n-1" };
    for code in [
        OidcCode { code: "bad", ..good },
        OidcCode { verifier: "another", ..good },
        OidcCode { redirect_uri: "https://evil.example", ..good },
    ] {
        let answer = fixture.client.redeem(&code).await;
        assert_eq!(denied(answer), "the issuer refused the code of the login");
    }
    *fixture.issuer.state.failure.lock().unwrap() = Some("502 Bad Gateway");
    assert!(matches!(fixture.redeem().await, Err(Refused::Unavailable(_))));
    *fixture.issuer.state.failure.lock().unwrap() = Some("200 OK");
    assert_eq!(denied(fixture.redeem().await), "the issuer's answer has no ID token");
}

#[tokio::test]
async fn addresses_are_read_once_an_hour_and_outlast_an_outage() {
    let fixture = Fixture::new(None).await;
    let discoveries = || fixture.issuer.state.discoveries.load(SeqCst);
    for _ in 0..3 {
        fixture.url().await.unwrap();
    }
    assert_eq!(discoveries(), 1);
    fixture.clock.advance(Duration::from_hours(1));
    *fixture.issuer.state.discovery.lock().unwrap() = json!({ "issuer": "https://evil.example" });
    let url = fixture.url().await.unwrap();
    assert!(url.starts_with(&fixture.issuer.name()), "the addresses before");
    assert_eq!(discoveries(), 2);
}

#[tokio::test]
async fn document_of_another_issuer_is_not_used() {
    let fixture = Fixture::new(None).await;
    *fixture.issuer.state.discovery.lock().unwrap() = json!({ "issuer": "https://evil.example" });
    assert!(matches!(fixture.url().await, Err(Refused::Unavailable(_))));
    *fixture.issuer.state.discovery.lock().unwrap() = json!({});
    assert!(fixture.url().await.is_ok(), "the next login asks again");
}

#[tokio::test]
async fn issuer_over_plain_http_is_refused() {
    for issuer in ["http://id.example", "id.example", "{\"keys\":[]}", ""] {
        let client = OidcClient::new(config(issuer, None), TestEnvironment::new());
        assert!(matches!(client.err(), Some(OidcConfigError::Issuer(_))), "{issuer}");
    }
}
