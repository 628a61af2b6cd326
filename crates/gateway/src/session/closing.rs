//! Closing a connection is a step with a result: the engine is gone, and the keys have been read since.
//!
//! A connection that can link a device may do so until its very end. So whether one is linked is known
//! only afterwards, and nothing is answered or shown before (ADR 0024).

use std::{sync::Arc, time::Duration};

use tokio::{sync::oneshot, time::Instant};
use wacore::store::error::StoreError;

use super::{Line, Link, Session};
use crate::{board::Cell, context::Context, keys::KeysState, translate};

/// A connection that is not gone after this is told of: until then nothing changes visibly.
const SLOW: Duration = Duration::from_secs(20);
/// How soon keys that could not be read are read again, at first and at most.
const SOONEST: Duration = Duration::from_secs(2);
const LATEST: Duration = Duration::from_secs(60);

/// A connection on its way out.
pub(super) struct Closing {
    since: Instant,
    /// Told of already.
    slow: bool,
    state: oneshot::Receiver<Result<KeysState, StoreError>>,
}

impl Closing {
    /// Begins to close a connection; its keys are read as soon as the engine is gone.
    fn begin(line: Line, context: Arc<Context>, cell: Arc<Cell>) -> Self {
        let (sender, state) = oneshot::channel();
        tokio::spawn(async move {
            let may_be_linked = line.connection.close().await;
            let _ = sender.send(read_after(&context, &cell, may_be_linked).await);
        });
        Self { since: Instant::now(), slow: false, state }
    }

    /// When it is to be told of, if it was not.
    pub(super) fn alarm(&self) -> Option<Instant> {
        (!self.slow).then(|| self.since + SLOW)
    }

    pub(super) fn is_slow(&self) -> bool {
        self.slow
    }

    /// Time passes.
    pub(super) fn look(&mut self, now: Instant) {
        self.slow |= now >= self.since + SLOW;
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
    context: &Context,
    cell: &Cell,
    may_be_linked: bool,
) -> Result<KeysState, StoreError> {
    let state = read(context, cell).await?;
    if may_be_linked || !matches!(state, KeysState::Linked(_)) {
        return Ok(state);
    }
    let _keys = cell.keys.clone().lock_owned().await;
    context.vault.void(&cell.session).await?;
    Ok(KeysState::NotLinked)
}

/// What the keys say, when nobody has them open.
pub(super) async fn read(context: &Context, cell: &Cell) -> Result<KeysState, StoreError> {
    let _keys = cell.keys.clone().lock_owned().await;
    context.vault.state(&cell.session).await
}

impl Session {
    /// Begins to close the connection, if there is one.
    pub(super) fn begin_closing(&mut self) {
        if let Some(line) = self.line.take() {
            let (context, cell) = (self.context.clone(), self.cell.clone());
            self.closing = Some(Closing::begin(line, context, cell));
        }
    }

    /// Closes the connection, if there is one, and waits for its end.
    pub(super) async fn close(&mut self) {
        self.begin_closing();
        if let Some(mut closing) = self.closing.take() {
            let state = closing.state().await;
            self.learn(state);
        }
    }

    /// Reads the keys while nothing is open.
    pub(super) async fn read_keys(&mut self) {
        let state = read(&self.context, &self.cell).await;
        self.learn(state);
    }

    /// Takes in what the keys say.
    pub(super) fn learn(&mut self, state: Result<KeysState, StoreError>) {
        let session = self.cell.session.as_str();
        self.missing = matches!(state, Ok(KeysState::Missing));
        self.link = match state {
            Ok(KeysState::Linked(identity)) => Link::Linked(identity),
            Ok(KeysState::Missing) if self.believed_linked => self.lost(),
            Ok(KeysState::NotLinked | KeysState::Missing) => Link::NotLinked,
            Err(error) => {
                tracing::error!(session, %error, "cannot read the keys");
                Link::Unknown(translate::keys_unavailable("they cannot be read"))
            }
        };
        if matches!(self.link, Link::Unknown(_)) {
            let wait = (SOONEST * 2_u32.saturating_pow(self.reads)).min(LATEST);
            self.reads = (self.reads + 1).min(10);
            self.read_again = Some(Instant::now() + wait);
        } else {
            (self.reads, self.read_again) = (0, None);
        }
    }

    /// The router says whether a device is linked as far as it knows: keys that are missing then are
    /// lost, and not merely none.
    pub(super) fn believe(&mut self, linked: bool) {
        self.believed_linked = linked;
        if self.missing {
            self.link = if linked { self.lost() } else { Link::NotLinked };
        }
    }

    fn lost(&self) -> Link {
        let session = self.cell.session.as_str();
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
