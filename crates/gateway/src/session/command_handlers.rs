//! Handles the commands of the router.

use gateway_protocol::{Declaration, LiveIdentity, LogoutOutcome, Refusal, Status};
use tokio::time::Instant;

use super::{
    actor::SessionActor,
    command::Command,
    model::{ConnectionHandle, Goal, Hold, Link, Retry},
};
use crate::{
    keys,
    reconnects::{ReconnectReason, count_reconnect},
    refusal::{stale_epoch, unavailable},
};

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
            Command::Panic => panic!("requested by a test"),
        }
    }

    /// Closes the connection because the lease has ended, also if an unlink waits for its answer.
    fn suspend(&mut self) {
        if let Some(unlink) = self.unlink.take() {
            let waiting = unlink.waiting.into_iter().map(|(_, reply)| reply);
            self.answer_logout(LogoutOutcome::Unconfirmed, waiting);
        }
        // Unreadable keys may become readable before the next heartbeat is answered.
        let running = self.spec.as_ref().is_some_and(|spec| spec.running);
        let unknown = running && self.hold.is_none() && matches!(self.link, Link::Unknown(_));
        if unknown || self.goal() != Goal::Closed {
            if self.connection.as_ref().is_some_and(ConnectionHandle::has_no_drop) {
                count_reconnect(ReconnectReason::LeaseEnded);
            }
            self.hold = Some(Hold::Suspended);
        }
    }

    /// Accepts the epoch of a command. Rejects an older epoch, because the command was delayed, and
    /// rejects every command without a lease.
    fn accept_epoch(&mut self, epoch: u64) -> Result<(), Refusal> {
        if self.context.generation() == 0 {
            return Err(unavailable("this node is not registered with a router"));
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

    /// Checks the connection first, so that the answer agrees with the published state.
    fn live_identity(&mut self) -> LiveIdentity {
        self.check_connection(Instant::now());
        self.reconcile();
        let mut snapshot = self.state_cell.snapshot(&self.context);
        let connected = self.connection.as_ref().is_some_and(ConnectionHandle::is_up);
        if snapshot.status == Status::Working && !connected {
            snapshot.status = Status::Starting; // the closing is not published before its end
        }
        let client = self.connection.as_ref().and_then(|handle| handle.client.upgrade());
        let named = client.and_then(|client| {
            keys::device_identity(&client.persistence_manager().get_device_snapshot())
        });
        let identity = named.or_else(|| self.identity().cloned());
        LiveIdentity { connected, identity, snapshot: Some(snapshot) }
    }
}
