//! Closing a connection is a step with a result: the engine is gone, and the keys have been read since.
//!
//! A connection that can link a device may do so until its very end. So whether one is linked is known
//! only afterwards, and nothing is answered or shown before (ADR 0024).

use std::{sync::Arc, time::Duration};

use tokio::{sync::oneshot, time::Instant};
use wacore::store::error::StoreError;

use super::model::ConnectionHandle;
use crate::{context::NodeContext, keys::KeysState, session_state::StateCell};

/// A connection that is not gone after this is told of: until then nothing changes visibly.
const SLOW_CLOSING: Duration = Duration::from_secs(20);

/// A connection on its way out.
pub(super) struct Closing {
    since: Instant,
    /// Told of already.
    slow: bool,
    state: oneshot::Receiver<Result<KeysState, StoreError>>,
}

impl Closing {
    /// Begins to close a connection; its keys are read as soon as the engine is gone.
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
