//! What the router tells a session.

use std::time::Duration;

use gateway_protocol::{
    Declaration, LiveIdentity, LoggedOut, LogoutOutcome, Refusal, RefusalCode, Status,
};
use tokio::time::Instant;
use wacore::{iq::devices::RemoveCompanionDeviceSpec, store::error::StoreError};

use super::{
    ActorExit, Command, ConnectionHandle, Goal, Hold, Link, PendingUnlink, Reply, Retry,
    SessionActor,
};
use crate::{
    keys,
    refusal::{refusal, stale_epoch, unavailable},
    translate::{self, ConnectionEvent},
};

/// How soon an unlink that failed is tried again.
const UNLINK_RETRY: Duration = Duration::from_secs(1);

impl SessionActor {
    pub(super) fn on_command(&mut self, command: Command) {
        match command {
            Command::Declare(declaration, reply) => match self.accept_epoch(declaration.epoch) {
                Ok(()) => {
                    self.declare(declaration);
                    self.pending_declarations.push(reply);
                }
                Err(refusal) => drop(reply.send(Err(refusal))),
            },
            Command::Logout { epoch, linked, within, reply } => match self.accept_epoch(epoch) {
                Ok(()) => self.logout(linked, Instant::now() + within, reply),
                Err(refusal) => drop(reply.send(Err(refusal))),
            },
            Command::Forget { epoch, linked, reply } => match self.accept_epoch(epoch) {
                Ok(()) => self.forget(linked, reply),
                Err(refusal) => drop(reply.send(Err(refusal))),
            },
            Command::Identity(reply) => drop(reply.send(Ok(self.live_identity()))),
            Command::Suspend => self.suspend(),
            Command::Release { epoch } if epoch < self.epoch => {}
            Command::Release { .. } => self.release(),
            #[cfg(test)]
            Command::Panic => panic!("asked for by a test"),
        }
    }

    /// The node's leases ran out: whatever is open closes, an unlink that is waited for included.
    fn suspend(&mut self) {
        if let Some(unlink) = self.unlink.take() {
            let waiting = unlink.waiting.into_iter().map(|(_, reply)| reply);
            self.answer_logout(LogoutOutcome::Unconfirmed, waiting);
        }
        // What could not be read may be read again before the router is heard again.
        let running = self.spec.as_ref().is_some_and(|spec| spec.running);
        let unknown = running && self.hold.is_none() && matches!(self.link, Link::Unknown(_));
        if unknown || self.goal() != Goal::Closed {
            self.hold = Some(Hold::Suspended);
        }
    }

    /// A command that is older than what was heard is a delayed one, and without a lease all are.
    fn accept_epoch(&mut self, epoch: u64) -> Result<(), Refusal> {
        if self.context.generation() == 0 {
            return Err(unavailable("this node is not enlisted"));
        }
        if epoch < self.epoch {
            return Err(stale_epoch(self.epoch));
        }
        self.epoch = epoch;
        Ok(())
    }

    fn declare(&mut self, declaration: Declaration) {
        self.set_router_knows_link(declaration.linked);
        self.state_cell.set_group(declaration.group.as_deref());
        self.releasing = false;
        let before = self.spec.replace(declaration);
        let Some(spec) = &self.spec else { return };
        let restarted = before.as_ref().is_some_and(|b| b.restarts < spec.restarts);
        let started = before.as_ref().is_some_and(|b| !b.running && spec.running);
        let fresh_attempt = spec.running
            && spec.pairing.as_ref().is_some_and(|p| p.attempt > self.ended_attempt)
            && self.identity().is_none();
        let held = self.hold;
        if held != Some(Hold::Rejected) || restarted || started || !spec.running {
            self.hold = None;
        }
        if restarted || started {
            self.retry = Retry::default();
        }
        let failed = matches!(self.closed_status, Some((Status::Failed, _)));
        let tried_again = held.is_some() && self.hold.is_none();
        if fresh_attempt || tried_again || (failed && !spec.running) {
            self.closed_status = None;
        }
    }

    /// An attempt at linking ends by this. What there is to unlink is known when nothing is open any
    /// more that could link a device.
    fn logout(&mut self, linked: bool, deadline: Instant, reply: Reply<LoggedOut>) {
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

    /// Answers those that want a device unlinked of which none is linked, or nobody knows. To be called
    /// when nothing is being closed.
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

    /// Asks WhatsApp to drop the device, when it can be asked and was not.
    ///
    /// Not by the engine's own logout, which says the same whether or not WhatsApp answered.
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
                None => Ok(()), // not linked by these keys any more
            };
            drop(client);
            if let Some(events) = events.upgrade() {
                let answer = answer.map_err(|error| error.to_string());
                let _ = events.send(ConnectionEvent::UnlinkAnswered(answer)).await;
            }
        });
    }

    pub(super) fn unlink_failed(&mut self, why: &str) {
        tracing::warn!(session = self.state_cell.session.as_str(), why, "WhatsApp did not unlink");
        if let Some(unlink) = &mut self.unlink {
            (unlink.sent, unlink.retry_at) = (false, Some(Instant::now() + UNLINK_RETRY));
        }
    }

    /// The device is gone, as its owner wanted.
    pub(super) async fn unlinked_by_owner(&mut self) {
        self.discard_keys().await;
        self.closed_status = Some((Status::Stopped, translate::logged_out_by_user()));
        self.confirmed_unlink_epoch = Some(self.epoch);
        let waiting = self.unlink.take().into_iter().flat_map(|unlink| unlink.waiting);
        self.reconcile();
        self.answer_logout(LogoutOutcome::Confirmed, waiting.map(|(_, reply)| reply));
    }

    /// Those whose deadline has passed hear that nothing is known.
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

    fn answer_logout(
        &self,
        outcome: LogoutOutcome,
        replies: impl IntoIterator<Item = Reply<LoggedOut>>,
    ) {
        for reply in replies {
            let snapshot = self.state_cell.snapshot(&self.context);
            let _ = reply.send(Ok(LoggedOut { outcome, snapshot }));
        }
    }

    /// Closes, and wipes the keys when that is done: see [`Self::leave_if_requested`].
    fn forget(&mut self, linked: bool, reply: Reply<()>) {
        self.spec = None;
        self.unlink = None;
        self.pending_forgets.push((linked, reply));
    }

    /// Closes; keys that link a device are kept.
    fn release(&mut self) {
        self.spec = None;
        self.hold = None;
        self.closed_status = None;
        self.releasing = true;
    }

    /// Leaves the node if that is wanted, nothing is open, and no device is linked that somebody might
    /// want unlinked.
    pub(super) async fn leave_if_requested(&mut self) {
        self.begin_closing_to_leave();
        if self.closing.is_some() || self.connection.is_some() {
            return;
        }
        if std::mem::take(&mut self.releasing)
            && matches!(self.link, Link::NotLinked)
            && self.wipe().await.is_ok()
        {
            self.mailbox.close();
            self.ending = Some(ActorExit::Released(self.epoch));
        }
        let waiting = std::mem::take(&mut self.pending_forgets);
        if !waiting.is_empty() {
            self.wipe_and_forget(waiting).await;
        }
    }

    fn begin_closing_to_leave(&mut self) {
        if self.releasing || !self.pending_forgets.is_empty() {
            self.begin_closing();
        }
    }

    async fn wipe_and_forget(&mut self, mut waiting: Vec<(bool, Reply<()>)>) {
        let all_the_same = waiting.iter().any(|(linked, _)| *linked);
        let refused = match &self.link {
            _ if all_the_same => None,
            Link::NotLinked => None,
            Link::Linked(_) => {
                Some(refusal(RefusalCode::StillLinked, "a device is linked; it must be unlinked"))
            }
            Link::Unknown(reason) => Some(unavailable(reason.message.clone())),
        };
        let refused = match refused {
            Some(refused) => Some(refused),
            None => self.wipe().await.err().map(|error| {
                refusal(RefusalCode::Internal, format!("the keys cannot be removed: {error}"))
            }),
        };
        if let Some(refused) = refused {
            for (_, reply) in waiting {
                let _ = reply.send(Err(refused.clone()));
            }
            return;
        }
        self.mailbox.close();
        while let Some(command) = self.mailbox.recv().await {
            if let Command::Forget { linked, reply, .. } = command {
                waiting.push((linked, reply));
            }
        }
        let waiting = waiting.into_iter().map(|(_, reply)| reply).collect();
        self.ending = Some(ActorExit::Forgotten(self.epoch, waiting));
    }

    /// Wipes the keys; nothing has them open.
    async fn wipe(&mut self) -> Result<(), StoreError> {
        let _keys = self.state_cell.key_lock.clone().lock_owned().await;
        let wiped = self.context.key_store.wipe(&self.state_cell.session).await;
        if let Err(error) = &wiped {
            tracing::error!(session = self.state_cell.session.as_str(), %error, "keys not wiped");
        }
        wiped
    }

    /// Closes, and removes keys that WhatsApp no longer knows; gone or not, they link nobody.
    pub(super) async fn discard_keys(&mut self) {
        self.close().await;
        let _keys = self.state_cell.key_lock.clone().lock_owned().await;
        if let Err(error) = self.context.key_store.discard(&self.state_cell.session).await {
            tracing::error!(session = self.state_cell.session.as_str(), %error, "void keys not removed");
        }
        (self.link, self.keys_missing, self.next_key_read) = (Link::NotLinked, false, None);
    }

    /// Looked at this very moment, so that it never contradicts what is shown.
    fn live_identity(&mut self) -> LiveIdentity {
        self.check_connection(Instant::now());
        self.reconcile();
        let mut snapshot = self.state_cell.snapshot(&self.context);
        let connected = self.connection.as_ref().is_some_and(ConnectionHandle::is_up);
        if snapshot.status == Status::Working && !connected {
            snapshot.status = Status::Starting; // it is being closed, which is not shown before it is
        }
        let client = self.connection.as_ref().and_then(|handle| handle.client.upgrade());
        let named = client.and_then(|client| {
            keys::device_identity(&client.persistence_manager().get_device_snapshot())
        });
        let identity = named.or_else(|| self.identity().cloned());
        LiveIdentity { connected, identity, snapshot: Some(snapshot) }
    }
}
