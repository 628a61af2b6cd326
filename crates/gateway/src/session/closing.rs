//! Closing a connection is a step with a result: the engine is gone, and the keys have been read since.
//!
//! A connection that can link a device may do so until its very end. So whether one is linked is known
//! only afterwards, and nothing is answered or shown before (ADR 0024).

use std::{sync::Arc, time::Duration};

use tokio::{sync::oneshot, time::Instant};
use wacore::store::error::StoreError;

use super::{ConnectionHandle, Link, SessionActor};
use crate::{board::StateCell, context::NodeContext, keys::KeysState, translate};

/// A connection that is not gone after this is told of: until then nothing changes visibly.
const SLOW_CLOSING: Duration = Duration::from_secs(20);
/// How soon keys that could not be read are read again, at first and at most.
const MIN_KEY_READ_INTERVAL: Duration = Duration::from_secs(2);
const MAX_KEY_READ_INTERVAL: Duration = Duration::from_secs(60);

/// A connection on its way out.
pub(super) struct Closing {
    since: Instant,
    /// Told of already.
    slow: bool,
    state: oneshot::Receiver<Result<KeysState, StoreError>>,
}

impl Closing {
    /// Begins to close a connection; its keys are read as soon as the engine is gone.
    fn begin(
        handle: ConnectionHandle,
        context: Arc<NodeContext>,
        state_cell: Arc<StateCell>,
    ) -> Self {
        let (sender, state) = oneshot::channel();
        tokio::spawn(async move {
            let may_be_linked = handle.inner.close().await;
            let _ = sender.send(read_after(&context, &state_cell, may_be_linked).await);
        });
        Self { since: Instant::now(), slow: false, state }
    }

    /// When it is to be told of, if it was not.
    pub(super) fn slow_at(&self) -> Option<Instant> {
        (!self.slow).then(|| self.since + SLOW_CLOSING)
    }

    pub(super) fn is_slow(&self) -> bool {
        self.slow
    }

    /// Time passes.
    pub(super) fn update_slow(&mut self, now: Instant) {
        self.slow |= now >= self.since + SLOW_CLOSING;
    }

    /// What the keys say, once the engine is gone.
    pub(super) async fn state(&mut self) -> Result<KeysState, StoreError> {
        let gone = |_| Err(StoreError::Database("the connection was not closed orderly".into()));
        (&mut self.state).await.unwrap_or_else(gone)
    }
}

/// What the keys say after a connection. The engine may have saved a link that WhatsApp was never told
/// of; it is none, and neither are its keys.
async fn read_after(
    context: &NodeContext,
    state_cell: &StateCell,
    may_be_linked: bool,
) -> Result<KeysState, StoreError> {
    let state = read(context, state_cell).await?;
    if may_be_linked || !matches!(state, KeysState::Linked(_)) {
        return Ok(state);
    }
    let _keys = state_cell.key_lock.clone().lock_owned().await;
    context.key_store.discard(&state_cell.session).await?;
    Ok(KeysState::NotLinked)
}

/// What the keys say, when nobody has them open.
pub(super) async fn read(
    context: &NodeContext,
    state_cell: &StateCell,
) -> Result<KeysState, StoreError> {
    let _keys = state_cell.key_lock.clone().lock_owned().await;
    context.key_store.state(&state_cell.session).await
}

impl SessionActor {
    /// Begins to close the connection, if there is one.
    pub(super) fn begin_closing(&mut self) {
        if let Some(handle) = self.connection.take() {
            let (context, state_cell) = (self.context.clone(), self.state_cell.clone());
            self.closing = Some(Closing::begin(handle, context, state_cell));
        }
    }

    /// Closes the connection, if there is one, and waits for its end.
    pub(super) async fn close(&mut self) {
        self.begin_closing();
        if let Some(mut closing) = self.closing.take() {
            let state = closing.state().await;
            self.apply_keys_state(state);
        }
    }

    /// Reads the keys while nothing is open.
    pub(super) async fn read_keys(&mut self) {
        let state = read(&self.context, &self.state_cell).await;
        self.apply_keys_state(state);
    }

    /// Takes in what the keys say.
    pub(super) fn apply_keys_state(&mut self, state: Result<KeysState, StoreError>) {
        let session = self.state_cell.session.as_str();
        self.keys_missing = matches!(state, Ok(KeysState::Missing));
        self.link = match state {
            Ok(KeysState::Linked(identity)) => Link::Linked(identity),
            Ok(KeysState::Missing) if self.router_knows_link => self.missing_keys(),
            Ok(KeysState::NotLinked | KeysState::Missing) => Link::NotLinked,
            Err(error) => {
                tracing::error!(session, %error, "cannot read the keys");
                Link::Unknown(translate::keys_unavailable("they cannot be read"))
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

    /// The router says whether a device is linked as far as it knows: keys that are missing then are
    /// lost, and not merely none.
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
                "the router knows a linked device and there are no keys of it: is this the right data folder?"
            );
        }
        let why = "this node has none, although a device was linked here";
        Link::Unknown(translate::keys_unavailable(why))
    }
}
