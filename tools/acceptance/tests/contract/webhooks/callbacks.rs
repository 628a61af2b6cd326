//! Receivers that change their own webhook while they are called.

use std::{thread, time::Duration};

use acceptance::{deployment::Deployment, signatures::verify, webhook::Webhook};
use anyhow::{Result, ensure};
use serde_json::json;
use testbed::{
    client::Api,
    receiver::{Answer, Receiver},
    sessions::Owned,
    wait,
};

use super::{PROMPT, QUIET, SECRET, relabel, sequences};
use crate::each_database;

each_database!(
    shared: receiver_deletes_its_webhook_during_a_request,
    receiver_rotates_its_secret_during_a_request,
);

/// Number of changes of the session, each with an event.
const CHANGES: usize = 20;
/// Time in which the routers read a deletion (`docs/webhooks.md`).
const SETTLED: Duration = Duration::from_secs(1);

/// Returns the receiver of a further webhook of the organization, which must get every event.
fn neighbour(api: &Api) -> Result<Receiver> {
    let receiver = Receiver::start()?;
    Webhook::create(api, &receiver.url(), json!({ "events": ["session.*"] }))?;
    Ok(receiver)
}

fn receiver_deletes_its_webhook_during_a_request(deployment: &Deployment) -> Result<()> {
    let api = deployment.organization()?.api;
    let (receiver, other) = (Receiver::start()?, neighbour(&api)?);
    let webhook = Webhook::create(&api, &receiver.url(), json!({ "events": ["session.*"] }))?;
    let (owner, path) = (api.clone(), webhook.path(""));
    receiver.answer(move |delivery| {
        if delivery.event()["sequence"] == 3 {
            let deleted = owner.delete(&path).is_ok_and(|reply| reply.status == 204);
            return Answer::status(if deleted { 204 } else { 500 });
        }
        Answer::status(204)
    });
    let session = Owned::create(&api, "deletes")?;
    relabel(&session, 2)?;
    receiver.until("the webhook deletes itself", PROMPT, |got| got.len() >= 3)?;
    wait::until_true("the webhook is deleted", PROMPT, || {
        Ok(api.get(&webhook.path(""))?.status == 404)
    })?;
    thread::sleep(SETTLED);
    relabel(&session, CHANGES)?;
    let all = (1..=CHANGES as u64 + 3).collect::<Vec<_>>();
    other.until("the other webhook has every event", PROMPT, |got| {
        sequences(got, &session).len() == all.len()
    })?;
    thread::sleep(QUIET);
    let got = sequences(&receiver.deliveries(), &session);
    ensure!(got == [1, 2, 3], "the deleted webhook got {got:?}");
    ensure!(sequences(&other.deliveries(), &session) == all, "the other webhook lost events");
    api.get(&webhook.path(""))?.expect_error(404, "not_found").map(drop)
}

fn receiver_rotates_its_secret_during_a_request(deployment: &Deployment) -> Result<()> {
    const FIRST: &str = "the-first-secret-of-24-chars";
    let api = deployment.organization()?.api;
    let (receiver, other) = (Receiver::start()?, neighbour(&api)?);
    let fields = json!({ "secret": FIRST, "events": ["session.*"] });
    let webhook = Webhook::create(&api, &receiver.url(), fields)?;
    let rotating = webhook.clone();
    receiver.answer(move |delivery| {
        let is_third = delivery.event()["sequence"] == 3;
        let rotated = !is_third
            || rotating.patch(&json!({ "secret": SECRET })).is_ok_and(|reply| reply.status == 200);
        Answer::status(if rotated { 204 } else { 500 })
    });
    let session = Owned::create(&api, "rotates")?;
    relabel(&session, CHANGES)?;
    let all = (1..=CHANGES as u64 + 1).collect::<Vec<_>>();
    let got = receiver.until("every event arrives", PROMPT, |got| got.len() >= all.len())?;
    ensure!(sequences(&got, &session) == all, "{:?}", sequences(&got, &session));
    // After the rotation both secrets sign, so the first one verifies every request.
    for (delivery, accepted) in got.iter().zip(verify(&got, &[FIRST, SECRET])?) {
        let [first, second] = accepted[..] else { anyhow::bail!("two secrets") };
        ensure!(first.by_library, "{:?}", delivery.headers);
        let is_before = delivery.event()["sequence"].as_u64() <= Some(3);
        ensure!(!is_before || !second.by_library, "{:?}", delivery.headers);
    }
    relabel(&session, 1)?;
    let got = receiver.until("a later event arrives", PROMPT, |got| got.len() > all.len())?;
    let accepted = verify(&got[all.len()..], &[FIRST, SECRET])?;
    ensure!(accepted.iter().flatten().all(|by| by.by_library), "{accepted:?}");
    other.until("the other webhook has every event", PROMPT, |got| got.len() > all.len()).map(drop)
}
