//! What owners can ask of a session, and what time does to it: pure rules.
//!
//! | asked        | unpaired                      | paired, running      | paired, stopped or failed |
//! |--------------|-------------------------------|----------------------|---------------------------|
//! | pair         | an attempt begins or goes on  | conflict             | conflict                  |
//! | start        | conflict                      | nothing              | `starting`                |
//! | stop         | the attempt ends              | closes, stays linked | closes, stays linked      |
//! | restart      | conflict                      | `starting`           | `starting`                |
//! | logout       | nothing, or the attempt ends  | unlinks              | unlinks                   |
//! | delete       | gone, a retirement remains    | the same             | the same                  |
//!
//! While an unlink is under way, stop and delete go through and whatever needs a device conflicts.

use std::time::Duration;

use super::{Change, Desired, ReasonCode, Seen, Session, Status, StatusReason, Unlink};
use crate::{
    Actor, Deadlines, Error, EventName, Fact, GatewayId, LogoutOutcome, News, PairingWanted, Phone,
    Result, Retirement, Snapshot, Timestamp,
};

impl Session {
    /// The session is new.
    pub fn created(self) -> Change {
        let label = self.settings.label.as_deref().into();
        let mut change = Change::of(self);
        change.tell(News::new(EventName::SessionCreated, vec![("label", label)]));
        change
    }

    /// Begins an attempt at linking, or goes on with the one under way; `None` when that already does
    /// what is asked. With a phone, a code to type is made besides the QR codes.
    ///
    /// # Errors
    /// A conflict when a device is linked, or still being unlinked.
    pub fn pair(
        mut self,
        phone: Option<&Phone>,
        now: Timestamp,
        deadlines: &Deadlines,
    ) -> Result<Option<Change>> {
        self.refuse_while_unlinking()?;
        if self.is_paired() {
            return Err(Error::conflict("the session is paired; log it out to pair it again"));
        }
        let epoch = self.wanted.epoch + 1;
        if self.seen.status == Status::Failed {
            // What failed does not come back by waiting: begin afresh.
            self.wanted.pairing = None;
        }
        match (&mut self.wanted.pairing, phone) {
            (Some(_), None) => return Ok(None),
            (Some(under_way), Some(phone)) => {
                let asked = under_way.phone.as_deref() == Some(phone.as_str());
                let over =
                    self.seen.code_expired(under_way.request, now) || self.seen.code_refused();
                if asked && !over {
                    return Ok(None);
                }
                self.seen.reason = None;
                under_way.phone = Some(phone.as_str().to_owned());
                under_way.request = epoch;
            }
            (none @ None, phone) => {
                let phone = phone.map(|p| p.as_str().to_owned());
                *none = Some(PairingWanted { attempt: epoch, phone, request: epoch });
                self.seen.pairing = None;
                self.seen.begin_starting(now, deadlines);
            }
        }
        self.wanted.desired = Desired::Running;
        Ok(Some(self.requested("pair", now)))
    }

    /// Connects a paired session; `None` when it is wanted connected and not failed.
    ///
    /// # Errors
    /// A conflict when no device is linked, or one is still being unlinked.
    pub fn start(mut self, now: Timestamp, deadlines: &Deadlines) -> Result<Option<Change>> {
        self.refuse_unless_paired()?;
        let failed = self.seen.status == Status::Failed;
        if self.wanted.desired == Desired::Running && !failed {
            return Ok(None);
        }
        self.wanted.desired = Desired::Running;
        // A node that gave up on this connection tries again only for a new one.
        self.wanted.restarts += u64::from(failed);
        self.seen.begin_starting(now, deadlines);
        Ok(Some(self.requested("start", now)))
    }

    /// Closes the connection, or ends the pairing attempt; the device stays linked. `None` when there
    /// is nothing to close.
    pub fn stop(mut self, now: Timestamp) -> Option<Change> {
        let idle = self.wanted.desired == Desired::Stopped && self.wanted.pairing.is_none();
        if idle && self.seen.status == Status::Stopped || self.wanted.unlink.is_some() {
            return None;
        }
        self.wanted.desired = Desired::Stopped;
        self.wanted.pairing = None;
        self.seen.reason = None;
        if self.gateway.is_none() {
            self.seen.settle(Status::Stopped, None);
        }
        Some(self.requested("stop", now))
    }

    /// Closes the connection and makes a new one.
    ///
    /// # Errors
    /// A conflict when no device is linked, or one is still being unlinked.
    pub fn restart(mut self, now: Timestamp, deadlines: &Deadlines) -> Result<Change> {
        self.refuse_unless_paired()?;
        self.wanted.desired = Desired::Running;
        self.wanted.restarts += 1;
        self.seen.begin_starting(now, deadlines);
        Ok(self.requested("restart", now))
    }

    /// Has the device unlinked; `None` when there is none and no attempt at one, or it is being
    /// unlinked already.
    pub fn logout(mut self, now: Timestamp, deadlines: &Deadlines) -> Option<Change> {
        let nothing = !self.is_paired() && self.wanted.pairing.is_none();
        if nothing || self.wanted.unlink.is_some() {
            return None;
        }
        self.wanted.desired = Desired::Stopped;
        self.wanted.pairing = None;
        self.wanted.unlink = Some(Unlink { since: now, deadline: now.plus(deadlines.retirement) });
        Some(self.requested("logout", now))
    }

    /// The device is unlinked, or given up; `last` is the node's word on it. `None` when no unlink was
    /// under way.
    pub fn unlinked(
        mut self,
        outcome: LogoutOutcome,
        last: Option<&Snapshot>,
        now: Timestamp,
    ) -> Option<Change> {
        self.wanted.unlink.take()?;
        if let Some(last) = last {
            (self.seen.epoch, self.seen.boot, self.seen.seq) = (last.epoch, last.boot, last.seq);
        }
        self.seen.identity = None;
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
        self.seen.settle(Status::Stopped, Some(reason));
        self.due = None;
        let mut change = self.status_news();
        if let Some(last) = change.news.last_mut() {
            last.payload.push(("unlink", outcome.as_str().into()));
        }
        Some(change)
    }

    /// Gone for its owner; what is left to do remains as a retirement.
    pub fn retire(
        self,
        actor: &Actor,
        now: Timestamp,
        deadlines: &Deadlines,
    ) -> (Change, Retirement) {
        let mut retirement = Retirement {
            session: self.id.clone(),
            organization: self.organization.clone(),
            gateway: self.gateway.clone(),
            epoch: self.wanted.epoch + 1,
            requested_by: actor.clone(),
            requested_at: now,
            deadline: now.plus(deadlines.retirement),
            due: now,
            attempts: 0,
            sequence: self.sequence,
            told: false,
        };
        let mut change = Change::of(self);
        change.tell(News::new(EventName::SessionDeleted, Vec::new()));
        retirement.sequence += 1;
        (change, retirement)
    }

    /// The time for a transitional status is up.
    pub fn expire(mut self, now: Timestamp) -> Change {
        if self.wanted.pairing.is_some() && self.seen.status == Status::ScanQrCode {
            return self.end_pairing(
                ReasonCode::PairingExpired,
                "nobody linked a phone in time",
                now,
            );
        }
        // A connection that cannot be made keeps its own reason; it says more than "too late".
        let reason = match self.seen.reason.take() {
            Some(reason) if reason.code == ReasonCode::ConnectFailed => reason,
            _ => StatusReason {
                code: ReasonCode::StartTimeout,
                message: "it did not come up in time".to_owned(),
                since: now,
                retry_at: None,
            },
        };
        self.seen.settle(Status::Failed, Some(reason));
        self.due = Some(now);
        self.status_news()
    }

    /// A pairing attempt ended without a link; what the owner wished for ends with it.
    pub(super) fn end_pairing(mut self, code: ReasonCode, message: &str, now: Timestamp) -> Change {
        self.wanted.pairing = None;
        self.wanted.desired = Desired::Stopped;
        // That nobody came is an outcome, not a fault.
        let status =
            if code == ReasonCode::PairingExpired { Status::Stopped } else { Status::Failed };
        let reason = StatusReason { code, message: message.to_owned(), since: now, retry_at: None };
        self.seen.settle(status, Some(reason));
        let mut change = self.status_news();
        change.tell(News::new(EventName::AuthExpired, vec![("reason", code.as_str().into())]));
        change
    }

    /// Its node is not heard of, and has closed its connections by now.
    pub fn lose(mut self, now: Timestamp) -> Change {
        let reason = (self.wanted.desired == Desired::Running).then(|| StatusReason {
            code: ReasonCode::GatewayLost,
            message: "the gateway that holds it is not heard of".to_owned(),
            since: now,
            retry_at: None,
        });
        let status = if reason.is_some() { Status::Failed } else { Status::Stopped };
        self.seen.settle(status, reason);
        self.due = None;
        self.status_news()
    }

    /// Lives on this node from now on; its keys will be there.
    pub fn place(mut self, gateway: GatewayId, now: Timestamp) -> Change {
        self.gateway = Some(gateway);
        self.wanted.epoch += 1;
        self.due = Some(now);
        Change::of(self)
    }

    /// Its node had no room for it. Only before the node's first word: afterwards the node may hold
    /// keys, and the session never moves.
    pub fn unplace(mut self, due: Timestamp) -> Change {
        if self.seen.epoch == 0 {
            self.gateway = None;
        }
        self.due = Some(due);
        Change::of(self)
    }

    /// Its node knows a newer epoch, as after the router's database was restored from a copy: gets
    /// ahead of it, in growing steps.
    pub fn outrun(mut self, due: Timestamp) -> Change {
        self.wanted.epoch += 1 << self.failures.min(16);
        self.failures += 1;
        self.due = Some(due);
        Change::of(self)
    }

    /// Tries a failed connection again.
    pub fn retry(mut self, now: Timestamp, deadlines: &Deadlines) -> Change {
        self.wanted.restarts += 1;
        self.wanted.epoch += 1;
        self.due = Some(now);
        self.seen.begin_starting(now, deadlines);
        self.status_news()
    }

    /// When it needs a look although nothing happens: its deadline, or the moment to try again.
    pub fn rest_until(&self) -> Option<Timestamp> {
        let retry = self.seen.reason.as_ref().and_then(|reason| reason.retry_at);
        let retry = retry.filter(|_| {
            self.seen.status == Status::Failed && self.wanted.desired == Desired::Running
        });
        let unlink = self.wanted.unlink.as_ref().map(|unlink| unlink.deadline);
        [self.seen.deadline, retry, unlink].into_iter().flatten().min()
    }

    /// Counts a new wish and asks for the reconciler.
    fn requested(mut self, action: &'static str, now: Timestamp) -> Change {
        self.wanted.epoch += 1;
        self.due = Some(now);
        self.failures = 0;
        let desired = self.wanted.desired.as_str().into();
        let mut change = Change::of(self);
        change.tell(News::new(
            EventName::SessionRequested,
            vec![("action", action.into()), ("desired", desired)],
        ));
        change
    }

    /// Tells of the status as it is now.
    pub(super) fn status_news(self) -> Change {
        let payload = vec![
            ("status", self.seen.status.as_str().into()),
            ("reason", self.seen.reason.as_ref().map_or(Fact::Nothing, |r| r.code.as_str().into())),
            ("message", self.seen.reason.as_ref().map(|r| r.message.as_str()).into()),
        ];
        let mut change = Change::of(self);
        change.tell(News::new(EventName::SessionStatus, payload));
        change
    }

    fn refuse_unless_paired(&self) -> Result<()> {
        self.refuse_while_unlinking()?;
        if self.is_paired() {
            return Ok(());
        }
        Err(Error::conflict(
            "the session is not paired; link a phone by /qr or /pairing-code first",
        ))
    }

    fn refuse_while_unlinking(&self) -> Result<()> {
        match self.wanted.unlink {
            None => Ok(()),
            Some(_) => Err(Error::Conflict {
                message: "the session is still being logged out",
                retry_after: Some(Duration::from_secs(2)),
            }),
        }
    }
}

impl Seen {
    /// On its way, by a deadline.
    fn begin_starting(&mut self, now: Timestamp, deadlines: &Deadlines) {
        self.status = Status::Starting;
        self.reason = None;
        self.deadline = Some(now.plus(deadlines.start));
    }

    /// At rest: no codes, no deadline.
    pub(super) fn settle(&mut self, status: Status, reason: Option<StatusReason>) {
        self.status = status;
        self.reason = reason;
        self.pairing = None;
        self.deadline = None;
    }

    /// Whether WhatsApp gave no code, while the QR codes go on.
    pub(super) fn code_refused(&self) -> bool {
        let failed = |reason: &StatusReason| reason.code == ReasonCode::PairingFailed;
        self.status == Status::ScanQrCode && self.reason.as_ref().is_some_and(failed)
    }

    /// Whether the code for this request was made and is over.
    fn code_expired(&self, request: u64, now: Timestamp) -> bool {
        let code = self.pairing.as_ref().and_then(|attempt| attempt.code.as_ref());
        code.is_some_and(|code| code.request == request && code.expires_at <= now)
    }
}
