//! A linked session of an organization with phones that write to it and that it writes to.

use std::{collections::BTreeSet, time::Duration};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use testbed::{
    http::Reply,
    phones::Phone,
    sessions::{Owned, PATIENCE, path_of},
    wait,
};

use crate::deployment::Deployment;

/// Upper bound of the way of one message while nothing is broken.
pub const PROMPT: Duration = Duration::from_secs(20);

/// A linked session and its phone.
#[derive(Debug)]
pub struct Messenger {
    /// The session, with a client that may read, send and manage.
    pub session: Owned,
    /// The phone of the session's account.
    pub phone: Phone,
}

impl Messenger {
    /// Links a phone to a session of a new organization.
    ///
    /// # Errors
    /// When the session does not work in time.
    pub fn start(deployment: &Deployment, name: &str) -> Result<Self> {
        let organization = deployment.organization()?;
        let key = deployment.stack.key(&organization.name, &["read", "send", "manage"])?;
        let api = deployment.with_credential(key);
        let session = Owned::create(&api, name)?;
        let phone = deployment.stack.phones.new_phone(name)?;
        session.link(&phone)?;
        Ok(Self { session, phone })
    }

    /// Writes a text from a phone to the number of the session; returns the id at WhatsApp.
    ///
    /// # Errors
    /// When the network refuses.
    pub fn write(&self, from: &Phone, text: &str) -> Result<String> {
        from.send_text(&self.phone.number, text)
    }

    /// Returns the path of a sub-resource of the session.
    pub fn path(&self, what: &str) -> String {
        path_of(&self.session.id, what)
    }

    /// Reads a sub-resource of the session.
    ///
    /// # Errors
    /// When the status is not 200.
    pub fn get(&self, what: &str) -> Result<Value> {
        Ok(self.session.api.get(&self.path(what))?.expect(200)?.json())
    }

    /// Returns all entries of a list of the session, newest first.
    ///
    /// # Errors
    /// When a page is not answered.
    pub fn all(&self, what: &str) -> Result<Vec<Value>> {
        let (mut all, mut cursor) = (Vec::new(), String::new());
        let separator = if what.contains('?') { '&' } else { '?' };
        loop {
            let page = self.get(&format!("{what}{separator}limit=200{cursor}"))?;
            all.extend(page["data"].as_array().context("a list has data")?.iter().cloned());
            match page["nextCursor"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => return Ok(all),
            }
        }
    }

    /// Waits until the list of all messages has this number of entries; returns them oldest first.
    ///
    /// # Errors
    /// When the number is not reached in time, or exceeded.
    pub fn until_messages(&self, count: usize, patience: Duration) -> Result<Vec<Value>> {
        let mut last = 0;
        let all = wait::until(&format!("{count} messages are listed"), patience, || {
            let mut all = self.all("/messages")?;
            last = all.len();
            ensure!(last <= count, "{last} messages instead of {count}");
            all.reverse();
            Ok((last == count).then_some(all))
        });
        all.with_context(|| format!("{last} messages were listed"))
    }

    /// Waits until a message has one of these statuses; returns the message.
    ///
    /// # Errors
    /// When the status is not reached in time.
    pub fn until_status(&self, wa_id: &str, statuses: &[&str]) -> Result<Value> {
        let mut last = Value::Null;
        let reached = wait::until(&format!("{wa_id} is {statuses:?}"), PATIENCE, || {
            last = self.get(&format!("/messages/{wa_id}"))?;
            let is_so = statuses.iter().any(|status| last["status"] == *status);
            Ok(is_so.then(|| last.clone()))
        });
        reached.with_context(|| format!("the message was last {last}"))
    }

    /// Sends a text of the session; returns the answer whatever its status.
    ///
    /// # Errors
    /// When there is no answer.
    pub fn send(&self, query: &str, key: &str, body: &Value) -> Result<Reply> {
        let mut headers = vec![("Content-Type", "application/json")];
        if !key.is_empty() {
            headers.push(("Idempotency-Key", key));
        }
        let path = self.path(&format!("/messages{query}"));
        self.session.api.send("POST", &path, &headers, Some(body.to_string().as_bytes()))
    }
}

/// Returns the members of entries as texts.
///
/// # Errors
/// When an entry has no such text.
pub fn texts(entries: &[Value], name: &str) -> Result<Vec<String>> {
    let text = |entry: &Value| {
        let text = entry[name].as_str().map(str::to_owned);
        text.with_context(|| format!("no {name}: {entry}"))
    };
    entries.iter().map(text).collect()
}

/// Checks that every id occurs once and no other one occurs.
///
/// # Errors
/// When an id is missing, repeated or unknown.
pub fn each_once(found: &[String], expected: &[String]) -> Result<()> {
    let (once, all): (BTreeSet<_>, BTreeSet<_>) =
        (found.iter().collect(), expected.iter().collect());
    let lost: Vec<_> = all.difference(&once).collect();
    let strange: Vec<_> = once.difference(&all).collect();
    ensure!(lost.is_empty() && strange.is_empty(), "lost {lost:?}, not written {strange:?}");
    ensure!(
        found.len() == once.len(),
        "{} of {} are repetitions",
        found.len() - once.len(),
        found.len()
    );
    Ok(())
}
