//! The unlink of a device: its request to WhatsApp, its retries, and its answers.

use std::time::Duration;

use gateway_protocol::{LoggedOut, LogoutOutcome, Status};
use tokio::time::Instant;
use wacore::iq::devices::RemoveCompanionDeviceSpec;

use super::{
    actor::SessionActor,
    command::Reply,
    model::{Link, PendingUnlink},
};
use crate::{engine_events::ConnectionEvent, reasons};

/// Delay before a failed unlink request is repeated.
const UNLINK_RETRY: Duration = Duration::from_secs(1);

impl SessionActor {
    /// Starts an unlink; ends a pairing attempt. Whether a device is linked is known when no
    /// connection is open that could still link.
    pub(super) fn logout(&mut self, linked: bool, deadline: Instant, reply: Reply<LoggedOut>) {
        self.set_router_knows_link(linked);
        if let Some(spec) = &mut self.spec {
            spec.pairing = None;
        }
        let unlink = self.unlink.get_or_insert(PendingUnlink {
            waiting: Vec::new(),
            sent: false,
            retry_at: None,
        });
        unlink.waiting.push((deadline, reply));
    }

    /// Answers the waiting unlinks if no device is linked or the link state is unknown. Must not be
    /// called while a connection is closing.
    pub(super) fn answer_unlinks(&mut self) {
        let outcome = match &self.link {
            Link::Linked(_) => return,
            Link::NotLinked if self.connection.is_some() => return,
            // The answer to the first request may have been lost.
            Link::NotLinked if self.confirmed_unlink_epoch == Some(self.epoch) => {
                LogoutOutcome::Confirmed
            }
            Link::NotLinked => LogoutOutcome::NotLinked,
            Link::Unknown(_) => LogoutOutcome::Unconfirmed,
        };
        let Some(unlink) = self.unlink.take() else { return };
        self.publish();
        self.answer_logout(outcome, unlink.waiting.into_iter().map(|(_, reply)| reply));
    }

    /// Requests the removal of the device from WhatsApp, if the connection is up and no request is
    /// open.
    ///
    /// The engine's own logout is not used: it returns the same result whether or not WhatsApp
    /// answered.
    pub(super) fn ask_to_unlink(&mut self) {
        let (Some(unlink), Some(handle)) = (&mut self.unlink, &self.connection) else { return };
        let early = unlink.retry_at.is_some_and(|again| again > Instant::now());
        let Some(client) = handle.client.upgrade() else { return };
        if unlink.sent || early || !handle.is_up() {
            return;
        }
        (unlink.sent, unlink.retry_at) = (true, None);
        let events = handle.inner.sender();
        tokio::spawn(async move {
            let answer = match client.pn() {
                Some(device) => client.execute(RemoveCompanionDeviceSpec::new(&device)).await,
                None => Ok(()), // these keys no longer link a device
            };
            drop(client);
            if let Some(events) = events.upgrade() {
                let answer = answer.map_err(|error| error.to_string());
                let _ = events.send(ConnectionEvent::UnlinkAnswered(answer)).await;
            }
        });
    }

    pub(super) fn unlink_failed(&mut self, why: &str) {
        tracing::warn!(
            session = self.state_cell.session.as_str(),
            why,
            "WhatsApp did not unlink the device"
        );
        if let Some(unlink) = &mut self.unlink {
            (unlink.sent, unlink.retry_at) = (false, Some(Instant::now() + UNLINK_RETRY));
        }
    }

    /// Completes an unlink that WhatsApp confirmed.
    pub(super) async fn unlinked_by_owner(&mut self) {
        self.discard_keys().await;
        self.closed_status = Some((Status::Stopped, reasons::logged_out_by_user()));
        self.confirmed_unlink_epoch = Some(self.epoch);
        let waiting = self.unlink.take().into_iter().flat_map(|unlink| unlink.waiting);
        self.reconcile();
        self.answer_logout(LogoutOutcome::Confirmed, waiting.map(|(_, reply)| reply));
    }

    /// Answers unlinks whose deadline has passed with `Unconfirmed`.
    pub(super) fn give_up_unlinks(&mut self, now: Instant) {
        let Some(mut unlink) = self.unlink.take() else { return };
        let (over, waiting): (Vec<_>, Vec<_>) =
            unlink.waiting.into_iter().partition(|(deadline, _)| *deadline <= now);
        unlink.waiting = waiting;
        if !unlink.waiting.is_empty() {
            self.unlink = Some(unlink);
        }
        if !over.is_empty() {
            self.reconcile();
            self.answer_logout(
                LogoutOutcome::Unconfirmed,
                over.into_iter().map(|(_, reply)| reply),
            );
        }
    }

    pub(super) fn answer_logout(
        &self,
        outcome: LogoutOutcome,
        replies: impl IntoIterator<Item = Reply<LoggedOut>>,
    ) {
        for reply in replies {
            let snapshot = self.state_cell.snapshot(&self.context);
            let _ = reply.send(Ok(LoggedOut { outcome, snapshot }));
        }
    }
}
