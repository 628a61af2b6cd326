//! A linked session of an organization with phones that write to it and that it writes to.

use std::{collections::BTreeSet, time::Duration};

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use testbed::{
    client::Api,
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
    /// Client of the simulated network.
    control: Api,
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
        let control = deployment.stack.phones.control().clone();
        Ok(Self { session, phone, control })
    }

    /// Creates a phone of somebody else.
    ///
    /// # Errors
    /// When the network does not answer.
    pub fn contact(deployment: &Deployment, name: &str) -> Result<Phone> {
        deployment.stack.phones.new_phone(name)
    }

    /// Writes a text from a phone to the number of the session; returns the id at WhatsApp.
    ///
    /// # Errors
    /// When the network refuses.
    pub fn write(&self, from: &Phone, text: &str) -> Result<String> {
        self.write_to(from, &self.phone.number, text)
    }

    /// Writes a text from a phone to a number; returns the id at WhatsApp.
    ///
    /// # Errors
    /// When the network refuses.
    pub fn write_to(&self, from: &Phone, to: &str, text: &str) -> Result<String> {
        let body = json!({ "to": to, "text": text });
        let written = self.command(&from.number, "/messages", &body)?;
        Ok(written["id"].as_str().context("a message has an id")?.to_owned())
    }

    /// Writes many texts from a phone to the number of the session; returns the ids in order.
    ///
    /// # Errors
    /// When the network refuses.
    pub fn write_all(&self, from: &Phone, texts: &[String]) -> Result<Vec<String>> {
        let body = json!({ "to": self.phone.number, "texts": texts });
        let written = self.command(&from.number, "/messages:bulk", &body)?;
        let ids = written["ids"].as_array().context("ids")?.iter();
        ids.map(|id| Ok(id.as_str().context("an id")?.to_owned())).collect()
    }

    /// Sends a command to a phone.
    ///
    /// # Errors
    /// When the network refuses.
    pub fn command(&self, number: &str, what: &str, body: &Value) -> Result<Value> {
        let path = format!("/phones/{number}{what}");
        let reply = self.control.post(&path, body)?;
        ensure!((200..300).contains(&reply.status), "{path}: {}", reply.status);
        Ok(reply.json())
    }

    /// Injects a fault into the network.
    ///
    /// # Errors
    /// When the network refuses.
    pub fn fault(&self, fault: &Value) -> Result<()> {
        self.control.post("/faults", fault)?.expect(201).map(drop)
    }

    /// Removes all faults.
    ///
    /// # Errors
    /// When the network refuses.
    pub fn heal(&self) -> Result<()> {
        let reply = self.control.delete("/faults")?;
        ensure!((200..300).contains(&reply.status), "{}", reply.status);
        Ok(())
    }

    /// Returns the messages that a phone shows in its chat with the session's account, in order.
    ///
    /// # Errors
    /// When the network refuses.
    pub fn shown_by(&self, phone: &Phone) -> Result<Vec<Value>> {
        let path = format!("/phones/{}/messages?chat={}", phone.number, self.phone.number);
        let shown = self.control.get(&path)?.expect(200)?.json();
        Ok(shown["messages"].as_array().context("messages")?.clone())
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
