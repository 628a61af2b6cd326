//! Login tokens and API keys: which callers are accepted, and with which rights.

use std::time::Duration;

use acceptance::deployment::Deployment;
use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use testbed::{
    client::{Api, Credential},
    issuer::Token,
    sessions::{Owned, SESSIONS, list, path},
    wait,
};

use crate::each_database;

each_database!(
    shared: login_token_and_key_of_one_organization_list_the_same,
    person_is_shown_as_creator_of_a_session,
    role_without_manage_is_forbidden,
    platform_admin_reads_every_organization,
    invalid_token_is_unauthorized,
    unknown_signing_keys_cause_few_fetches,
    key_is_listed_without_its_secret_and_refused_after_revocation,
    whoami_states_the_credential_without_its_secret,
);

fn login_token_and_key_of_one_organization_list_the_same(deployment: &Deployment) -> Result<()> {
    let (a, b) = (deployment.organization()?, deployment.organization()?);
    let session = Owned::create(&a.api, "seen by both")?;
    let person = deployment.with_credential(Token::of(&a.name, "admin").sign());
    check_same_sessions(&a.api, &person)?;
    let other = deployment.with_credential(Token::of(&b.name, "owner").sign());
    other.get(&path(&session.id))?.expect_error(404, "not_found")?;
    session.delete()
}

fn person_is_shown_as_creator_of_a_session(deployment: &Deployment) -> Result<()> {
    let organization = deployment.organization()?;
    let person = deployment.with_credential(Token::of(&organization.name, "owner").sign());
    let session = Owned::create(&person, "by a person")?;
    ensure!(session.view()?["createdByUserId"] == "user-1", "{}", session.view()?);
    session.delete()
}

fn role_without_manage_is_forbidden(deployment: &Deployment) -> Result<()> {
    let name = deployment.organization()?.name;
    for token in [
        Token::of(&name, "member"),
        Token::of(&name, "visitor"),
        Token::of(&name, "admin").with("role", Value::Null),
        Token::of(&name, "admin").with("org_id", Value::Null),
        Token::of(&name, "none").with("platform_role", json!("super_admin")),
    ] {
        let reply = deployment.with_credential(token.sign()).get(SESSIONS)?;
        reply.expect_error(403, "forbidden").with_context(|| format!("{token:?}"))?;
    }
    Ok(())
}

fn unknown_signing_keys_cause_few_fetches(deployment: &Deployment) -> Result<()> {
    let before = deployment.issuer.fetched();
    let token = Token::of(&deployment.organization()?.name, "admin");
    let caller = deployment.with_credential(token.by_unknown_key().sign());
    for _ in 0..30 {
        caller.get(SESSIONS)?.expect_error(401, "unauthorized")?;
    }
    let fetched = deployment.issuer.fetched() - before;
    ensure!(fetched <= 3, "30 requests caused {fetched} fetches");
    Ok(())
}

/// Two credentials of one organization list the same sessions.
pub(crate) fn check_same_sessions(one: &Api, other: &Api) -> Result<()> {
    ensure!(list(one)? == list(other)?, "the lists differ");
    Ok(())
}

fn platform_admin_reads_every_organization(deployment: &Deployment) -> Result<()> {
    let (org_a, org_b) = (deployment.organization()?, deployment.organization()?);
    let (a, b) = (Owned::create(&org_a.api, "of A")?, Owned::create(&org_b.api, "of B")?);
    let person = Token::of(&org_a.name, "none").with("org_id", Value::Null);
    let person = person.with("platform_role", json!("super_admin"));
    let platform = deployment.with_credential(person.sign());
    let ids = |path: &str, caller: &Api| -> Result<Vec<String>> {
        let data = caller.get(path)?.expect(200)?.json()["data"].clone();
        let id = |thing: &Value| thing["id"].as_str().map(str::to_owned);
        Ok(data.as_array().context("a list")?.iter().filter_map(id).collect())
    };
    // Other tests create sessions at the same time.
    let all = ids("/api/v1/admin/sessions?limit=200", &platform)?;
    let ours: Vec<_> = all.iter().filter(|id| **id == a.id || **id == b.id).collect();
    ensure!(ours == [&b.id, &a.id], "not all sessions, newest first: {all:?}");
    let of_b = format!("/api/v1/admin/sessions?organizationId={}", org_b.name);
    let of_b = ids(&of_b, &platform)?;
    ensure!(of_b.contains(&b.id) && !of_b.contains(&a.id), "not B's: {of_b:?}");
    platform.get(SESSIONS)?.expect_error(403, "forbidden")?;
    org_a.api.get("/api/v1/admin/sessions")?.expect_error(403, "forbidden")?;

    let of_session = format!("/api/v1/audit?sessionId={}", a.id);
    ensure!(ids(&of_session, &org_a.api)?.len() == 1, "the creation is not in the audit log");
    ensure!(ids(&of_session, &org_b.api)?.is_empty(), "B reads A's audit log");
    a.delete()?;
    b.delete()?;
    let newest = org_a.api.get(&of_session)?.expect(200)?.json()["data"][0]["event"].clone();
    ensure!(
        newest == "session.deleted" || newest == "session.retired",
        "the newest event is {newest}"
    );
    Ok(())
}

fn invalid_token_is_unauthorized(deployment: &Deployment) -> Result<()> {
    let stack = &deployment.stack;
    let good = Token::of(&deployment.organization()?.name, "admin");
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
        let caller = stack.api.with_credential(Some(token.sign()));
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
        let caller = stack.api.with_credential(Some(Credential::Token(forged.clone())));
        caller.get(SESSIONS)?.expect_error(401, "unauthorized").context(forged)?;
    }
    stack.api.with_credential(Some(good.sign())).get(SESSIONS)?.expect(200).map(drop)
}

fn key_is_listed_without_its_secret_and_refused_after_revocation(
    deployment: &Deployment,
) -> Result<()> {
    let (a, b, stack) = (deployment.organization()?, deployment.organization()?, &deployment.stack);
    let credential = stack.named_key(&a.name, "short-lived", &["manage"])?;
    let caller = deployment.with_credential(credential.clone());
    check_same_sessions(&a.api, &caller)?;
    let as_bearer = Credential::Token(credential.text().to_owned());
    check_same_sessions(&a.api, &deployment.with_credential(as_bearer))?;
    let listed = Value::Array(stack.listed_keys(&a.name)?).to_string();
    let secret = credential.text().rsplit('_').next().context("a key has a secret")?;
    ensure!(listed.contains("short-lived") && !listed.contains(secret), "key list: {listed}");
    let of_b = Value::Array(stack.listed_keys(&b.name)?).to_string();
    ensure!(!of_b.contains("short-lived"), "B's list shows A's key");
    stack.revoke_key(&a.name, "short-lived")?;
    until_refused(&caller)?;
    a.api.get(SESSIONS)?.expect(200).map(drop)
}

fn whoami_states_the_credential_without_its_secret(deployment: &Deployment) -> Result<()> {
    let name = deployment.organization()?.name;
    let key = deployment.stack.key(&name, &["read"])?;
    let reply = deployment.with_credential(key.clone()).get("/api/v1/whoami")?.expect(200)?;
    let (caller, secret) = (reply.json(), key.text().rsplit('_').next().context("a secret")?);
    ensure!(!caller.to_string().contains(secret), "the answer contains the secret");
    ensure!(caller["kind"] == "api_key" && caller["organizationId"] == *name, "{caller}");
    ensure!(caller["capabilities"] == json!(["read"]), "{caller}");
    let token = Token::of(&name, "member");
    let caller =
        deployment.with_credential(token.sign()).get("/api/v1/whoami")?.expect(200)?.json();
    ensure!(caller["kind"] == "login_token" && caller["subject"] == "user-1", "{caller}");
    ensure!(caller["capabilities"] == json!(["read", "send"]), "{caller}");
    ensure!(caller["expiresAt"].as_i64().is_some_and(|expiry| expiry > 0), "{caller}");
    Ok(())
}

/// Waits until a key that another process revoked is refused: a router caches keys for a second.
pub(crate) fn until_refused(caller: &Api) -> Result<()> {
    wait::until("the revoked key is refused", Duration::from_secs(5), || {
        caller.get(SESSIONS)?.expect_error(401, "unauthorized").map(Some)
    })
    .map(drop)
}
