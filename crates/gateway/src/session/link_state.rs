//! The state of the keys, and the link state that follows.

use std::time::Duration;

use tokio::time::Instant;
use wacore::store::error::StoreError;

use super::{
    actor::SessionActor,
    closing::{self, Closing},
    model::Link,
};
use crate::{keys::KeysState, reasons};

/// Bounds of the interval between attempts to read unreadable keys.
const MIN_KEY_READ_INTERVAL: Duration = Duration::from_secs(2);
const MAX_KEY_READ_INTERVAL: Duration = Duration::from_secs(60);

impl SessionActor {
    /// Starts to close the connection, if one is open.
    pub(super) fn begin_closing(&mut self) {
        if let Some(handle) = self.connection.take() {
            let (context, state_cell) = (self.context.clone(), self.state_cell.clone());
            self.closing = Some(Closing::begin(handle, context, state_cell));
        }
    }

    /// Closes the connection, if one is open, and waits for its end.
    pub(super) async fn close(&mut self) {
        self.begin_closing();
        if let Some(mut closing) = self.closing.take() {
            let state = closing.state().await;
            self.apply_keys_state(state);
        }
    }

    /// Reads the keys while no connection is open.
    pub(super) async fn read_keys(&mut self) {
        let state = closing::read(&self.context, &self.state_cell).await;
        self.apply_keys_state(state);
    }

    /// Derives the link state from the state of the keys.
    pub(super) fn apply_keys_state(&mut self, state: Result<KeysState, StoreError>) {
        let session = self.state_cell.session.as_str();
        self.keys_missing = matches!(state, Ok(KeysState::Missing));
        self.link = match state {
            Ok(KeysState::Linked(identity)) => Link::Linked(identity),
            Ok(KeysState::Missing) if self.router_knows_link => self.missing_keys(),
            Ok(KeysState::NotLinked | KeysState::Missing) => Link::NotLinked,
            Err(error) => {
                tracing::error!(session, %error, "cannot read the keys");
                Link::Unknown(reasons::keys_unavailable("they cannot be read"))
            }
        };
        if matches!(self.link, Link::Unknown(_)) {
            let wait = (MIN_KEY_READ_INTERVAL * 2_u32.saturating_pow(self.key_read_failures))
                .min(MAX_KEY_READ_INTERVAL);
            self.key_read_failures = (self.key_read_failures + 1).min(10);
            self.next_key_read = Some(Instant::now() + wait);
        } else {
            (self.key_read_failures, self.next_key_read) = (0, None);
        }
    }

    /// Records whether the router knows of a linked device. If so, missing keys are lost keys.
    pub(super) fn set_router_knows_link(&mut self, linked: bool) {
        self.router_knows_link = linked;
        if self.keys_missing {
            self.link = if linked { self.missing_keys() } else { Link::NotLinked };
        }
    }

    fn missing_keys(&self) -> Link {
        let session = self.state_cell.session.as_str();
        if !matches!(self.link, Link::Unknown(_)) {
            tracing::error!(
                session,
                "the router knows a linked device, but its keys are missing; check the data folder"
            );
        }
        let why = "the node has no keys of the linked device";
        Link::Unknown(reasons::keys_unavailable(why))
    }
}
