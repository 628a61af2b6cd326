//! Login tokens that are good, and what they make of their holder.

use std::time::Duration;

use auth::Config;
use domain::{Actor, Capability, OrganizationId, Reach, UserId};
use jsonwebtoken::Algorithm;
use serde_json::json;

use crate::{
    signer::{Signer, claims, encode},
    world::{NOW, World, denied, inline, unavailable},
};

#[tokio::test]
async fn every_accepted_algorithm_lets_its_holder_in() {
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
        // Another's claims under a true signature.
        let token = signer.token(&claims());
        let signature = token.rsplit('.').next().unwrap();
        let other = signer.with_claims(json!({ "org_id": "zeta" }));
        let grafted = format!("{}.{signature}", other.rsplit_once('.').unwrap().0);
        assert_eq!(denied(world.bearer(&grafted).await), "the token's signature is wrong");
    }
}

#[tokio::test]
async fn time_is_read_from_the_environment_with_a_leeway_of_thirty_seconds() {
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
async fn times_with_fractions_are_numbers_and_null_is_absent() {
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
async fn token_that_names_no_key_is_tried_with_every_key_that_fits() {
    let (one, two) = (Signer::new(Algorithm::ES256, "k1"), Signer::new(Algorithm::ES256, "k2"));
    let other = Signer::new(Algorithm::EdDSA, "k3");
    let nameless = one.sign(r#"{"alg":"ES256"}"#, &claims().to_string());
    for keys in [
        vec![one.jwk(), other.jwk()],
        vec![one.bare_jwk()],
        vec![one.jwk(), two.jwk()],
        vec![two.jwk(), one.jwk()],
        vec![two.bare_jwk(), two.jwk(), one.bare_jwk()],
    ] {
        let world = World::with_keys(&keys).await;
        assert!(world.bearer(&nameless).await.is_ok(), "{keys:?}");
    }
    let world = World::with_keys(&[two.jwk()]).await;
    assert_eq!(denied(world.bearer(&nameless).await), "the token's signature is wrong");
    let world = World::with_keys(&[other.jwk()]).await;
    assert_eq!(denied(world.bearer(&nameless).await), "the token's key is unknown");
}

#[tokio::test]
async fn token_that_names_a_key_is_tried_with_all_of_that_name_and_with_the_nameless() {
    let [one, two, other] = ["k1", "k1", "k2"].map(|id| Signer::new(Algorithm::EdDSA, id));
    let world = World::with_keys(&[one.jwk(), two.jwk(), other.bare_jwk()]).await;
    for signer in [&one, &two, &other] {
        assert!(world.bearer(&signer.token(&claims())).await.is_ok());
    }
    // Another's key is not tried, whoever signed.
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
async fn keys_of_one_name_are_told_apart_by_what_they_are_for() {
    let (ed, ec) = (Signer::new(Algorithm::EdDSA, "k1"), Signer::new(Algorithm::ES256, "k1"));
    let world = World::with_keys(&[ed.jwk(), ec.jwk()]).await;
    assert!(world.bearer(&ed.token(&claims())).await.is_ok());
    assert!(world.bearer(&ec.token(&claims())).await.is_ok());
}

#[tokio::test]
async fn issuer_and_audience_are_asked_for_only_when_configured() {
    let signer = Signer::new(Algorithm::EdDSA, "k1");
    let strict = Config {
        issuer: Some("https://id.example".into()),
        audience: Some("berth".into()),
        ..inline(&[signer.jwk()])
    };
    let (strict, open) = (World::new(strict).await, World::with_keys(&[signer.jwk()]).await);
    assert!(strict.bearer(&signer.token(&claims())).await.is_ok());
    let several = signer.with_claims(json!({ "aud": ["other", "berth"] }));
    assert!(strict.bearer(&several).await.is_ok());
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
async fn the_header_of_an_access_token_is_as_good_and_places_to_find_keys_are_ignored() {
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

/// Whatever a token points at, nobody goes there: not for one that is good, nor for one that is not.
#[tokio::test]
async fn no_address_in_a_token_is_ever_asked() {
    let (signer, forger) =
        (Signer::new(Algorithm::EdDSA, "k1"), Signer::new(Algorithm::EdDSA, "k2"));
    let bait = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = bait.local_addr().unwrap();
    let url = format!("http://{address}/jwks");
    // With a set that is fetched, so that there is somebody who could be sent.
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
    assert!(known.is_ok(), "and it does no harm to point");
    // Connections are taken in the order they come: were there any, ours would not be the first.
    let ours = tokio::net::TcpStream::connect(address).await.unwrap();
    let (_, first) = bait.accept().await.unwrap();
    assert_eq!(first, ours.local_addr().unwrap(), "somebody was here before");
}

#[tokio::test]
async fn without_a_key_set_configured_a_login_token_is_denied() {
    let world = World::new(Config::default()).await;
    assert!(world.jwt.is_none());
    let token = Signer::new(Algorithm::EdDSA, "k1").token(&claims());
    let cause = denied(world.bearer(&token).await);
    assert_eq!(cause, "a login token, but no key set is configured");
}

#[tokio::test]
async fn an_api_key_header_takes_no_login_token() {
    let signer = Signer::new(Algorithm::EdDSA, "k1");
    let world = World::with_keys(&[signer.jwk()]).await;
    assert_eq!(denied(world.api_key(&signer.token(&claims())).await), "malformed API key");
}

#[tokio::test]
async fn only_what_looks_like_a_login_token_waits_for_a_key_set() {
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
