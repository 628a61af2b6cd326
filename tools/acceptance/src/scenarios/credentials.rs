//! Login tokens and keys: who is let in, and as whom.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use testbed::{
    client::{Api, Credential},
    issuer::{Issuer, Token},
    sessions::{Owned, SESSIONS, list, path},
    stack::Stack,
    wait,
};

use super::{A, B, Pair};
use crate::suite::Suite;

pub(super) fn run(suite: &mut Suite<'_>, stack: &mut Stack, pair: &Pair, issuer: &Issuer) {
    suite.run_on(stack, "a login token and a key of one organization see the same", |stack| {
        let session = Owned::create(&pair.a, "seen by both")?;
        same_sessions(&pair.a, &stack.api.asked_by(Some(Token::of(A, "admin").sign())))?;
        let stranger = stack.api.asked_by(Some(Token::of(B, "owner").sign()));
        stranger.get(&path(&session.id))?.expect_error(404, "not_found")?;
        session.delete()
    });
    suite.run_on(stack, "a person is known as the maker of a session", |stack| {
        let person = stack.api.asked_by(Some(Token::of(A, "owner").sign()));
        let session = Owned::create(&person, "hers")?;
        ensure!(session.view()?["createdByUserId"] == "user-1", "{}", session.view()?);
        session.delete()
    });
    suite.run_on(stack, "a role that may not manage is forbidden", |stack| {
        for token in [
            Token::of(A, "member"),
            Token::of(A, "visitor"),
            Token::of(A, "admin").with("role", Value::Null),
            Token::of(A, "admin").with("org_id", Value::Null),
            Token::of(A, "none").with("platform_role", json!("super_admin")),
        ] {
            let caller = stack.api.asked_by(Some(token.sign()));
            caller
                .get(SESSIONS)?
                .expect_error(403, "forbidden")
                .with_context(|| format!("{token:?}"))?;
        }
        Ok(())
    });
    suite.run_on(
        stack,
        "the platform's own people see every organization, others their own",
        |stack| reading_back(stack, pair),
    );
    suite.run_on(stack, "a token that is not good is no credential", |stack| bad_tokens(stack));
    suite.run_on(stack, "unknown signing keys do not make a crowd at the issuer", |stack| {
        let before = issuer.fetched();
        let caller = stack.api.asked_by(Some(Token::of(A, "admin").by_unknown_key().sign()));
        for _ in 0..30 {
            caller.get(SESSIONS)?.expect_error(401, "unauthorized")?;
        }
        let fetched = issuer.fetched() - before;
        ensure!(fetched <= 3, "30 requests caused {fetched} fetches");
        Ok(())
    });
    suite.run_on(stack, "a key is listed without its secret, and refused once revoked", |stack| {
        keys(stack, pair)
    });
}

/// Two credentials of one organization see the same.
pub(super) fn same_sessions(one: &Api, other: &Api) -> Result<()> {
    ensure!(list(one)? == list(other)?, "they see different sessions");
    Ok(())
}

fn reading_back(stack: &Stack, pair: &Pair) -> Result<()> {
    let (a, b) = (Owned::create(&pair.a, "of A")?, Owned::create(&pair.b, "of B")?);
    let nobody = Token::of(A, "none").with("org_id", Value::Null);
    let platform = nobody.with("platform_role", json!("super_admin"));
    let platform = stack.api.asked_by(Some(platform.sign()));
    let ids = |path: &str, caller: &Api| -> Result<Vec<String>> {
        let data = caller.get(path)?.expect(200)?.json()["data"].clone();
        let id = |thing: &Value| thing["id"].as_str().map(str::to_owned);
        Ok(data.as_array().context("a list")?.iter().filter_map(id).collect())
    };
    let every = ids("/api/v1/admin/sessions", &platform)?;
    ensure!(every[..2] == [b.id.clone(), a.id.clone()], "not the newest of all: {every:?}");
    let of_b = ids(&format!("/api/v1/admin/sessions?organizationId={B}"), &platform)?;
    ensure!(of_b.contains(&b.id) && !of_b.contains(&a.id), "not B's: {of_b:?}");
    platform.get(SESSIONS)?.expect_error(403, "forbidden")?;
    pair.a.get("/api/v1/admin/sessions")?.expect_error(403, "forbidden")?;

    let of_session = format!("/api/v1/audit?sessionId={}", a.id);
    ensure!(ids(&of_session, &pair.a)?.len() == 1, "its creation is not in the trail");
    ensure!(ids(&of_session, &pair.b)?.is_empty(), "B reads A's trail");
    a.delete()?;
    b.delete()?;
    let newest = pair.a.get(&of_session)?.expect(200)?.json()["data"][0]["event"].clone();
    ensure!(newest == "session.deleted" || newest == "session.retired", "the newest is {newest}");
    Ok(())
}

fn bad_tokens(stack: &Stack) -> Result<()> {
    let good = Token::of(A, "admin");
    for token in [
        good.clone().by_unknown_key(),
        good.clone().with("exp", json!(1)),
        good.clone().with("exp", Value::Null),
        good.clone().with("nbf", json!(4_102_444_799_u64)),
        good.clone().with("iss", json!("https://elsewhere.example")),
        good.clone().with("iss", Value::Null),
        good.clone().with("aud", json!("another")),
        good.clone().with("aud", Value::Null),
    ] {
        let caller = stack.api.asked_by(Some(token.sign()));
        caller
            .get(SESSIONS)?
            .expect_error(401, "unauthorized")
            .with_context(|| format!("{token:?}"))?;
    }
    let signed = good.sign();
    let signed = signed.text();
    let (head, signature) = signed.rsplit_once('.').context("a token has three parts")?;
    let none = "eyJhbGciOiJub25lIn0"; // {"alg":"none"}
    let claims = head.split('.').nth(1).unwrap_or_default();
    for forged in [
        format!("{head}."),
        format!("{head}.{}", signature.chars().rev().collect::<String>()),
        format!("{none}.{claims}."),
        format!("{signed}.{signature}"),
        format!("{head}x.{signature}"),
    ] {
        let caller = stack.api.asked_by(Some(Credential::Token(forged.clone())));
        caller.get(SESSIONS)?.expect_error(401, "unauthorized").context(forged)?;
    }
    stack.api.asked_by(Some(good.sign())).get(SESSIONS)?.expect(200).map(drop)
}

fn keys(stack: &Stack, pair: &Pair) -> Result<()> {
    let credential = stack.named_key(A, "short-lived", &["manage"])?;
    let caller = stack.api.asked_by(Some(credential.clone()));
    same_sessions(&pair.a, &caller)?;
    let as_bearer = Credential::Token(credential.text().to_owned());
    same_sessions(&pair.a, &stack.api.asked_by(Some(as_bearer)))?;
    let listed = Value::Array(stack.listed_keys(A)?).to_string();
    let secret = credential.text().rsplit('_').next().context("a key has a secret")?;
    ensure!(listed.contains("short-lived") && !listed.contains(secret), "key list: {listed}");
    let elsewhere = Value::Array(stack.listed_keys(B)?).to_string();
    ensure!(!elsewhere.contains("short-lived"), "B's list shows A's key");
    stack.revoke_key(A, "short-lived")?;
    // Another process revoked it; a router believes what it read of a key for a second.
    wait::until("the revoked key is refused", Duration::from_secs(5), || {
        caller.get(SESSIONS)?.expect_error(401, "unauthorized").map(Some)
    })?;
    pair.a.get(SESSIONS)?.expect(200).map(drop)
}
