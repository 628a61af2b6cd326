//! Clients of event streams that are not ours: the `EventSource` of a browser, and Python's library
//! `websockets`. Both are cut off at several places and resume with each event once.

use std::{thread, time::Duration};

use acceptance::{
    browser::{EventPage, Source},
    deployment::{Deployment, shared},
    python_web_socket::{LAST, PythonWebSocket},
    relay::{
        Cut::{self, Behind, Held, Unanswered},
        Relay,
    },
};
use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use testbed::{
    client::Api, event_stream::EventStream, options::DatabaseKind, sessions::Owned, wait,
};

/// Upper bound of the time to the last event. A client waits up to 3 s before it connects again.
const PATIENCE: Duration = Duration::from_secs(60);
/// Pause between two changes, so that a client has some events and not thousands.
const PAUSE: Duration = Duration::from_millis(100);

/// Text before the id of an event, and in its content.
const ID: &str = "id: evt_";
const SCHEMA: &str = "\"schema\"";

/// The sources that get every event. `Last-Event-ID` precedes `after` when they resume.
const COMPLETE: [Source; 3] = [
    Source {
        name: "identifiers",
        query: "after=earliest",
        cuts: &[
            // In the first bookmark, whose line is incomplete: there is no position yet.
            Behind { text: "id: cur_", occurrence: 1, more: 3 },
            Behind { text: ID, occurrence: 3, more: 5 },
        ],
    },
    Source {
        name: "contents",
        query: "after=earliest",
        cuts: &[Unanswered, Behind { text: SCHEMA, occurrence: 2, more: 40 }],
    },
    Source {
        name: "ends",
        query: "after=earliest",
        cuts: &[
            // After the line of the data and before the empty line: the event is not dispatched.
            Behind { text: "}\n", occurrence: 2, more: 0 },
            Behind { text: "}\n\n", occurrence: 3, more: 0 },
        ],
    },
];
/// A source whose filter has matched nothing when it is cut off after its first bookmark.
const QUIET: Source = Source {
    name: "quiet",
    query: "event=api_key.*",
    cuts: &[Behind { text: "\n\n", occurrence: 1, more: 0 }, Held],
};

/// Cuts of a WebSocket: before and within the handshake, within a frame, and between two frames.
const SOCKET_CUTS: [Cut; 4] = [
    Unanswered,
    Behind { text: "101 Switching", occurrence: 1, more: 0 },
    Behind { text: SCHEMA, occurrence: 4, more: 30 },
    Behind { text: "}}", occurrence: 3, more: 0 },
];

// One database is enough: the clients differ, and the streams are tested on both.
mod event_source_of_a_browser_has_every_event_once {
    #[test]
    fn sqlite() -> anyhow::Result<()> {
        super::shared(super::DatabaseKind::Sqlite, super::browser_resumes)
    }
}

mod python_web_socket_has_every_event_once {
    #[test]
    fn postgres() -> anyhow::Result<()> {
        super::shared(super::DatabaseKind::Postgres, super::python_resumes)
    }
}

fn browser_resumes(deployment: &Deployment) -> Result<()> {
    let api = deployment.organization()?.api;
    let sources = [&COMPLETE[..], &[QUIET]].concat();
    let mut page = EventPage::open(&api, &sources)?;
    let mut key = None;
    wait::until_true("the relay has cut every source", PATIENCE, || {
        Owned::create(&api, "beside the cuts")?;
        if key.is_none() && page.relay.cut_off(QUIET.name) == 1 {
            key = Some(create_key(&api, "missed")?);
            page.relay.release(QUIET.name);
        }
        page.events(QUIET.name)?;
        thread::sleep(PAUSE);
        Ok(page.relay.is_past_all_cuts())
    })?;
    let keys = [key.context("the quiet source was cut")?, create_key(&api, "last")?];
    let expected = events_until(&api, &keys[1])?;
    for source in COMPLETE {
        must_become(&mut page, source.name, &expected)?;
    }
    let of_keys = expected.into_iter().filter(|event| keys.contains(&event["payload"]["key"]));
    must_become(&mut page, QUIET.name, &of_keys.collect::<Vec<_>>())
}

fn python_resumes(deployment: &Deployment) -> Result<()> {
    let api = deployment.organization()?.api;
    // The ticket is the credential of a WebSocket.
    let anonymous = api.with_credential(None);
    let relay = Relay::start(&anonymous, &[("socket", &SOCKET_CUTS)], Box::new(|_, _| None))?;
    let client = PythonWebSocket::start(&api, &format!("ws://{}/socket", relay.address()))?;
    wait::until_true("the relay has cut the WebSockets", PATIENCE, || {
        Owned::create(&api, "beside the cuts")?;
        thread::sleep(PAUSE);
        Ok(relay.is_past_all_cuts())
    })?;
    let last = Owned::create(&api, LAST)?;
    let events = client.finish(PATIENCE)?;
    let expected = events_of(&api, |event| event["session"] == *last.id)?;
    must_equal("the Python client", &events, &expected)
}

/// Waits until a source has as many events as expected, and compares them.
fn must_become(page: &mut EventPage, source: &str, expected: &[Value]) -> Result<()> {
    let mut events = Vec::new();
    wait::until_true("the source has every event", PATIENCE, || {
        events = page.events(source)?;
        Ok(events.len() >= expected.len())
    })
    .with_context(|| format!("{source} has {} of {} events", events.len(), expected.len()))?;
    must_equal(source, &events, expected)
}

fn must_equal(name: &str, events: &[Value], expected: &[Value]) -> Result<()> {
    let first = events.iter().zip(expected).position(|(event, expected)| event != expected);
    ensure!(
        first.is_none() && events.len() == expected.len(),
        "{name} has {} events instead of {}; the first that differs: {first:?}",
        events.len(),
        expected.len()
    );
    Ok(())
}

/// Returns the id of a new key.
fn create_key(api: &Api, name: &str) -> Result<Value> {
    let body = json!({ "name": name, "capabilities": ["manage"] });
    Ok(api.post("/api/v1/api-keys", &body)?.expect(201)?.json()["id"].take())
}

/// Returns all events up to the creation of this key, over one connection that is not cut.
fn events_until(api: &Api, key: &Value) -> Result<Vec<Value>> {
    events_of(api, |event| event["payload"]["key"] == *key)
}

fn events_of(api: &Api, is_last: impl Fn(&Value) -> bool) -> Result<Vec<Value>> {
    let mut stream = EventStream::after(api, "after=earliest", "")?;
    let mut events = Vec::new();
    while events.last().is_none_or(|event| !is_last(event)) {
        events.push(stream.event()?.context("the stream has no end")?);
    }
    Ok(events)
}
