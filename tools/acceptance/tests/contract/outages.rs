//! Outages of what the router depends on: the database and the login issuer.

use std::time::{Duration, Instant};

use acceptance::deployment::{Deployment, exclusive, fresh};
use anyhow::{Context as _, Result, ensure};
use testbed::{
    client::Api,
    issuer::Token,
    options::DatabaseKind,
    sessions::{Owned, PATIENCE, SESSIONS, path},
    stack::Stack,
    wait,
};

/// Upper bound of an answer during an outage.
const PROMPT: Duration = Duration::from_secs(5);

mod router_recovers_from_a_stopped_database {
    #[test]
    fn postgres() -> anyhow::Result<()> {
        super::exclusive(super::DatabaseKind::Postgres, super::stop_database)
    }
}

mod router_recovers_from_a_frozen_database {
    #[test]
    fn postgres() -> anyhow::Result<()> {
        super::exclusive(super::DatabaseKind::Postgres, super::freeze_database)
    }
}

mod known_signing_keys_outlast_the_issuer {
    use super::{DatabaseKind, fresh, stop_issuer};

    #[test]
    fn sqlite() -> anyhow::Result<()> {
        fresh(DatabaseKind::Sqlite, "contract-issuer", stop_issuer)
    }

    #[test]
    fn postgres() -> anyhow::Result<()> {
        fresh(DatabaseKind::Postgres, "contract-issuer", stop_issuer)
    }
}

fn stop_database(deployment: &mut Deployment) -> Result<()> {
    let api = deployment.organization()?.api;
    let Deployment { stack, cluster, .. } = deployment;
    let cluster = cluster.as_mut().context("no PostgreSQL")?;
    let phone = stack.phones.new_phone("Steady")?;
    let session = Owned::create(&api, "outlives an outage")?;
    let device = session.link(&phone)?["deviceId"].clone();
    cluster.stop()?;
    let outage = must_refuse(stack, &api, &session).and_then(|()| {
        // The router renews no lease without a database, so the node closes its connections.
        wait::until_true("the node closes connections without a lease", PATIENCE, || {
            Ok(phone.devices()?.iter().all(|device| !device.connected))
        })
    });
    cluster.resume()?;
    outage?;
    until_ready(stack, &api)?;
    let view = session.until_linked(&phone)?;
    ensure!(view["deviceId"] == device, "another device: {view}");
    session.delete()?;
    session.must_be_gone(stack, Some(&phone))
}

fn freeze_database(deployment: &mut Deployment) -> Result<()> {
    let api = deployment.organization()?.api;
    let Deployment { stack, cluster, .. } = deployment;
    let cluster = cluster.as_ref().context("no PostgreSQL")?;
    let session = Owned::create(&api, "outlives a frozen database")?;
    cluster.freeze();
    let outage = must_refuse(stack, &api, &session);
    cluster.thaw();
    outage?;
    until_ready(stack, &api)?;
    session.delete()?;
    session.must_be_gone(stack, None)
}

fn stop_issuer(deployment: &mut Deployment) -> Result<()> {
    let organization = deployment.organization()?;
    let token = Token::of(&organization.name, "admin");
    let person = deployment.with_credential(token.sign());
    person.get(SESSIONS)?.expect(200)?;
    deployment.issuer.stop();
    for _ in 0..5 {
        must_be_prompt(|| person.get(SESSIONS)?.expect(200).map(drop))?;
    }
    let unknown = deployment.with_credential(token.by_unknown_key().sign());
    must_be_prompt(|| unknown.get(SESSIONS)?.expect_error(401, "unauthorized").map(drop))?;
    organization.api.get(SESSIONS)?.expect(200).map(drop)
}

fn until_ready(stack: &Stack, api: &Api) -> Result<()> {
    wait::until_true("the router is ready again", PATIENCE, || {
        Ok(stack.operator.get("/readyz")?.status == 200 && api.get(SESSIONS)?.status == 200)
    })
}

/// Every request is answered 503 with `Retry-After`, and the router reports that it is not ready.
fn must_refuse(stack: &Stack, api: &Api, session: &Owned) -> Result<()> {
    let one = path(&session.id);
    for (method, path) in
        [("GET", SESSIONS), ("GET", &one), ("POST", SESSIONS), ("GET", &one), ("DELETE", &one)]
    {
        must_be_prompt(|| {
            let reply = api.send(method, path, &[], None)?.expect_error(503, "unavailable")?;
            let after = reply.header("retry-after").and_then(|value| value.parse::<u32>().ok());
            ensure!(after.is_some(), "{method} {path}: no Retry-After in seconds");
            Ok(())
        })?;
    }
    stack.operator.get("/livez")?.expect(200)?;
    let ready = stack.operator.get("/readyz")?.status;
    ensure!(ready == 503, "without a database the readiness is {ready}");
    Ok(())
}

fn must_be_prompt(ask: impl FnOnce() -> Result<()>) -> Result<()> {
    let began = Instant::now();
    ask()?;
    let took = began.elapsed();
    ensure!(took < PROMPT, "the answer took {} ms", took.as_millis());
    Ok(())
}
