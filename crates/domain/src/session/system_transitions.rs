//! What happens to a session without its owner asking: placement, deadlines, lost nodes, another try,
//! and an unlink that came true. Pure rules.
//!
//! Decision: ADR 0005.

use super::{Change, Desired, ReasonCode, Session, Status, StatusReason};
use crate::{
    Deadlines, EventName, EventValue, GatewayId, LogoutOutcome, NewEvent, Snapshot, Timestamp,
};

impl Session {
    /// The device is unlinked, or given up; `last` is the node's word on it. `None` when no unlink was
    /// under way.
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
        let mut change = self.status_event();
        if let Some(last) = change.new_events.last_mut() {
            last.payload.push(("unlink".into(), outcome.as_str().into()));
        }
        Some(change)
    }

    /// The time for a transitional status is up.
    pub fn expire(mut self, now: Timestamp) -> Change {
        if self.spec.pairing.is_some() && self.observed.status == Status::ScanQrCode {
            // The node did not say so: it is told, and a phone that was quicker is known by its answer.
            self.spec.epoch += 1;
            let message = "nobody linked a phone in time";
            let mut change = self.end_pairing(ReasonCode::PairingExpired, message, now);
            change.session.due = Some(now);
            return change;
        }
        // A connection that cannot be made keeps its own reason; it says more than "too late".
        let reason = match self.observed.reason.take() {
            Some(reason) if reason.code == ReasonCode::ConnectFailed => reason,
            _ => StatusReason {
                code: ReasonCode::StartTimeout,
                message: "it did not come up in time".to_owned(),
                since: now,
                retry_at: None,
            },
        };
        self.observed.settle(Status::Failed, Some(reason));
        self.due = Some(now);
        self.status_event()
    }

    /// A pairing attempt ended without a link; what the owner wished for ends with it.
    pub(super) fn end_pairing(mut self, code: ReasonCode, message: &str, now: Timestamp) -> Change {
        self.spec.pairing = None;
        self.spec.desired = Desired::Stopped;
        // That nobody came is an outcome, not a fault.
        let status =
            if code == ReasonCode::PairingExpired { Status::Stopped } else { Status::Failed };
        let reason = StatusReason { code, message: message.to_owned(), since: now, retry_at: None };
        self.observed.settle(status, Some(reason));
        let mut change = self.status_event();
        change.add_event(NewEvent::new(
            EventName::AuthExpired,
            vec![("reason", code.as_str().into())],
        ));
        change
    }

    /// Its node is not heard of, and has closed its connections by now.
    pub fn mark_node_lost(mut self, now: Timestamp) -> Change {
        let reason = (self.spec.desired == Desired::Running).then(|| StatusReason {
            code: ReasonCode::GatewayLost,
            message: "the gateway that holds it is not heard of".to_owned(),
            since: now,
            retry_at: None,
        });
        let status = if reason.is_some() { Status::Failed } else { Status::Stopped };
        self.observed.settle(status, reason);
        self.due = None;
        self.status_event()
    }

    /// Lives on this node from now on; its keys will be there.
    pub fn assign_node(mut self, gateway: GatewayId, now: Timestamp) -> Change {
        self.gateway = Some(gateway);
        self.spec.epoch += 1;
        self.due = Some(now);
        Change::of(self)
    }

    /// Its node had no room for it, and so holds nothing of it. Not while a device is linked: its keys
    /// are on that node, and the session never moves.
    pub fn unassign_node(mut self) -> Change {
        if !self.is_paired() {
            self.gateway = None;
        }
        // Room is what it waits for, not a moment.
        self.due = self.rest_until();
        Change::of(self)
    }

    /// Its node knows a newer epoch, as after the router's database was restored from a copy: gets
    /// ahead of it, in growing steps.
    pub fn advance_epoch(mut self, due: Timestamp) -> Change {
        self.spec.epoch += 1 << self.failures.min(16);
        self.failures += 1;
        self.due = Some(due);
        Change::of(self)
    }

    /// Tries a failed connection again.
    pub fn retry(mut self, now: Timestamp, deadlines: &Deadlines) -> Change {
        self.spec.restarts += 1;
        self.spec.epoch += 1;
        self.due = Some(now);
        self.observed.begin_starting(now, deadlines);
        self.status_event()
    }

    /// A session without a link needs its node no longer once nothing is wanted of it: the node's room
    /// is for others. The node wipes what it has when its next heartbeat is answered.
    pub(super) fn leave_node_when_unlinked(&mut self) {
        let idle = self.spec.desired == Desired::Stopped && self.spec.unlink.is_none();
        if idle && self.is_certainly_unlinked() {
            self.gateway = None;
        }
    }

    /// When it needs a look although nothing happens: its deadline, or the moment to try again.
    pub fn rest_until(&self) -> Option<Timestamp> {
        let retry = self.observed.reason.as_ref().and_then(|reason| reason.retry_at);
        let retry = retry.filter(|_| {
            self.observed.status == Status::Failed && self.spec.desired == Desired::Running
        });
        let unlink = self.spec.unlink.as_ref().map(|unlink| unlink.deadline);
        [self.observed.deadline, retry, unlink].into_iter().flatten().min()
    }

    /// Tells of the status as it is now.
    pub(super) fn status_event(self) -> Change {
        let payload = vec![
            ("status", self.observed.status.as_str().into()),
            (
                "reason",
                self.observed.reason.as_ref().map_or(EventValue::Null, |r| r.code.as_str().into()),
            ),
            ("message", self.observed.reason.as_ref().map(|r| r.message.as_str()).into()),
        ];
        let mut change = Change::of(self);
        change.add_event(NewEvent::new(EventName::SessionStatus, payload));
        change
    }
}
