//! Closes a connection as a step with a result: the engine has ended, and the keys have been read
//! since.
//!
//! A connection that can link a device may do so until its end. The link state is known only
//! afterwards, and before that, no state is published and no command answered.
//!
//! Decision: ADR 0024.

use std::{sync::Arc, time::Duration};

use tokio::{sync::oneshot, time::Instant};
use wacore::store::error::StoreError;

use super::model::ConnectionHandle;
use crate::{context::NodeContext, keys::KeysState, session_state::StateCell};

/// Time after which an unfinished closing is published as a failure.
const SLOW_CLOSING: Duration = Duration::from_secs(20);

/// A connection that is closing.
pub(super) struct Closing {
    since: Instant,
    /// Whether [`SLOW_CLOSING`] has passed.
    slow: bool,
    state: oneshot::Receiver<Result<KeysState, StoreError>>,
}

impl Closing {
    /// Starts to close a connection. The keys are read as soon as the engine has ended.
    pub(super) fn begin(
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

    /// Returns when the closing becomes slow; `None` if it is slow already.
    pub(super) fn slow_at(&self) -> Option<Instant> {
        (!self.slow).then(|| self.since + SLOW_CLOSING)
    }

    pub(super) fn is_slow(&self) -> bool {
        self.slow
    }

    pub(super) fn update_slow(&mut self, now: Instant) {
        self.slow |= now >= self.since + SLOW_CLOSING;
    }

    /// Waits until the engine has ended, and returns the state of the keys.
    pub(super) async fn state(&mut self) -> Result<KeysState, StoreError> {
        let gone =
            |_| Err(StoreError::Database("the task that closes the connection panicked".into()));
        (&mut self.state).await.unwrap_or_else(gone)
    }
}

/// Reads the keys after a connection. A link that the engine saved and never confirmed to WhatsApp
/// is void; its keys are discarded.
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

/// Reads the state of the keys under the key lock.
pub(super) async fn read(
    context: &NodeContext,
    state_cell: &StateCell,
) -> Result<KeysState, StoreError> {
    let _keys = state_cell.key_lock.clone().lock_owned().await;
    context.key_store.state(&state_cell.session).await
}
