//! The events that an observer got, compared with the audit log.

use std::{
    collections::{HashMap, HashSet},
    hash::{DefaultHasher, Hash as _, Hasher as _},
};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use testbed::client::Api;

/// The events of one observer, in the order of their arrival.
#[derive(Debug)]
pub(super) struct Observation {
    pub(super) name: String,
    events: Vec<Received>,
}

/// An event. There are too many for their texts.
#[derive(Debug)]
struct Received {
    id: String,
    /// Hash of the whole event.
    digest: u64,
}

/// The audit log of an organization.
#[derive(Debug)]
pub(super) struct AuditLog {
    events: HashMap<String, Recorded>,
    /// Session and kind of each event of a session.
    kinds: HashSet<(String, String)>,
}

/// An event of the audit log.
#[derive(Debug)]
struct Recorded {
    digest: u64,
    /// Session and stream with the number within them; `None` for an event without a session.
    sequence: Option<((String, String), u64)>,
}

/// A change that a router has acknowledged.
#[derive(Debug)]
pub(super) struct Acknowledged {
    pub(super) session: String,
    /// The event of the change.
    pub(super) event: &'static str,
}

impl Observation {
    pub(super) fn new(name: String) -> Self {
        Self { name, events: Vec::new() }
    }

    /// Adds an event that has arrived.
    pub(super) fn add(&mut self, event: &Value) {
        let id = event["id"].as_str().unwrap_or_default().to_owned();
        self.events.push(Received { id, digest: digest(event) });
    }

    /// Returns the ids in the order of arrival.
    pub(super) fn ids(&self) -> impl Iterator<Item = &str> {
        self.events.iter().map(|event| event.id.as_str())
    }
}

impl AuditLog {
    /// Reads all pages.
    pub(super) fn read(api: &Api) -> Result<Self> {
        let mut log = Self { events: HashMap::new(), kinds: HashSet::new() };
        for event in events(api)? {
            log.add(&event);
        }
        Ok(log)
    }

    fn add(&mut self, event: &Value) {
        let text = |name: &str| event[name].as_str().map(str::to_owned);
        let session = text("session");
        if let (Some(session), Some(kind)) = (session.clone(), text("event")) {
            self.kinds.insert((session, kind));
        }
        let within = session.zip(text("stream")).zip(event["sequence"].as_u64());
        let recorded = Recorded { digest: digest(event), sequence: within };
        self.events.insert(text("id").unwrap_or_default(), recorded);
    }

    pub(super) fn count(&self) -> usize {
        self.events.len()
    }

    /// Returns whether the log has the event of this change.
    pub(super) fn contains(&self, change: &Acknowledged) -> bool {
        self.kinds.contains(&(change.session.clone(), change.event.to_owned()))
    }

    /// Checks that the observer has each event once and unchanged, and that the numbers of each
    /// session are 1, 2, 3 and so on.
    pub(super) fn must_equal(&self, observed: &Observation) -> Result<()> {
        let (mut once, mut last) = (HashSet::new(), HashMap::new());
        for (at, Received { id, digest }) in observed.events.iter().enumerate() {
            ensure!(once.insert(id), "{id} has come twice, again as event {at}");
            let recorded = self.events.get(id);
            let recorded = recorded.with_context(|| format!("{id} is not in the audit log"))?;
            ensure!(recorded.digest == *digest, "{id} differs from the audit log");
            if let Some((within, number)) = &recorded.sequence {
                let last = last.entry(within).or_insert(0);
                *last += 1;
                ensure!(last == number, "{id} of {within:?} has number {number} instead of {last}");
            }
        }
        let missing: Vec<_> = self.events.keys().filter(|id| !once.contains(id)).take(5).collect();
        let counts = (once.len(), self.events.len());
        ensure!(missing.is_empty(), "{} of {} events; missing {missing:?}", counts.0, counts.1);
        Ok(())
    }
}

/// Returns all pages of the audit log.
pub(super) fn events(api: &Api) -> Result<Vec<Value>> {
    let (mut events, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = api.get(&format!("/api/v1/audit?limit=200{cursor}"))?.expect(200)?.json();
        events.extend(page["data"].as_array().context("a list")?.iter().cloned());
        let Some(next) = page["nextCursor"].as_str() else { return Ok(events) };
        cursor = format!("&cursor={next}");
    }
}

/// Returns a hash of the event. Objects are sorted by their keys, so that equal events are equal.
fn digest(event: &Value) -> u64 {
    let mut hasher = DefaultHasher::new();
    event.to_string().hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn event(id: &str, session: &str, sequence: u64) -> Value {
        json!({
            "id": id, "event": "session.created", "session": session, "stream": "session",
            "sequence": sequence,
        })
    }

    fn outcome(arrivals: &[Value]) -> String {
        let mut log = AuditLog { events: HashMap::new(), kinds: HashSet::new() };
        for event in [event("b", "one", 2), event("a", "one", 1), event("c", "other", 1)] {
            log.add(&event);
        }
        log.add(&json!({ "id": "k", "event": "api_key.created", "session": null, "sequence": 0 }));
        let mut observed = Observation::new("test".to_owned());
        for event in arrivals {
            observed.add(event);
        }
        log.must_equal(&observed).map_or_else(|error| error.to_string(), |()| "equal".to_owned())
    }

    #[test]
    fn each_fault_of_an_observer_is_found() {
        let key = json!({ "id": "k", "event": "api_key.created", "session": null, "sequence": 0 });
        let (a, b, c) = (event("a", "one", 1), event("b", "one", 2), event("c", "other", 1));
        let of = |events: &[&Value]| outcome(&events.iter().copied().cloned().collect::<Vec<_>>());
        assert_eq!(of(&[&key, &a, &c, &b]), "equal");
        assert!(of(&[&key, &a, &b, &c, &a]).contains("twice"));
        assert!(of(&[&key, &b, &a, &c]).contains("number 2 instead of 1"));
        assert!(of(&[&key, &a, &c]).contains("missing [\"b\"]"));
        assert!(of(&[&event("x", "one", 1)]).contains("not in the audit log"));
        assert!(of(&[&event("a", "one", 3)]).contains("differs"));
    }

    #[test]
    fn acknowledged_change_without_its_event_is_found() {
        let mut log = AuditLog { events: HashMap::new(), kinds: HashSet::new() };
        log.add(&event("a", "one", 1));
        let change = |event| Acknowledged { session: "one".to_owned(), event };
        assert!(log.contains(&change("session.created")));
        assert!(!log.contains(&change("session.deleted")));
    }
}
