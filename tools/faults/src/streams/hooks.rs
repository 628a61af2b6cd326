//! Webhooks whose receivers record every request.

use std::{
    collections::HashSet,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use testbed::{
    client::Api,
    receiver::{Delivery, Receiver},
    wait,
};

use super::{
    observation::{AuditLog, Observation, events},
    routers::Client,
};

const WEBHOOKS: &str = "/api/v1/webhooks";
/// Copies that a killed router may cause at one webhook (ADR 0044).
const COPIES: usize = 256;
/// Time after which a deleted webhook gets no request. A request takes up to 17 s, but the receiver
/// answers at once.
const SETTLED: Duration = Duration::from_secs(5);
/// Time between two attempts, or two counts.
const PAUSE: Duration = Duration::from_millis(250);
/// Time that each missing event adds to the patience. Kills leave a backlog, because a webhook waits
/// for the end of its lease after each kill of its router.
const PATIENCE_PER_EVENT: Duration = Duration::from_millis(5);

/// A webhook of an organization, for all events.
#[derive(Debug)]
pub(super) struct Hook {
    receiver: Receiver,
    path: String,
    organization: String,
    /// The events from before the webhook.
    earlier: Vec<Value>,
}

/// A webhook that was deleted.
#[derive(Debug)]
pub(super) struct DeletedHook {
    receiver: Receiver,
    at: Instant,
}

/// The requests of a webhook.
#[derive(Debug)]
pub(super) struct HookResult {
    pub(super) observation: Observation,
    pub(super) copies: usize,
}

impl Hook {
    /// Creates the webhook. Nobody else writes in the organization at this time.
    pub(super) fn start(client: &Client) -> Result<Self> {
        let receiver = Receiver::start()?;
        let api = &client.routers[0];
        let earlier = events(api)?;
        let reply = api.post(WEBHOOKS, &json!({ "url": receiver.url() }))?.expect(201)?.json();
        let path = format!("{WEBHOOKS}/{}", reply["id"].as_str().context("no id")?);
        Ok(Self { receiver, path, organization: client.organization.clone(), earlier })
    }

    /// Waits for the first request. Afterwards the router that delivers may be killed, and the next
    /// one has to wait for the end of its lease.
    pub(super) fn wait_for_request(&self, patience: Duration) -> Result<()> {
        wait::until("the webhook gets a request", patience, || {
            std::thread::sleep(PAUSE);
            Ok((self.receiver.count() > 0).then_some(()))
        })
    }

    /// Deletes the webhook at the first router that answers.
    pub(super) fn delete(self, routers: &[Api], patience: Duration) -> Result<DeletedHook> {
        wait::until("the webhook is deleted", patience, || {
            std::thread::sleep(PAUSE);
            // A router may have died after the deletion and before its answer.
            let replies = routers.iter().filter_map(|api| api.delete(&self.path).ok());
            let deleted =
                replies.map(|reply| reply.status).any(|status| matches!(status, 204 | 404));
            Ok(deleted.then_some(()))
        })?;
        Ok(DeletedHook { receiver: self.receiver, at: Instant::now() })
    }

    /// Waits until every event has arrived, longer if many are missing. Checks the number of copies.
    pub(super) fn finish(
        self,
        log: &AuditLog,
        kills: usize,
        patience: Duration,
    ) -> Result<HookResult> {
        let Self { receiver, path, organization, earlier } = self;
        let expected = log.count() - earlier.len();
        let mut arrived = HashSet::new();
        let mut counted = count_new(&receiver, 0, &mut arrived);
        let missing = u32::try_from(expected.saturating_sub(arrived.len()))?;
        let patience = patience + PATIENCE_PER_EVENT * missing;
        let waited = wait::until("all events arrive", patience, || {
            std::thread::sleep(PAUSE);
            counted = count_new(&receiver, counted, &mut arrived);
            Ok((arrived.len() >= expected).then_some(()))
        });
        waited.with_context(|| {
            format!("{} of {expected} events, {missing} missed at first", arrived.len())
        })?;
        let mut observation = Observation::new(format!("webhook {path}"));
        let first = first_arrivals(&receiver);
        let copies = receiver.count() - first.len();
        ensure!(copies <= COPIES * kills, "{copies} copies after {kills} kills");
        for event in earlier.iter().chain(&first) {
            ensure!(event["organization"] == organization, "another organization's {event}");
            observation.add(event);
        }
        Ok(HookResult { observation, copies })
    }
}

impl DeletedHook {
    /// Checks that no request came after the deletion had settled.
    pub(super) fn must_be_quiet(&self) -> Result<()> {
        let settled = self.at + SETTLED;
        let late = self.receiver.deliveries().into_iter().filter(|one| one.at > settled);
        let late: Vec<_> = late.map(|one| (one.at - self.at, one.event())).collect();
        ensure!(late.is_empty(), "{} requests after the deletion: {:?}", late.len(), late.first());
        Ok(())
    }
}

/// Adds the ids of the requests from this number on. Returns the number of requests.
fn count_new(receiver: &Receiver, counted: usize, ids: &mut HashSet<String>) -> usize {
    let new = receiver.deliveries_from(counted);
    ids.extend(new.iter().map(|one| one.id().to_owned()));
    counted + new.len()
}

/// Returns the first arrival of each event.
fn first_arrivals(receiver: &Receiver) -> Vec<Value> {
    let mut once = HashSet::new();
    let deliveries = receiver.deliveries();
    let first = deliveries.iter().filter(|one| once.insert(one.id().to_owned()));
    first.map(Delivery::event).collect()
}
