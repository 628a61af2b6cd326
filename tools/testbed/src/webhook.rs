//! A webhook and the requests of its owner.

use std::time::Duration;

use crate::{client::Api, http::Reply, wait};
use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};

/// Path of the collection.
pub const WEBHOOKS: &str = "/api/v1/webhooks";
/// Upper bound of a change of the state, apart from the delays of retries.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// A webhook with a client of its owner.
#[derive(Clone, Debug)]
pub struct Webhook {
    /// Client of the owner.
    pub api: Api,
    /// Id of the webhook.
    pub id: String,
}

impl Webhook {
    /// Creates a webhook with these fields beside the URL.
    pub fn create(api: &Api, url: &str, fields: Value) -> Result<Self> {
        let mut body = fields;
        body["url"] = json!(url);
        let reply = api.post(WEBHOOKS, &body)?.expect(201)?;
        let id = reply.json()["id"].as_str().context("a webhook has an id")?.to_owned();
        let webhook = Self { api: api.clone(), id };
        ensure!(reply.header("location") == Some(&webhook.path("")), "{:?}", reply.head);
        ensure!(reply.header("etag").is_some(), "{:?}", reply.head);
        Ok(webhook)
    }

    /// Returns the path of the webhook, of a sub-resource or of an action.
    pub fn path(&self, what: &str) -> String {
        format!("{WEBHOOKS}/{}{what}", self.id)
    }

    /// Returns the webhook as its owner sees it.
    pub fn view(&self) -> Result<Value> {
        Ok(self.api.get(&self.path(""))?.expect(200)?.json())
    }

    /// Sends a merge patch.
    pub fn patch(&self, change: &Value) -> Result<Reply> {
        let merge = [("Content-Type", "application/merge-patch+json")];
        self.api.send("PATCH", &self.path(""), &merge, Some(change.to_string().as_bytes()))
    }

    /// Sends an action without a body, such as `:pause`, and returns the body of the answer.
    pub fn act(&self, action: &str) -> Result<Value> {
        Ok(self.api.action(&self.path(action))?.expect(200)?.json())
    }

    /// Starts a replay.
    pub fn replay(&self, spec: &Value) -> Result<()> {
        self.api.post(&self.path(":replay"), spec)?.expect(202).map(drop)
    }

    /// Returns the state of the deliveries.
    pub fn state(&self) -> Result<Value> {
        Ok(self.api.get(&self.path("/state"))?.expect(200)?.json())
    }

    /// Waits until the state fulfils the condition, and returns the state.
    pub fn until(&self, what: &str, is_so: impl Fn(&Value) -> bool) -> Result<Value> {
        let mut last = Value::Null;
        let seen = wait::until(what, PATIENCE, || {
            last = self.state()?;
            Ok(is_so(&last).then(|| last.clone()))
        });
        seen.with_context(|| format!("the state was last {last}"))
    }

    /// Returns all pages of a list of the webhook, such as `/attempts`.
    pub fn all(&self, what: &str) -> Result<Vec<Value>> {
        let mut all = Vec::new();
        let mut cursor = String::new();
        loop {
            let page = self.api.get(&self.path(&format!("{what}?limit=50{cursor}")))?;
            let page = page.expect(200)?.json();
            all.extend(page["data"].as_array().context("a list has data")?.iter().cloned());
            match page["nextCursor"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => return Ok(all),
            }
        }
    }
}
