//! The issuer's key set over time: rotation, withdrawal, outage, and tokens of unknown keys that
//! cause fetches.

use std::{sync::Arc, time::Duration};

use auth::Config;
use futures_util::future::join_all;
use jsonwebtoken::Algorithm;
use serde_json::{Value, json};

use crate::{
    issuer::Issuer,
    signer::{Signer, claims, encode},
    world::{World, denied, inline, unavailable, until},
};

const UNKNOWN: &str = "the token's key is unknown";
const COOL_DOWN: Duration = Duration::from_secs(30);

fn signer(id: &str) -> Signer {
    Signer::new(Algorithm::EdDSA, id)
}

/// Returns an authenticator whose key set is loaded.
async fn loaded(config: Config) -> World {
    let world = World::new(config).await;
    let jwt = world.jwt.clone().unwrap();
    until("a key set is loaded", || async { jwt.is_ready() }).await;
    world
}

#[tokio::test]
async fn new_key_is_fetched_at_its_first_token_and_withdrawn_key_is_refused() {
    let (old, new) = (signer("old"), signer("new"));
    let issuer = Issuer::new(&[old.jwk()]).await;
    let world = loaded(issuer.config()).await;
    assert!(world.bearer(&old.token(&claims())).await.is_ok());
    assert_eq!(issuer.fetches(), 1);

    issuer.publish(&[new.jwk()]);
    assert!(
        world.bearer(&old.token(&claims())).await.is_ok(),
        "tokens of known keys cause no fetch"
    );
    assert_eq!(issuer.fetches(), 1);
    assert!(world.bearer(&new.token(&claims())).await.is_ok());
    assert_eq!(issuer.fetches(), 2);
    assert_eq!(denied(world.bearer(&old.token(&claims())).await), UNKNOWN);
}

#[tokio::test]
async fn five_hundred_unknown_key_ids_cause_one_fetch() {
    let known = signer("known");
    let issuer = Issuer::new(&[known.jwk()]).await;
    let world = loaded(issuer.config()).await;
    let tokens: Vec<_> =
        (0..500).map(|n| known.with_header(json!({ "kid": format!("unknown-{n}") }))).collect();
    let answers = join_all(tokens.iter().map(|token| world.bearer(token))).await;
    for answer in answers {
        assert_eq!(denied(answer), UNKNOWN);
    }
    for token in &tokens {
        denied(world.bearer(token).await);
    }
    assert_eq!(issuer.fetches(), 2, "one fetch at start, one for all tokens");

    world.clock.advance(COOL_DOWN);
    join_all(tokens.iter().map(|token| world.bearer(token))).await;
    assert_eq!(issuer.fetches(), 3, "one more fetch after the cool-down");
}

#[tokio::test]
async fn new_key_under_an_old_id_is_fetched_at_its_first_token() {
    for algorithm in [Algorithm::EdDSA, Algorithm::ES256] {
        let (old, new) = (signer("k1"), Signer::new(algorithm, "k1"));
        let issuer = Issuer::new(&[old.jwk()]).await;
        let world = loaded(issuer.config()).await;
        assert!(world.bearer(&old.token(&claims())).await.is_ok());
        issuer.publish(&[new.jwk()]);
        assert!(world.bearer(&new.token(&claims())).await.is_ok(), "{algorithm:?}");
        assert_eq!(issuer.fetches(), 2);
        denied(world.bearer(&old.token(&claims())).await);
        assert_eq!(issuer.fetches(), 2, "the cool-down is the same for all causes");
    }
}

#[tokio::test]
async fn five_hundred_forged_signatures_cause_one_fetch_and_delay_no_valid_token() {
    let (known, forger) = (signer("known"), signer("known"));
    let issuer = Issuer::new(&[known.jwk()]).await;
    let max_wait = Duration::from_mins(10);
    let world = loaded(Config { max_wait, ..issuer.config() }).await;
    let tokens: Vec<_> =
        (0..500).map(|n| forger.with_claims(json!({ "sub": format!("{n}") }))).collect();
    issuer.hold(true);
    let requests = join_all(tokens.iter().map(|token| world.bearer(token)));
    let meanwhile = async {
        until("the fetch is under way", || async { issuer.fetches() == 2 }).await;
        for n in 0..100 {
            let token = known.with_claims(json!({ "sub": format!("{n}") }));
            assert!(world.bearer(&token).await.is_ok());
        }
        issuer.hold(false);
    };
    let (answers, ()) = tokio::join!(requests, meanwhile);
    for answer in answers {
        assert_eq!(denied(answer), "the token's signature is wrong");
    }
    for token in tokens.iter().chain([&forger.with_header(json!({ "kid": "unknown" }))]) {
        denied(world.bearer(token).await);
    }
    assert_eq!(issuer.fetches(), 2, "one fetch at start, one for all tokens");
    world.clock.advance(COOL_DOWN);
    denied(world.bearer(&tokens[0]).await);
    assert_eq!(issuer.fetches(), 3, "one more fetch after the cool-down");
}

/// The tokens arrive together, before their key is loaded: at the start, and after a rotation.
#[tokio::test]
async fn concurrent_first_tokens_cause_one_fetch_and_all_are_accepted() {
    let (old, new) = (signer("old"), signer("new"));
    let issuer = Issuer::new(&[old.jwk()]).await;
    issuer.hold(true);
    let max_wait = Duration::from_mins(10);
    let world = World::new(Config { max_wait, ..issuer.config() }).await;
    let tokens_of = |signer: &Signer| -> Vec<_> {
        (0..300).map(|n| signer.with_claims(json!({ "sub": format!("user-{n}") }))).collect()
    };
    for (signer, fetches) in [(&old, 1), (&new, 2)] {
        let tokens = tokens_of(signer);
        let release = async {
            until("the fetch is under way", || async { issuer.fetches() == fetches }).await;
            issuer.hold(false);
        };
        let (answers, ()) = tokio::join!(join_all(tokens.iter().map(|t| world.bearer(t))), release);
        for (answer, token) in answers.into_iter().zip(&tokens) {
            assert!(answer.is_ok(), "{token}");
        }
        assert_eq!(issuer.fetches(), fetches);
        issuer.publish(&[new.jwk()]);
        issuer.hold(true);
    }
    issuer.hold(false);
}

#[tokio::test]
async fn key_published_during_the_cool_down_is_fetched_after_it() {
    let (old, new) = (signer("old"), signer("new"));
    let issuer = Issuer::new(&[old.jwk()]).await;
    let world = loaded(issuer.config()).await;
    denied(world.bearer(&new.token(&claims())).await);
    issuer.publish(&[old.jwk(), new.jwk()]);
    world.clock.advance(Duration::from_millis(29_999));
    assert_eq!(denied(world.bearer(&new.token(&claims())).await), UNKNOWN);
    world.clock.advance(Duration::from_millis(1));
    assert!(world.bearer(&new.token(&claims())).await.is_ok());
    assert_eq!(issuer.fetches(), 3);
}

#[tokio::test]
async fn token_of_a_known_key_does_not_wait_for_a_slow_issuer() {
    let known = signer("known");
    let issuer = Issuer::new(&[known.jwk()]).await;
    let max_wait = Duration::from_mins(10);
    let fetch_timeout = Duration::from_mins(10);
    let world = Arc::new(loaded(Config { max_wait, fetch_timeout, ..issuer.config() }).await);
    issuer.hold(true);
    let waiting = {
        let (world, token) = (Arc::clone(&world), signer("unknown").token(&claims()));
        tokio::spawn(async move { world.bearer(&token).await })
    };
    until("the fetch is under way", || async { issuer.fetches() == 2 }).await;
    for _ in 0..100 {
        assert!(world.bearer(&known.token(&claims())).await.is_ok());
    }
    assert!(!waiting.is_finished(), "the token of the unknown key did not wait for the issuer");
    issuer.hold(false);
    assert_eq!(denied(waiting.await.unwrap()), UNKNOWN);
}

#[tokio::test]
async fn token_of_an_unknown_key_waits_at_most_max_wait() {
    let known = signer("known");
    let issuer = Issuer::new(&[known.jwk()]).await;
    let (max_wait, fetch_timeout) = (Duration::from_millis(50), Duration::from_mins(10));
    let world = loaded(Config { max_wait, fetch_timeout, ..issuer.config() }).await;
    issuer.hold(true);
    // The issuer does not answer meanwhile, so `max_wait` alone ends the request.
    let token = signer("unknown").token(&claims());
    let answer = tokio::time::timeout(Duration::from_secs(20), world.bearer(&token)).await;
    assert_eq!(denied(answer.unwrap()), UNKNOWN);
    issuer.hold(false);
}

#[tokio::test]
async fn last_good_set_stays_in_use_during_an_outage_until_it_is_too_old() {
    let known = signer("known");
    let issuer = Issuer::new(&[known.jwk()]).await;
    let world = loaded(issuer.config()).await;
    let ever = known.with_claims(json!({ "exp": 4_000_000_000_i64 }));
    for (status, body) in [
        ("503 Service Unavailable", ""),
        ("200 OK", "<html>"),
        ("200 OK", "{\"keys\":{}}"),
        ("302 Found\r\nlocation: http://127.0.0.1:9/", ""),
        ("200 OK", &" ".repeat(600 * 1024)),
    ] {
        issuer.answer(status, body);
        world.clock.advance(COOL_DOWN);
        let before = issuer.fetches();
        denied(world.bearer(&signer("unknown").token(&claims())).await);
        assert_eq!(issuer.fetches(), before + 1, "{status}");
        assert!(world.bearer(&ever).await.is_ok(), "{status}");
    }
    issuer.answer("503 Service Unavailable", "");
    world.clock.advance(Duration::from_secs(24 * 3600 - 5 * 30));
    assert!(world.bearer(&ever).await.is_ok());
    world.clock.advance(Duration::from_millis(1));
    unavailable(world.bearer(&ever).await);
    assert!(!world.jwt.as_ref().unwrap().is_ready());

    issuer.publish(&[known.jwk()]);
    world.clock.advance(COOL_DOWN);
    assert!(world.bearer(&ever).await.is_ok(), "recovers without a restart");
}

#[tokio::test]
async fn withdrawal_of_all_keys_takes_effect() {
    let known = signer("known");
    let issuer = Issuer::new(&[known.jwk()]).await;
    let world = loaded(issuer.config()).await;
    issuer.publish(&[]);
    denied(world.bearer(&signer("unknown").token(&claims())).await);
    assert_eq!(denied(world.bearer(&known.token(&claims())).await), UNKNOWN);
}

#[tokio::test]
async fn login_token_is_unavailable_before_the_first_key_set() {
    let known = signer("known");
    let issuer = Issuer::new(&[]).await;
    let world = World::new(issuer.config()).await;
    unavailable(world.bearer(&known.token(&claims())).await);
    assert!(!world.jwt.as_ref().unwrap().is_ready(), "a set without a usable key is not loaded");
    issuer.publish(&[known.jwk()]);
    world.clock.advance(COOL_DOWN);
    assert!(world.bearer(&known.token(&claims())).await.is_ok());
}

#[tokio::test]
async fn request_before_the_first_key_set_waits_for_it() {
    let known = signer("known");
    let issuer = Issuer::new(&[known.jwk()]).await;
    issuer.hold(true);
    let max_wait = Duration::from_mins(10);
    let world = World::new(Config { max_wait, ..issuer.config() }).await;
    let token = known.token(&claims());
    let answer = async {
        until("the first fetch is under way", || async { issuer.fetches() == 1 }).await;
        issuer.hold(false);
    };
    let (caller, ()) = tokio::join!(world.bearer(&token), answer);
    assert!(caller.is_ok());
    assert_eq!(issuer.fetches(), 1);
}

#[tokio::test]
async fn set_is_refreshed_in_the_background() {
    let (old, new) = (signer("old"), signer("new"));
    let issuer = Issuer::new(&[old.jwk()]).await;
    let refresh_interval = Duration::from_millis(10);
    let world = loaded(Config { refresh_interval, ..issuer.config() }).await;
    issuer.publish(&[new.jwk()]);
    // No token of an unknown key arrives, so the refresh interval alone causes the fetch.
    let token = old.token(&claims());
    until("the old key is gone", || async { world.bearer(&token).await.is_err() }).await;
    assert!(world.bearer(&new.token(&claims())).await.is_ok());
}

#[tokio::test]
async fn refresher_ends_when_the_verifier_is_dropped() {
    let known = signer("known");
    let issuer = Issuer::new(&[known.jwk()]).await;
    let world =
        loaded(Config { refresh_interval: Duration::from_millis(1), ..issuer.config() }).await;
    let watched = Arc::downgrade(world.jwt.as_ref().unwrap());
    let clock = Arc::clone(&world.clock);
    drop(world);
    assert!(watched.upgrade().is_none());
    // The refresher holds the clock as well.
    until("the task is gone", || async { Arc::strong_count(&clock) == 1 }).await;
}

#[tokio::test]
async fn changed_file_is_read_again_and_a_broken_file_is_ignored() {
    let (old, new) = (signer("old"), signer("new"));
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("keys.json");
    std::fs::write(&path, json!({ "keys": [old.jwk()] }).to_string()).unwrap();
    let jwks = Some(auth::Source::parse(path.to_str().unwrap(), false).unwrap());
    let refresh_interval = Duration::from_millis(10);
    let world = World::new(Config { jwks, refresh_interval, ..Config::default() }).await;
    assert!(world.bearer(&old.token(&claims())).await.is_ok(), "loaded at the start");

    std::fs::write(&path, "{\"keys\":").unwrap();
    world.clock.advance(COOL_DOWN);
    denied(world.bearer(&new.token(&claims())).await);
    assert!(world.bearer(&old.token(&claims())).await.is_ok());

    std::fs::write(&path, json!({ "keys": [new.jwk()] }).to_string()).unwrap();
    let token = new.token(&claims());
    until("the new key is known", || async { world.bearer(&token).await.is_ok() }).await;
    assert_eq!(denied(world.bearer(&old.token(&claims())).await), UNKNOWN);
}

/// A set of unsupported keys with one usable key.
#[tokio::test]
async fn unsupported_weak_and_malformed_keys_are_ignored() {
    let good = signer("good");
    let (rsa, ec) = (Signer::new(Algorithm::RS256, "rsa"), Signer::new(Algorithm::ES256, "ec"));
    let changed = |signer: &Signer, member: &str, value: Value| {
        let mut jwk = signer.jwk();
        jwk[member] = value;
        jwk
    };
    let weak = encode([[0xc3].as_slice(), &[0x55; 126], &[1]].concat());
    let keys = [
        json!("not an object"),
        json!(7),
        json!({}),
        json!({ "kty": "AKP", "alg": "ML-DSA-44", "kid": "pq", "pub": "AA" }),
        json!({ "kty": "OKP", "crv": "X25519", "use": "enc", "kid": "x", "x": encode([7; 32]) }),
        json!({ "kty": "oct", "kid": "shared", "k": encode("secret"), "alg": "HS256" }),
        json!({ "kty": "RSA", "kid": "weak", "n": weak, "e": "AQAB" }),
        json!({ "kty": "RSA", "kid": "incomplete", "n": rsa.bare_jwk()["n"] }),
        changed(&rsa, "e", json!("AQ")),
        changed(&rsa, "e", json!("Ag")),
        changed(&rsa, "alg", json!("RS512")),
        changed(&rsa, "alg", json!("RSA-OAEP")),
        changed(&rsa, "alg", json!("ES256")),
        changed(&rsa, "use", json!("enc")),
        changed(&rsa, "key_ops", json!(["sign"])),
        changed(&rsa, "kid", json!(7)),
        changed(&rsa, "n", json!("not base64!")),
        changed(&ec, "crv", json!("P-384")),
        changed(&ec, "crv", json!("secp256k1")),
        changed(&ec, "x", json!("AA")),
        good.jwk(),
    ];
    let world = World::with_keys(&keys).await;
    assert!(world.bearer(&good.token(&claims())).await.is_ok());
    for signer in [&rsa, &ec] {
        assert_eq!(denied(world.bearer(&signer.token(&claims())).await), UNKNOWN, "{}", signer.id);
    }
    for kid in ["pq", "x", "shared", "weak", "incomplete"] {
        let token = good.with_header(json!({ "kid": kid }));
        assert_eq!(denied(world.bearer(&token).await), UNKNOWN, "{kid}");
    }
}

/// RFC 8725, section 3.4: with a point that is not on the curve, other implementations can leak a
/// private key. Here such a key is ignored.
#[tokio::test]
async fn key_off_its_curve_or_too_large_verifies_no_token() {
    let (ec, rsa) = (Signer::new(Algorithm::ES256, "ec"), Signer::new(Algorithm::RS256, "rsa"));
    for (member, value) in
        [("y", encode([1; 32])), ("x", encode([0; 32])), ("x", encode([0xff; 32]))]
    {
        let mut jwk = ec.jwk();
        jwk[member] = json!(value);
        let world = World::with_keys(&[jwk, signer("other").jwk()]).await;
        assert_ne!(denied(world.bearer(&ec.token(&claims())).await), "", "{member} {value}");
    }
    let mut jwk = rsa.jwk();
    jwk["n"] = json!(encode([vec![0xff; 1025], vec![1]].concat()));
    let world = World::with_keys(&[jwk, signer("other").jwk()]).await;
    assert_eq!(denied(world.bearer(&rsa.token(&claims())).await), UNKNOWN);
}

#[tokio::test]
async fn key_is_used_for_its_stated_algorithm_only() {
    let signer = Signer::new(Algorithm::RS256, "k1");
    let mut jwk = signer.jwk();
    jwk["alg"] = json!("PS256");
    let world = World::new(inline(&[jwk])).await;
    let cause = denied(world.bearer(&signer.token(&claims())).await);
    assert_eq!(cause, "the token's algorithm does not fit the key");
}

#[tokio::test]
async fn rsa_key_with_a_leading_sign_byte_is_accepted() {
    let signer = Signer::new(Algorithm::RS256, "k1");
    let mut jwk = signer.jwk();
    // Three bytes, so that the base64 text can be prepended.
    jwk["n"] = json!(format!("AAAA{}", jwk["n"].as_str().unwrap()));
    let world = World::with_keys(&[jwk]).await;
    assert!(world.bearer(&signer.token(&claims())).await.is_ok());
}
