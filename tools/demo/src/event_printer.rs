//! The events of an organization, printed as they arrive over an event stream.

use std::{
    sync::{Arc, Mutex, PoisonError},
    thread,
};

use anyhow::Result;
use serde_json::Value;
use testbed::{client::Api, event_stream::EventStream, sessions::PATIENCE, wait};

use crate::narrator::explain;

/// A stream whose events are printed until the program ends.
#[derive(Debug)]
pub(crate) struct EventPrinter {
    kinds: Arc<Mutex<Vec<String>>>,
}

impl EventPrinter {
    /// Opens the stream, which begins with the next event.
    pub(crate) fn start(api: &Api) -> Result<Self> {
        explain("Follow the events. Each is printed here, with a bar, when it arrives.");
        println!("\n$ curl -N {}/api/v1/events -H \"X-Api-Key: $KEY\" &", api.base());
        let mut stream = EventStream::after(api, "", "")?;
        stream.block()?; // a bookmark: changes from now on are in the stream
        let kinds = Arc::new(Mutex::new(Vec::new()));
        let printer = Self { kinds: Arc::clone(&kinds) };
        thread::spawn(move || {
            // The stream ends with berth.
            while let Ok(Some(event)) = stream.event() {
                println!("{}", line(&event));
                let kind = event["event"].as_str().unwrap_or_default().to_owned();
                kinds.lock().unwrap_or_else(PoisonError::into_inner).push(kind);
            }
        });
        Ok(printer)
    }

    /// Waits until an event of this kind has arrived.
    pub(crate) fn until(&self, kind: &str) -> Result<()> {
        wait::until_true(&format!("the event {kind}"), PATIENCE, || {
            let kinds = self.kinds.lock().unwrap_or_else(PoisonError::into_inner);
            Ok(kinds.iter().any(|arrived| arrived == kind))
        })
    }
}

/// Returns number, kind and payload of an event in one line.
fn line(event: &Value) -> String {
    let kind = event["event"].as_str().unwrap_or_default();
    format!("  | event {} {kind} {}", event["sequence"], event["payload"])
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn line_has_number_kind_and_payload() {
        let event = json!({ "sequence": 3, "event": "session.status", "payload": { "a": null } });
        assert_eq!(line(&event), "  | event 3 session.status {\"a\":null}");
    }
}
