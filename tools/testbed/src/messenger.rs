//! A linked session of an organization with phones that write to it and that it writes to.

use std::{collections::BTreeSet, time::Duration};

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};

use crate::{
    client::Api,
    http::Reply,
    phones::{Phone, Phones},
    sessions::{Owned, PATIENCE, path_of},
    wait,
};

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

/// Running programs on which sessions send and receive.
pub trait MessengerEnvironment {
    /// Returns a client of a caller that may read, send and manage in a new organization.
    ///
    /// # Errors
    /// When the command that creates the key fails.
    fn messenger_api(&self) -> Result<Api>;

    /// Returns the network of the phones.
    fn phones(&self) -> &Phones;
}

impl Messenger {
    /// Links a phone to a session of a new organization.
    ///
    /// # Errors
    /// When the session does not work in time.
    pub fn start(environment: &impl MessengerEnvironment, name: &str) -> Result<Self> {
        Self::start_with(environment, name, &json!({}))
    }

    /// As [`start`](Self::start), with a phone that has these settings.
    ///
    /// # Errors
    /// As [`start`](Self::start).
    pub fn start_with(
        environment: &impl MessengerEnvironment,
        name: &str,
        settings: &Value,
    ) -> Result<Self> {
        let session = Owned::create(&environment.messenger_api()?, name)?;
        let phone = environment.phones().new_phone(name)?;
        phone.configure(settings)?;
        session.link(&phone)?;
        Ok(Self { session, phone })
    }

    /// Returns the id of the linked device on its phone.
    ///
    /// # Errors
    /// When the phone has no linked device.
    pub fn device(&self) -> Result<u64> {
        Ok(self.phone.devices()?.first().context("a linked device")?.id)
    }

    /// Lets the session send without limits of its pace.
    ///
    /// # Errors
    /// When the settings are refused.
    pub fn send_without_limits(&self) -> Result<()> {
        let no_limit = json!({ "ratePerMin": 0, "ratePerHour": 0 });
        self.session.api.patch(&self.path(""), &no_limit)?.expect(200).map(drop)
    }

    /// Sends a text and waits for WhatsApp's acknowledgement; returns the id at WhatsApp.
    ///
    /// # Errors
    /// When the text is not sent in time.
    pub fn send_text(&self, to: &Phone, words: &str) -> Result<String> {
        let sent = self.send("", "", &text(&to.number, words))?.expect(200)?.json();
        // A receipt can arrive before the answer.
        ensure!(sent["status"] == "sent" || sent["status"] == "delivered", "{sent}");
        id_of(&sent)
    }

    /// Has a text queued; returns the id at WhatsApp.
    ///
    /// # Errors
    /// When the text is not accepted.
    pub fn queue_text(&self, to: &Phone, words: &str) -> Result<String> {
        id_of(&self.send("?async", "", &text(&to.number, words))?.expect(202)?.json())
    }

    /// Waits until no message is queued.
    ///
    /// # Errors
    /// When a message is still queued at the end of the time.
    pub fn until_sent(&self, patience: Duration) -> Result<()> {
        let mut left = 0;
        let sent = wait::until_true("every message is sent", patience, || {
            left = self.all("/messages?status=queued")?.len();
            Ok(left == 0)
        });
        sent.with_context(|| format!("{left} messages were queued"))
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
        let separator = if what.contains('?') { '&' } else { '?' };
        self.pages(&format!("{what}{separator}limit=200"), || Ok(()))
    }

    /// Returns all entries of a list page by page, newest first, and calls `between` between the pages.
    /// The path has a query.
    ///
    /// # Errors
    /// When a page is not answered, and those of `between`.
    pub fn pages(&self, what: &str, mut between: impl FnMut() -> Result<()>) -> Result<Vec<Value>> {
        let (mut all, mut cursor) = (Vec::new(), String::new());
        loop {
            let page = self.get(&format!("{what}{cursor}"))?;
            all.extend(page["data"].as_array().context("a list has data")?.iter().cloned());
            let Some(next) = page["nextCursor"].as_str() else { return Ok(all) };
            cursor = format!("&cursor={next}");
            between()?;
        }
    }

    /// Reads the list of chats in small pages while a contact writes in the newest chat; checks that each
    /// contact has one chat, and that the chats are listed by activity.
    ///
    /// # Errors
    /// When a chat is missing, repeated or out of order.
    pub fn must_page_chats(&self, contacts: &[Phone]) -> Result<()> {
        let listed = self.all("/chats")?;
        let newest = listed.first().context("a chat")?["phone"].as_str().context("a phone")?;
        let writer = contacts.iter().find(|contact| contact.number == newest);
        let writer = writer.context("a contact")?;
        let read = self.pages("/chats?limit=7", || self.write(writer, "again").map(drop))?;
        let numbers: Vec<_> = contacts.iter().map(|contact| contact.number.clone()).collect();
        each_once(&texts(&read, "phone")?, &numbers)?;
        let times: Vec<_> = read.iter().map(|chat| chat["lastMessageAt"].as_u64()).collect();
        ensure!(times.iter().rev().is_sorted(), "not by activity: {times:?}");
        Ok(())
    }

    /// Returns all events of the organization of these kinds, such as `message.*`, oldest first.
    ///
    /// # Errors
    /// When a page is not answered.
    pub fn events(&self, kinds: &str) -> Result<Vec<Value>> {
        const LIMIT: usize = 200;
        let (mut all, mut after) = (Vec::new(), "earliest".to_owned());
        loop {
            let path = format!("/api/v1/events?limit={LIMIT}&event={kinds}&after={after}");
            let headers = [("Accept", "application/json")];
            let page = self.session.api.send("GET", &path, &headers, None)?.expect(200)?.json();
            let data = page["data"].as_array().context("a page has data")?;
            all.extend(data.iter().cloned());
            if data.len() < LIMIT {
                return Ok(all);
            }
            page["nextCursor"].as_str().context("a page has a cursor")?.clone_into(&mut after);
        }
    }

    /// Returns the payloads of [`events`](Self::events).
    ///
    /// # Errors
    /// As [`events`](Self::events).
    pub fn payloads(&self, kinds: &str) -> Result<Vec<Value>> {
        Ok(self.events(kinds)?.iter().map(|event| event["payload"].clone()).collect())
    }

    /// Waits until `count` messages are listed, and checks that those with `ids` are among them, once
    /// and in this order.
    ///
    /// # Errors
    /// As [`until_messages`](Self::until_messages), and when the ids differ.
    pub fn must_list(&self, count: usize, ids: &[String], patience: Duration) -> Result<()> {
        let all = texts(&self.until_messages(count, patience)?, "waMessageId")?;
        let listed: Vec<_> = all.into_iter().filter(|id| ids.contains(id)).collect();
        each_once(&listed, ids)?;
        ensure!(listed == ids, "the list has another order");
        Ok(())
    }

    /// Waits until a phone shows these messages of the session, each once and in this order.
    ///
    /// # Errors
    /// When the phone does not show them in time.
    pub fn until_shown(&self, phone: &Phone, ids: &[String]) -> Result<()> {
        wait::until("the phone shows every text", PROMPT, || {
            must_show(phone, &self.phone, ids).map(Some)
        })
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

/// Returns the body of a request that sends a text without typing.
pub fn text(to: &str, words: &str) -> Value {
    json!({ "to": to, "text": words, "typing": 0 })
}

/// Returns the id at WhatsApp that an answer or a message names.
///
/// # Errors
/// When there is none.
pub fn id_of(message: &Value) -> Result<String> {
    let id = message["waMessageId"].as_str().map(str::to_owned);
    id.with_context(|| format!("no id: {message}"))
}

/// Checks that a phone shows each of these messages once, and shows them in this order.
///
/// # Errors
/// When a message is missing, repeated or out of order.
pub fn must_show(phone: &Phone, from: &Phone, ids: &[String]) -> Result<()> {
    let shown = phone.messages_in(&from.number)?;
    let shown: Vec<_> = shown.into_iter().filter(|it| ids.contains(&it.id)).collect();
    let unreadable: Vec<_> = shown.iter().filter(|it| !it.readable).collect();
    ensure!(unreadable.is_empty(), "the phone cannot read {unreadable:?}");
    let shown: Vec<_> = shown.into_iter().map(|it| it.id).collect();
    each_once(&shown, ids)?;
    ensure!(shown == ids, "the phone shows another order");
    Ok(())
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
pub fn each_once(present: &[String], expected: &[String]) -> Result<()> {
    let (once, all): (BTreeSet<_>, BTreeSet<_>) =
        (present.iter().collect(), expected.iter().collect());
    let lost: Vec<_> = all.difference(&once).collect();
    let strange: Vec<_> = once.difference(&all).collect();
    ensure!(lost.is_empty() && strange.is_empty(), "lost {lost:?}, not written {strange:?}");
    ensure!(
        present.len() == once.len(),
        "{} of {} are repetitions",
        present.len() - once.len(),
        present.len()
    );
    Ok(())
}
