//! What others owe berth and do not deliver: the database, the login issuer.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use testbed::{
    client::Api,
    issuer::{Issuer, Token},
    postgres::Cluster,
    sessions::{Owned, PATIENCE, SESSIONS, path},
    stack::Stack,
    wait,
};

use super::A;
use crate::suite::Suite;

/// Nobody waits longer to hear that it cannot be done.
const PROMPT: Duration = Duration::from_secs(5);

pub(super) fn run(
    suite: &mut Suite<'_>,
    stack: &mut Stack,
    api: &Api,
    cluster: Option<&mut Cluster>,
    issuer: &Issuer,
) {
    if let Some(cluster) = cluster {
        suite.run_on(stack, "without its database berth says so promptly, and recovers", |stack| {
            without_database(stack, api, cluster)
        });
        suite.run_on(stack, "a database that hangs is as good as none", |stack| {
            let session = Owned::create(api, "outlives a frozen database")?;
            cluster.freeze();
            let outage = refused(stack, api, &session);
            cluster.thaw();
            outage?;
            recovered(stack, api)?;
            session.delete()?;
            session.must_be_gone(stack, None)
        });
    }
    suite.run_on(stack, "without its issuer known keys still work", |stack| {
        let token = Token::of(A, "admin");
        let person = stack.api.asked_by(Some(token.sign()));
        person.get(SESSIONS)?.expect(200)?;
        issuer.stop();
        for _ in 0..5 {
            prompt(|| person.get(SESSIONS)?.expect(200).map(drop))?;
        }
        let stranger = stack.api.asked_by(Some(token.by_unknown_key().sign()));
        prompt(|| stranger.get(SESSIONS)?.expect_error(401, "unauthorized").map(drop))?;
        api.get(SESSIONS)?.expect(200).map(drop)
    });
}

fn without_database(stack: &Stack, api: &Api, cluster: &mut Cluster) -> Result<()> {
    let phone = stack.phones.new_phone("Steady")?;
    let session = Owned::create(api, "outlives an outage")?;
    let device = session.link(&phone)?["deviceId"].clone();
    cluster.stop()?;
    let outage = refused(stack, api, &session).and_then(|()| {
        // The router cannot renew leases without a database; the node then lets go by itself.
        wait::until_so("the node closes what it has no lease for", PATIENCE, || {
            Ok(phone.devices()?.iter().all(|device| !device.connected))
        })
    });
    cluster.resume()?;
    outage?;
    recovered(stack, api)?;
    let view = session.until_linked(&phone)?;
    ensure!(view["deviceId"] == device, "another device: {view}");
    session.delete()?;
    session.must_be_gone(stack, Some(&phone))
}

fn recovered(stack: &Stack, api: &Api) -> Result<()> {
    wait::until_so("berth is ready again", PATIENCE, || {
        Ok(stack.operator.get("/readyz")?.status == 200 && api.get(SESSIONS)?.status == 200)
    })
}

fn refused(stack: &Stack, api: &Api, session: &Owned) -> Result<()> {
    let one = path(&session.id);
    for (method, path) in
        [("GET", SESSIONS), ("GET", &one), ("POST", SESSIONS), ("GET", &one), ("DELETE", &one)]
    {
        prompt(|| {
            let reply = api.send(method, path, &[], None)?.expect_error(503, "unavailable")?;
            let after = reply.header("retry-after").and_then(|value| value.parse::<u32>().ok());
            ensure!(after.is_some(), "{method} {path}: no Retry-After in seconds");
            Ok(())
        })?;
    }
    stack.operator.get("/livez")?.expect(200)?;
    let ready = stack.operator.get("/readyz")?.status;
    ensure!(ready == 503, "without its database it says it is ready: {ready}");
    Ok(())
}

fn prompt(ask: impl FnOnce() -> Result<()>) -> Result<()> {
    let began = Instant::now();
    ask()?;
    let took = began.elapsed();
    ensure!(took < PROMPT, "the answer took {} ms", took.as_millis());
    Ok(())
}
