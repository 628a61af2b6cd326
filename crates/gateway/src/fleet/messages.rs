//! The calls about the messages of a session. They need no actor: the session sends while its
//! connection is logged in.

use std::{sync::Arc, time::Duration};

use gateway_protocol::{Answer, Ask, Cancelled, MessagesTaken, Refusal, SendMessages};

use super::{Fleet, unknown_session};
use crate::{
    messaging::AskError,
    refusal::{malformed, stale_epoch, unavailable},
    session_name::SessionName,
    session_state::StateCell,
};

/// Time limit of a live request.
const ASK_TIMEOUT: Duration = Duration::from_secs(10);

impl Fleet {
    /// Takes messages to send.
    pub(crate) fn send_messages(
        &self,
        session: &SessionName,
        request: SendMessages,
    ) -> Result<MessagesTaken, Refusal> {
        let state_cell = self.state_cell(session, request.epoch)?;
        Ok(state_cell.sender.submit(request.account.as_deref(), request.items))
    }

    /// Cancels a message that is not written to WhatsApp.
    pub(crate) fn cancel_message(
        &self,
        session: &SessionName,
        epoch: u64,
        outbox: &str,
    ) -> Result<Cancelled, Refusal> {
        let state_cell = self.state_cell(session, epoch)?;
        Ok(Cancelled { outcome: state_cell.sender.cancel(outbox) })
    }

    /// Answers a live request.
    pub(crate) async fn ask(&self, session: &SessionName, ask: Ask) -> Result<Answer, Refusal> {
        let state_cell = self.state_cell(session, ask.epoch)?;
        let wire = state_cell.sender.wire();
        let wire = wire.ok_or_else(|| unavailable("the session is not connected"))?;
        match tokio::time::timeout(ASK_TIMEOUT, wire.ask(ask.ask)).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(AskError::Invalid(why))) => Err(malformed(why)),
            Ok(Err(AskError::Unavailable(why))) => Err(unavailable(why)),
            Err(_) => Err(unavailable("WhatsApp did not answer in time")),
        }
    }

    /// Returns a session for a request with this epoch, which must not be older than the newest.
    fn state_cell(&self, session: &SessionName, epoch: u64) -> Result<Arc<StateCell>, Refusal> {
        self.check_registered()?;
        let sessions = self.sessions();
        let entry = sessions.entries.get(session).ok_or_else(unknown_session)?;
        let newest = entry.state_cell.epoch();
        if epoch < newest {
            return Err(stale_epoch(newest));
        }
        Ok(entry.state_cell.clone())
    }

    /// Removes the items of a deleted session. The router drops what it is told of such a session, so
    /// that a failure costs nothing but space.
    pub(super) async fn forget_journal(&self, state_cell: &StateCell) {
        if let Err(error) = self.context.journal.forget(&state_cell.session).await {
            let session = state_cell.session.as_str();
            tracing::error!(session, %error, "cannot remove a session from the journal");
        }
    }
}
