//! The events of an organization, printed as they arrive over an event stream and at a webhook.

use std::{
    sync::{Arc, Mutex, PoisonError},
    thread,
};

use anyhow::Result;
use serde_json::{Value, json};
use testbed::{
    client::Api,
    event_stream::EventStream,
    receiver::{Answer, Receiver},
    sessions::PATIENCE,
    wait,
};

use crate::narrator::{Narrator, explain};

/// The kinds of the events that were printed.
#[derive(Clone, Debug, Default)]
pub(crate) struct EventPrinter(Arc<Mutex<Vec<String>>>);

impl EventPrinter {
    /// Opens a stream, which begins with the next event, and prints its events until berth ends.
    pub(crate) fn stream(api: &Api) -> Result<Self> {
        explain("Follow the events. Each is printed here, with a bar, when it arrives.");
        println!("\n$ curl -N {}/api/v1/events -H \"X-Api-Key: $KEY\" &", api.base());
        let mut stream = EventStream::after(api, "", "")?;
        stream.block()?; // a bookmark: changes from now on are in the stream
        let printer = Self::default();
        let output = printer.clone();
        thread::spawn(move || {
            while let Ok(Some(event)) = stream.event() {
                output.print("event", &event);
            }
        });
        Ok(printer)
    }

    /// Creates a webhook, and prints what its receiver gets.
    pub(crate) fn webhook(show: &Narrator) -> Result<(Self, Receiver)> {
        explain("Let berth call a receiver. Each request to the receiver is printed here.");
        let (receiver, printer) = (Receiver::start()?, Self::default());
        let output = printer.clone();
        receiver.answer(move |delivery| {
            output.print("webhook", &delivery.event());
            Answer::status(204)
        });
        let body = json!({
            "url": receiver.url(),
            "events": ["session.*", "message.*"],
            "secret": "a-secret-of-at-least-24-characters",
        });
        show.post("/api/v1/webhooks", Some(&body))?.expect(201)?;
        Ok((printer, receiver))
    }

    fn print(&self, by: &str, event: &Value) {
        println!("{}", line(by, event));
        let kind = event["event"].as_str().unwrap_or_default().to_owned();
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(kind);
    }

    /// Waits until an event of this kind has arrived.
    pub(crate) fn until(&self, kind: &str) -> Result<()> {
        wait::until_true(&format!("the event {kind}"), PATIENCE, || {
            let kinds = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            Ok(kinds.iter().any(|arrived| arrived == kind))
        })
    }
}

/// Returns the way, number, kind and payload of an event in one line.
fn line(by: &str, event: &Value) -> String {
    let kind = event["event"].as_str().unwrap_or_default();
    format!("  | {by} {} {kind} {}", event["sequence"], event["payload"])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn line_has_number_kind_and_payload() {
        let event = json!({ "sequence": 3, "event": "session.status", "payload": { "a": null } });
        assert_eq!(line("event", &event), "  | event 3 session.status {\"a\":null}");
    }
}
