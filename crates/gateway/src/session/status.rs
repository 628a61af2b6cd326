//! The published status of a session, and its timers.

use std::time::Duration;

use gateway_protocol::{Reason, Status};
use tokio::time::Instant;

use super::{
    actor::SessionActor,
    closing::Closing,
    model::{ConnectionHandle, ConnectionState, Goal, Hold, Link},
};
use crate::{pairing_attempt::PairingAttempt, reasons, session_state::SessionState};

/// A drop shorter than this is not published.
const MAX_UNREPORTED_DROP: Duration = Duration::from_secs(3);
/// Time after which a connection that is not up gets a reason.
const SLOW_CONNECT: Duration = Duration::from_secs(10);
impl SessionActor {
    /// Publishes the current state.
    pub(super) fn publish(&self) {
        self.state_cell.publish(self.session_state(&self.goal()), &self.context);
    }

    /// Publishes that the link state is unknown because the connection does not end.
    pub(super) fn publish_slow_closing(&mut self) {
        let reason = reasons::keys_unavailable("the connection does not end");
        let state = SessionState {
            epoch: self.epoch,
            status: Status::Failed,
            reason: Some(reason),
            identity: self.identity().cloned(),
            pairing: None,
        };
        self.state_cell.publish(state, &self.context);
        self.answer_declarations();
    }

    pub(super) fn answer_declarations(&mut self) {
        for reply in self.pending_declarations.drain(..) {
            let _ = reply.send(Ok(self.state_cell.snapshot(&self.context)));
        }
    }

    fn session_state(&self, goal: &Goal) -> SessionState {
        let (status, reason) = self.status(goal);
        let pairing = self.pairing.as_ref().filter(|_| matches!(goal, Goal::Pairing(_)));
        SessionState {
            epoch: self.epoch,
            status,
            reason,
            identity: self.identity().cloned(),
            pairing: pairing.map(PairingAttempt::snapshot),
        }
    }

    fn status(&self, goal: &Goal) -> (Status, Option<Reason>) {
        let running = self.spec.as_ref().is_some_and(|spec| spec.running);
        if let Link::Unknown(reason) = &self.link {
            return (Status::Failed, Some(reason.clone()));
        }
        match (goal, &self.connection, &self.pairing) {
            (Goal::Closed, ..) if self.hold == Some(Hold::Suspended) && running => {
                let message = "the connection is closed because the node lost its router; the \
                               session waits for the router";
                (Status::Starting, Some(reasons::connect_failed(message, None)))
            }
            (Goal::Closed, ..) => match &self.closed_status {
                Some((status, reason)) => (*status, Some(reason.clone())),
                None => (Status::Stopped, None),
            },
            (_, Some(handle), _) if handle.is_up() => (Status::Working, None),
            (
                Goal::Pairing(_),
                Some(ConnectionHandle {
                    state: ConnectionState::Queued { waiting_to_link: true },
                    ..
                }),
                _,
            ) => (Status::Starting, Some(reasons::waiting_to_link())),
            (Goal::Pairing(_), Some(_), Some(pairing)) if pairing.is_visible() => {
                (Status::ScanQrCode, pairing.code_failure())
            }
            _ => (Status::Starting, self.retry.reason.clone()),
        }
    }

    pub(super) fn next_timer(&self) -> Option<Instant> {
        let state = self.connection.as_ref().and_then(|handle| match handle.state {
            ConnectionState::Connecting(since) if self.retry.reason.is_none() => {
                Some(since + SLOW_CONNECT)
            }
            ConnectionState::Reconnecting(since, _) => Some(since + MAX_UNREPORTED_DROP),
            _ => None,
        });
        let retry = self.retry.at.filter(|_| self.connection.is_none());
        let code = self.pairing.as_ref().and_then(PairingAttempt::code_ends);
        let unlink = self.unlink.iter().flat_map(|unlink| {
            unlink.waiting.iter().map(|(deadline, _)| *deadline).chain(unlink.retry_at)
        });
        let check = self.connection.as_ref().map(|handle| handle.next_check);
        let closing = self.closing.as_ref().and_then(Closing::slow_at);
        let read = self.next_key_read.filter(|_| self.closing.is_none());
        [state, retry, code, check, closing, read].into_iter().flatten().chain(unlink).min()
    }

    /// Handles an expired timer; [`Self::reconcile`] does the rest.
    pub(super) async fn on_timer(&mut self, now: Instant) {
        self.check_connection(now);
        if let Some(closing) = &mut self.closing {
            closing.update_slow(now);
        } else if self.next_key_read.is_some_and(|at| at <= now) {
            self.read_keys().await;
        }
        if let Some(handle) = &mut self.connection {
            let failure = match &handle.state {
                ConnectionState::Connecting(since) if now >= *since + SLOW_CONNECT => {
                    Some("WhatsApp cannot be reached; the node keeps retrying".to_owned())
                }
                ConnectionState::Reconnecting(since, why)
                    if now >= *since + MAX_UNREPORTED_DROP =>
                {
                    Some(why.clone())
                }
                _ => None,
            };
            if let Some(failure) = failure {
                if matches!(handle.state, ConnectionState::Reconnecting(..)) {
                    handle.state = ConnectionState::Down;
                }
                self.retry.reason = Some(reasons::connect_failed(failure, None));
            }
        }
        let code_ended =
            self.pairing.as_ref().and_then(PairingAttempt::code_ends).is_some_and(|t| t <= now);
        if code_ended && self.pairing.as_mut().is_some_and(|pairing| pairing.on_code_expired(true))
        {
            self.end_pairing(Status::Stopped, reasons::pairing_expired());
        }
        self.give_up_unlinks(now);
    }
}
