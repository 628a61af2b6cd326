//! Valid login tokens and the callers that they give.

use std::time::Duration;

use auth::Config;
use domain::{Actor, Capability, OrganizationId, Reach, Timestamp, UserId};
use jsonwebtoken::Algorithm;
use serde_json::json;

use crate::{
    signer::{Signer, claims, encode},
    world::{NOW, World, denied, inline, unavailable},
};

#[tokio::test]
async fn every_supported_algorithm_is_accepted() {
    for algorithm in
        [Algorithm::RS256, Algorithm::PS256, Algorithm::ES256, Algorithm::ES384, Algorithm::EdDSA]
    {
        let signer = Signer::new(algorithm, "k1");
        for jwk in [signer.jwk(), {
            let mut jwk = signer.bare_jwk();
            jwk["kid"] = json!("k1");
            jwk
        }] {
            let world = World::with_keys(&[jwk]).await;
            let caller = world.bearer(&signer.token(&claims())).await.unwrap();
            assert_eq!(caller.actor, Actor::User(UserId::parse("user-1")), "{algorithm:?}");
            assert_eq!(caller.organization, OrganizationId::parse("acme"));
            assert!(caller.capabilities.contains(Capability::Manage));
            assert_eq!(caller.reach, Reach::Everything);
            assert!(!caller.platform_admin);
            let expiry =
                claims()["exp"].as_i64().map(|seconds| Timestamp::from_millis(seconds * 1000));
            assert!(expiry.is_some() && caller.expires_at == expiry);
        }
    }
}

#[tokio::test]
async fn every_algorithm_refuses_a_forged_signature() {
    for algorithm in
        [Algorithm::RS256, Algorithm::PS256, Algorithm::ES256, Algorithm::ES384, Algorithm::EdDSA]
    {
        let (signer, forger) = (Signer::new(algorithm, "k1"), Signer::new(algorithm, "k1"));
        let world = World::with_keys(&[signer.jwk()]).await;
        assert_eq!(
            denied(world.bearer(&forger.token(&claims())).await),
            "the token's signature is wrong",
            "{algorithm:?}"
        );
        // The claims of one token with the valid signature of another token.
        let token = signer.token(&claims());
        let signature = token.rsplit('.').next().unwrap();
        let other = signer.with_claims(json!({ "org_id": "zeta" }));
        let grafted = format!("{}.{signature}", other.rsplit_once('.').unwrap().0);
        assert_eq!(denied(world.bearer(&grafted).await), "the token's signature is wrong");
    }
}

#[tokio::test]
async fn leeway_is_thirty_seconds_by_the_environments_clock() {
    let signer = Signer::new(Algorithm::EdDSA, "k1");
    let world = World::with_keys(&[signer.jwk()]).await;
    let token = signer.token(&claims());
    world.clock.advance(Duration::from_millis(329_999));
    assert!(world.bearer(&token).await.is_ok());
    world.clock.advance(Duration::from_millis(1));
    assert_eq!(denied(world.bearer(&token).await), "the token has expired");

    let world = World::with_keys(&[signer.jwk()]).await;
    let token = signer.with_claims(json!({ "nbf": NOW + 31 }));
    assert_eq!(denied(world.bearer(&token).await), "the token is not valid yet");
    world.clock.advance(Duration::from_secs(1));
    assert!(world.bearer(&token).await.is_ok());
}

#[tokio::test]
async fn times_may_have_fractions_and_null_counts_as_absent() {
    let signer = Signer::new(Algorithm::EdDSA, "k1");
    let world = World::with_keys(&[signer.jwk()]).await;
    let raw = |claims: String| signer.sign(&signer.header().to_string(), &claims);
    let tokens = [
        raw(format!(r#"{{"exp":{NOW}.25,"nbf":{NOW}.125,"iat":0.5}}"#)),
        raw(format!(r#"{{"exp":{NOW}.25,"nbf":null,"iat":null,"iss":null,"aud":null}}"#)),
    ];
    for token in &tokens {
        assert!(world.bearer(token).await.is_ok(), "{token}");
    }
    for good in ["1900000000.5", "1900000000.0", "19e8", "253402300799.0"] {
        let token = raw(format!(r#"{{"exp":{good}}}"#));
        assert!(world.bearer(&token).await.is_ok(), "{good}");
    }
    world.clock.advance(Duration::from_millis(30_249));
    for token in &tokens {
        assert!(world.bearer(token).await.is_ok(), "{token}");
    }
    world.clock.advance(Duration::from_millis(1));
    for token in &tokens {
        assert_eq!(denied(world.bearer(token).await), "the token has expired");
    }
}

#[tokio::test]
async fn token_without_a_key_id_is_tried_with_every_key_of_its_algorithm() {
    let (one, two) = (Signer::new(Algorithm::ES256, "k1"), Signer::new(Algorithm::ES256, "k2"));
    let other = Signer::new(Algorithm::EdDSA, "k3");
    let without_id = one.sign(r#"{"alg":"ES256"}"#, &claims().to_string());
    for keys in [
        vec![one.jwk(), other.jwk()],
        vec![one.bare_jwk()],
        vec![one.jwk(), two.jwk()],
        vec![two.jwk(), one.jwk()],
        vec![two.bare_jwk(), two.jwk(), one.bare_jwk()],
    ] {
        let world = World::with_keys(&keys).await;
        assert!(world.bearer(&without_id).await.is_ok(), "{keys:?}");
    }
    let world = World::with_keys(&[two.jwk()]).await;
    assert_eq!(denied(world.bearer(&without_id).await), "the token's signature is wrong");
    let world = World::with_keys(&[other.jwk()]).await;
    assert_eq!(denied(world.bearer(&without_id).await), "the token's key is unknown");
}

#[tokio::test]
async fn token_with_a_key_id_is_tried_with_all_keys_of_that_id_and_all_without_an_id() {
    let [one, two, other] = ["k1", "k1", "k2"].map(|id| Signer::new(Algorithm::EdDSA, id));
    let world = World::with_keys(&[one.jwk(), two.jwk(), other.bare_jwk()]).await;
    for signer in [&one, &two, &other] {
        assert!(world.bearer(&signer.token(&claims())).await.is_ok());
    }
    // Keys of another id are not tried, even if one of them signed the token.
    let misnamed = one.with_header(json!({ "kid": "k2" }));
    assert_eq!(denied(world.bearer(&misnamed).await), "the token's signature is wrong");
    let world = World::with_keys(&[one.jwk(), Signer::new(Algorithm::EdDSA, "k2").jwk()]).await;
    assert_eq!(denied(world.bearer(&misnamed).await), "the token's signature is wrong");
    let unknown = one.with_header(json!({ "kid": "k3" }));
    assert_eq!(denied(world.bearer(&unknown).await), "the token's key is unknown");
}

#[tokio::test]
async fn token_is_tried_with_sixteen_keys_at_most() {
    let signers: Vec<_> = (0..17).map(|_| Signer::new(Algorithm::EdDSA, "k1")).collect();
    let keys: Vec<_> = signers.iter().map(Signer::jwk).collect();
    let world = World::with_keys(&keys).await;
    assert!(world.bearer(&signers[15].token(&claims())).await.is_ok());
    let cause = denied(world.bearer(&signers[16].token(&claims())).await);
    assert_eq!(cause, "the token's signature is wrong");
}

#[tokio::test]
async fn keys_of_one_id_are_distinguished_by_algorithm() {
    let (ed, ec) = (Signer::new(Algorithm::EdDSA, "k1"), Signer::new(Algorithm::ES256, "k1"));
    let world = World::with_keys(&[ed.jwk(), ec.jwk()]).await;
    assert!(world.bearer(&ed.token(&claims())).await.is_ok());
    assert!(world.bearer(&ec.token(&claims())).await.is_ok());
}

#[tokio::test]
async fn issuer_and_audience_are_checked_only_when_configured() {
    let signer = Signer::new(Algorithm::EdDSA, "k1");
    let strict = Config {
        issuer: Some("https://id.example".into()),
        audience: Some("berth".into()),
        ..inline(&[signer.jwk()])
    };
    let (strict, open) = (World::new(strict).await, World::with_keys(&[signer.jwk()]).await);
    assert!(strict.bearer(&signer.token(&claims())).await.is_ok());
    let two_audiences = signer.with_claims(json!({ "aud": ["other", "berth"] }));
    assert!(strict.bearer(&two_audiences).await.is_ok());
    for (more, cause) in [
        (json!({ "iss": "https://evil.example" }), "the token is of another issuer"),
        (json!({ "iss": "https://id.example/" }), "the token is of another issuer"),
        (json!({ "iss": null }), "the token is of another issuer"),
        (json!({ "aud": "other" }), "the token is for another audience"),
        (json!({ "aud": [] }), "the token is for another audience"),
        (json!({ "aud": ["berth-admin"] }), "the token is for another audience"),
        (json!({ "aud": null }), "the token is for another audience"),
    ] {
        let token = signer.with_claims(more.clone());
        assert_eq!(denied(strict.bearer(&token).await), cause, "{more}");
        assert!(open.bearer(&token).await.is_ok(), "{more}");
    }
}

#[tokio::test]
async fn access_token_headers_are_accepted_and_key_locations_are_ignored() {
    let signer = Signer::new(Algorithm::EdDSA, "k1");
    let world = World::with_keys(&[signer.jwk()]).await;
    for more in [
        json!({ "typ": "at+jwt" }),
        json!({ "typ": "application/at+JWT" }),
        json!({ "typ": "jwt" }),
        json!({ "jku": "https://evil.example/jwks", "x5u": "https://evil.example/x", "x5c": ["AA"] }),
        json!({ "jwk": Signer::new(Algorithm::EdDSA, "k1").jwk(), "custom": { "a": [1] } }),
    ] {
        assert!(world.bearer(&signer.with_header(more.clone())).await.is_ok(), "{more}");
    }
}

/// Addresses in a token are never contacted, whether the token is valid or not.
#[tokio::test]
async fn addresses_in_a_token_are_never_contacted() {
    let (signer, forger) =
        (Signer::new(Algorithm::EdDSA, "k1"), Signer::new(Algorithm::EdDSA, "k2"));
    let bait = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = bait.local_addr().unwrap();
    let url = format!("http://{address}/jwks");
    // With a fetched key set, so that a fetcher exists that could contact the address.
    let issuer = crate::issuer::Issuer::new(&[signer.jwk()]).await;
    let world = World::new(issuer.config()).await;
    for header in [
        json!({ "jku": url }),
        json!({ "x5u": url }),
        json!({ "jku": url, "kid": url }),
        json!({ "kid": url }),
        json!({ "jwk": { "kty": "OKP", "jku": url, "x5u": url } }),
        json!({ "x5c": [url], "x5t": url, "x5t#S256": url }),
        json!({ "iss": url, "jwks_uri": url, "url": url }),
    ] {
        for signer in [&signer, &forger] {
            let _ = world.bearer(&signer.with_header(header.clone())).await;
            let claims =
                json!({ "iss": url, "jku": url, "jwks_uri": url, "sub_jwk": { "jku": url } });
            let _ = world.bearer(&signer.with_claims(claims)).await;
        }
    }
    let known = world.bearer(&signer.with_header(json!({ "jku": url }))).await;
    assert!(known.is_ok(), "an ignored address does not invalidate a token");
    // The listener accepts connections in order: an earlier connection would be accepted first.
    let own = tokio::net::TcpStream::connect(address).await.unwrap();
    let (_, first) = bait.accept().await.unwrap();
    assert_eq!(first, own.local_addr().unwrap(), "the address was contacted before");
}

#[tokio::test]
async fn login_token_is_denied_without_a_configured_key_set() {
    let world = World::new(Config::default()).await;
    assert!(world.jwt.is_none());
    let token = Signer::new(Algorithm::EdDSA, "k1").token(&claims());
    let cause = denied(world.bearer(&token).await);
    assert_eq!(cause, "a login token, but no key set is configured");
}

#[tokio::test]
async fn login_token_in_the_api_key_header_is_denied() {
    let signer = Signer::new(Algorithm::EdDSA, "k1");
    let world = World::with_keys(&[signer.jwk()]).await;
    assert_eq!(denied(world.api_key(&signer.token(&claims())).await), "malformed API key");
}

#[tokio::test]
async fn only_well_formed_tokens_wait_for_a_key_set() {
    let signer = Signer::new(Algorithm::EdDSA, "k1");
    let issuer = crate::issuer::Issuer::new(&[]).await;
    issuer.answer("500 Internal Server Error", "");
    let world = World::new(issuer.config()).await;
    let hmac = format!("{}.{}.{}", encode(r#"{"alg":"HS256"}"#), encode("{}"), encode("x"));
    for garbage in ["", ".", "..", "abc", "a.b.c", "Basic dTpw", &hmac] {
        denied(world.bearer(garbage).await);
    }
    assert!(!world.jwt.as_ref().unwrap().is_ready());
    unavailable(world.bearer(&signer.token(&claims())).await);
}
