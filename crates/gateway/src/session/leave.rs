//! How a session leaves the node: by forget or by release.

use gateway_protocol::RefusalCode;
use wacore::store::error::StoreError;

use super::{
    actor::SessionActor,
    command::{ActorExit, Command, Reply},
    model::Link,
};
use crate::refusal::{refusal, unavailable};

impl SessionActor {
    /// Requests that the session is closed and its keys wiped; [`Self::leave_if_requested`] does
    /// both.
    pub(super) fn forget(&mut self, linked: bool, reply: Reply<()>) {
        self.spec = None;
        self.unlink = None;
        self.pending_forgets.push((linked, reply));
    }

    /// Requests that the session leaves the node; keys that link a device stay.
    pub(super) fn release(&mut self) {
        self.spec = None;
        self.hold = None;
        self.closed_status = None;
        self.releasing = true;
    }

    /// Leaves the node if that is requested and no connection is open or closing. A release does
    /// not leave while a device is linked; a forget does so only with `linked`.
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

    /// Wipes the keys under the key lock.
    async fn wipe(&mut self) -> Result<(), StoreError> {
        let _keys = self.state_cell.key_lock.clone().lock_owned().await;
        self.state_cell.sender.clear();
        let wiped = self.context.key_store.wipe(&self.state_cell.session).await;
        if let Err(error) = &wiped {
            let session = self.state_cell.session.as_str();
            tracing::error!(session, %error, "cannot wipe the keys");
        }
        wiped
    }

    /// Closes the connection and discards keys that WhatsApp no longer accepts. The session counts
    /// as not linked even if the file cannot be written.
    pub(super) async fn discard_keys(&mut self) {
        self.close().await;
        // What was accepted for this account must not leave from another.
        self.state_cell.sender.clear();
        let _keys = self.state_cell.key_lock.clone().lock_owned().await;
        if let Err(error) = self.context.key_store.discard(&self.state_cell.session).await {
            let session = self.state_cell.session.as_str();
            tracing::error!(session, %error, "cannot discard void keys");
        }
        (self.link, self.keys_missing, self.next_key_read) = (Link::NotLinked, false, None);
    }
}
