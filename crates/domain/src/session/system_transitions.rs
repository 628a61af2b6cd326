//! System transitions: changes of a session without a request, as pure rules. Assignment to nodes,
//! deadlines, lost nodes, retries and completed unlinks.
//!
//! Decision: ADR 0005.

use crate::{
    deadlines::Deadlines,
    event::{fields::Omittable, payload::EventPayload},
    id::GatewayId,
    session::{
        change::Change,
        model::Session,
        observed::Snapshot,
        spec::Desired,
        status::{ReasonCode, Status, StatusReason},
        unlink::LogoutOutcome,
    },
    time::Timestamp,
};

impl Session {
    /// Completes an unlink with its outcome. `last` is the newest snapshot of the node. Returns
    /// `None` if no unlink is in progress.
    pub fn complete_unlink(
        mut self,
        outcome: LogoutOutcome,
        last: Option<&Snapshot>,
        now: Timestamp,
    ) -> Option<Change> {
        self.spec.unlink.take()?;
        if let Some(last) = last {
            (self.observed.epoch, self.observed.generation, self.observed.seq) =
                (last.epoch, last.generation, last.seq);
        }
        self.observed.identity = None;
        let reason = StatusReason {
            code: ReasonCode::LoggedOutByUser,
            message: match outcome {
                LogoutOutcome::Unconfirmed => {
                    "logged out; WhatsApp did not confirm it, check the phone's linked devices"
                }
                LogoutOutcome::Confirmed | LogoutOutcome::NotLinked => "logged out",
            }
            .to_owned(),
            since: now,
            retry_at: None,
        };
        self.observed.settle(Status::Stopped, Some(reason));
        self.due = None;
        self.leave_node_when_unlinked();
        Some(self.status_event(Some(outcome)))
    }

    /// Ends a transitional status whose deadline is over.
    pub fn expire(mut self, now: Timestamp) -> Change {
        if self.spec.pairing.is_some() && self.observed.status == Status::ScanQrCode {
            // The node did not end the attempt, so it gets a declaration with a new epoch. Its
            // answer shows a phone that linked in the meantime.
            self.spec.epoch += 1;
            let message = "no phone was linked in time";
            let mut change = self.end_pairing(ReasonCode::PairingExpired, message, now);
            change.session.due = Some(now);
            return change;
        }
        // The reason of a failed connection is more precise than a timeout.
        let reason = match self.observed.reason.take() {
            Some(reason) if reason.code == ReasonCode::ConnectFailed => reason,
            _ => StatusReason {
                code: ReasonCode::StartTimeout,
                message: "the session did not start in time".to_owned(),
                since: now,
                retry_at: None,
            },
        };
        self.settle_unreported(Status::Failed, Some(reason));
        self.due = Some(now);
        self.status_event(None)
    }

    /// Ends a pairing attempt without a link, and sets the spec to `stopped`.
    pub(super) fn end_pairing(mut self, code: ReasonCode, message: &str, now: Timestamp) -> Change {
        self.spec.pairing = None;
        self.spec.desired = Desired::Stopped;
        // A missing phone is an expected outcome, not a failure.
        let status =
            if code == ReasonCode::PairingExpired { Status::Stopped } else { Status::Failed };
        let reason = StatusReason { code, message: message.to_owned(), since: now, retry_at: None };
        self.observed.settle(status, Some(reason));
        let mut change = self.status_event(None);
        change.add_event(EventPayload::AuthExpired { reason: code });
        change
    }

    /// Marks the connection as lost after the node's lease and margin are over.
    pub fn mark_node_lost(mut self, now: Timestamp) -> Change {
        let reason = (self.spec.desired == Desired::Running).then(|| StatusReason {
            code: ReasonCode::GatewayLost,
            message: "the gateway of the session does not respond".to_owned(),
            since: now,
            retry_at: None,
        });
        let status = if reason.is_some() { Status::Failed } else { Status::Stopped };
        self.settle_unreported(status, reason);
        self.due = None;
        self.status_event(None)
    }

    /// Sets a status that no node reported. Such a status confirms no link state: if the node did
    /// not know the link state, a new epoch makes the node report it again.
    fn settle_unreported(&mut self, status: Status, reason: Option<StatusReason>) {
        let (unknown, unlinked) = (self.has_unavailable_keys(), self.is_certainly_unlinked());
        self.observed.settle(status, reason);
        if unknown || (!unlinked && self.is_certainly_unlinked()) {
            self.spec.epoch += 1;
        }
    }

    /// Assigns a node. The device keys will be stored on this node.
    pub fn assign_node(mut self, gateway: GatewayId, now: Timestamp) -> Change {
        self.gateway = Some(gateway);
        self.spec.epoch += 1;
        self.due = Some(now);
        Change::of(self)
    }

    /// Removes the assignment to a node without room, which holds no part of the session. A paired
    /// session keeps its node, because its keys are there.
    pub fn unassign_node(mut self) -> Change {
        if !self.is_paired() {
            self.gateway = None;
        }
        // The session waits for room on a node, not for a time.
        self.due = self.rest_until();
        Change::of(self)
    }

    /// Advances the epoch after a node reported a newer one, for example after the database was
    /// restored from a backup. The steps double with each failure.
    pub fn advance_epoch(mut self, due: Timestamp) -> Change {
        self.spec.epoch += 1 << self.failures.min(16);
        self.failures += 1;
        self.due = Some(due);
        Change::of(self)
    }

    /// Retries a failed connection.
    pub fn retry(mut self, now: Timestamp, deadlines: &Deadlines) -> Change {
        self.spec.restarts += 1;
        self.spec.epoch += 1;
        self.due = Some(now);
        self.observed.begin_starting(now, deadlines);
        self.status_event(None)
    }

    /// Releases the node of an unlinked session that is stopped, so that the node has room for
    /// others. The node wipes its data after the answer to its next heartbeat.
    pub(super) fn leave_node_when_unlinked(&mut self) {
        let idle = self.spec.desired == Desired::Stopped && self.spec.unlink.is_none();
        if idle && self.is_certainly_unlinked() {
            self.gateway = None;
        }
    }

    /// Returns the time of the next step without a change: the earliest of deadline, retry and
    /// unlink deadline.
    pub fn rest_until(&self) -> Option<Timestamp> {
        let retry = self.observed.reason.as_ref().and_then(|reason| reason.retry_at);
        let retry = retry.filter(|_| {
            self.observed.status == Status::Failed && self.spec.desired == Desired::Running
        });
        let unlink = self.spec.unlink.as_ref().map(|unlink| unlink.deadline);
        [self.observed.deadline, retry, unlink].into_iter().flatten().min()
    }

    /// Adds the event with the present status. `unlink` is the outcome of the unlink that the change
    /// completes.
    pub(super) fn status_event(self, unlink: Option<LogoutOutcome>) -> Change {
        let reason = self.observed.reason.as_ref();
        let payload = EventPayload::SessionStatus {
            status: self.observed.status,
            reason: reason.map(|reason| reason.code),
            message: reason.map(|reason| reason.message.clone()),
            unlink: Omittable(unlink),
        };
        let mut change = Change::of(self);
        change.add_event(payload);
        change
    }
}
