//! What the router tells a session.

use std::time::Duration;

use gateway_protocol::{
    Declaration, LiveIdentity, LoggedOut, LogoutOutcome, Refusal, RefusalCode, Status,
};
use tokio::time::Instant;
use wacore::{iq::devices::RemoveCompanionDeviceSpec, store::error::StoreError};

use super::{Command, Ending, Goal, Hold, Reply, Retry, Session, Unlink};
use crate::{
    keys,
    refusal::{refusal, stale, unavailable},
    translate::{self, Sight},
};

/// How long stragglers of earlier connections may delay a wipe.
const PATIENCE: Duration = Duration::from_secs(10);
/// How soon an unlink that failed is tried again.
const AGAIN: Duration = Duration::from_secs(1);

impl Session {
    pub(super) async fn obey(&mut self, command: Command) {
        match command {
            Command::Declare(declaration, reply) => match self.heed(declaration.epoch) {
                Ok(()) => {
                    self.declare(declaration);
                    self.declared.push(reply);
                }
                Err(refusal) => drop(reply.send(Err(refusal))),
            },
            Command::Logout { epoch, within, reply } => match self.heed(epoch) {
                Ok(()) => self.logout(Instant::now() + within, reply),
                Err(refusal) => drop(reply.send(Err(refusal))),
            },
            Command::Forget { epoch, reply } => match self.heed(epoch) {
                Ok(()) => self.forget(reply).await,
                Err(refusal) => drop(reply.send(Err(refusal))),
            },
            Command::Identity(reply) => drop(reply.send(Ok(self.live_identity()))),
            Command::Suspend => self.suspend(),
            Command::Release => self.release().await,
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
        if self.goal() != Goal::Closed {
            self.hold = Some(Hold::Suspended);
        }
    }

    /// A command that is older than what was heard is a delayed one, and without a lease all are.
    fn heed(&mut self, epoch: u64) -> Result<(), Refusal> {
        if self.context.boot() == 0 {
            return Err(unavailable("this node is not enlisted"));
        }
        if epoch < self.epoch {
            return Err(stale(self.epoch));
        }
        self.epoch = epoch;
        Ok(())
    }

    fn declare(&mut self, declaration: Declaration) {
        let before = self.wanted.replace(declaration);
        let Some(wanted) = &self.wanted else { return };
        let restarted = before.as_ref().is_some_and(|b| b.restarts < wanted.restarts);
        let started = before.as_ref().is_some_and(|b| !b.running && wanted.running);
        let fresh_attempt = wanted.running
            && wanted.pairing.as_ref().is_some_and(|p| p.attempt > self.spent)
            && self.identity.is_none();
        let held = self.hold;
        if held != Some(Hold::Barred) || restarted || started || !wanted.running {
            self.hold = None;
        }
        if restarted || started {
            self.retry = Retry::default();
        }
        let failed = matches!(self.rest, Some((Status::Failed, _)));
        let tried_again = held.is_some() && self.hold.is_none();
        if fresh_attempt || tried_again || (failed && !wanted.running) {
            self.rest = None;
        }
    }

    fn logout(&mut self, deadline: Instant, reply: Reply<LoggedOut>) {
        if self.identity.is_none() {
            return self.answer_logout(LogoutOutcome::NotLinked, [reply]);
        }
        let unlink =
            self.unlink.get_or_insert(Unlink { waiting: Vec::new(), asked: false, again: None });
        unlink.waiting.push((deadline, reply));
    }

    /// Asks WhatsApp to drop the device, when it can be asked and was not.
    ///
    /// Not by the engine's own logout, which says the same whether or not WhatsApp answered.
    pub(super) fn ask_to_unlink(&mut self) {
        let (Some(unlink), Some(line)) = (&mut self.unlink, &self.line) else { return };
        let early = unlink.again.is_some_and(|again| again > Instant::now());
        let Some(client) = line.client.upgrade() else { return };
        if unlink.asked || early || !line.is_up() {
            return;
        }
        (unlink.asked, unlink.again) = (true, None);
        let sights = line.connection.sender();
        tokio::spawn(async move {
            let answer = match client.pn() {
                Some(device) => client.execute(RemoveCompanionDeviceSpec::new(&device)).await,
                None => Ok(()), // not linked by these keys any more
            };
            drop(client);
            if let Some(sights) = sights.upgrade() {
                let answer = answer.map_err(|error| error.to_string());
                let _ = sights.send(Sight::UnlinkAnswered(answer)).await;
            }
        });
    }

    pub(super) fn unlink_failed(&mut self, why: &str) {
        tracing::warn!(session = self.cell.session.as_str(), why, "WhatsApp did not unlink");
        if let Some(unlink) = &mut self.unlink {
            (unlink.asked, unlink.again) = (false, Some(Instant::now() + AGAIN));
        }
    }

    /// The device is gone, as its owner wanted.
    pub(super) async fn unlinked_by_owner(&mut self) {
        self.burn_void().await;
        self.rest = Some((Status::Stopped, translate::logged_out_by_user()));
        let waiting = self.unlink.take().into_iter().flat_map(|unlink| unlink.waiting);
        self.settle();
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
            self.settle();
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
            let snapshot = self.cell.snapshot(&self.context);
            let _ = reply.send(Ok(LoggedOut { outcome, snapshot }));
        }
    }

    async fn forget(&mut self, reply: Reply<()>) {
        self.wanted = None;
        self.unlink = None;
        if let Err(error) = self.burn().await {
            let _ = reply.send(Err(refusal(
                RefusalCode::Internal,
                format!("the keys cannot be removed: {error}"),
            )));
            return;
        }
        let mut waiting = vec![reply];
        self.mailbox.close();
        while let Some(command) = self.mailbox.recv().await {
            if let Command::Forget { reply, .. } = command {
                waiting.push(reply);
            }
        }
        self.ending = Some(Ending::Forgotten(self.epoch, waiting));
    }

    async fn release(&mut self) {
        self.wanted = None;
        self.hold = None;
        self.rest = None;
        if self.identity.is_none() && self.burn().await.is_ok() {
            self.mailbox.close();
            self.ending = Some(Ending::Released(self.epoch));
        }
    }

    /// Closes and wipes the keys.
    pub(super) async fn burn(&mut self) -> Result<(), StoreError> {
        self.close_line().await;
        let keys = tokio::time::timeout(PATIENCE, self.cell.keys.clone().lock_owned()).await;
        if keys.is_err() {
            tracing::warn!(
                session = self.cell.session.as_str(),
                "keys wiped while still held open"
            );
        }
        let wiped = self.context.vault.wipe(&self.cell.session).await;
        match &wiped {
            Ok(()) => self.identity = None,
            Err(error) => {
                tracing::error!(session = self.cell.session.as_str(), %error, "keys not wiped");
            }
        }
        wiped
    }

    /// Wipes keys that WhatsApp no longer knows; gone or not, they link nobody.
    pub(super) async fn burn_void(&mut self) {
        if self.burn().await.is_err() {
            self.identity = None;
        }
    }

    fn live_identity(&self) -> LiveIdentity {
        let client = self.line.as_ref().and_then(|line| line.client.upgrade());
        let Some(client) = client else {
            return LiveIdentity { connected: false, identity: self.identity.clone() };
        };
        let device = client.persistence_manager().get_device_snapshot();
        LiveIdentity {
            connected: client.is_connected() && client.is_logged_in(),
            identity: keys::identity_of(&device).or_else(|| self.identity.clone()),
        }
    }
}
