//! What owners can ask of a session: pure rules. What befalls it otherwise is in `system_transitions`.
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

use super::{
    Change, Desired, Observed, ReasonCode, Session, SettingsPatch, Status, StatusReason,
    UnlinkRequest,
};
use crate::{
    Actor, Cleanup, Deadlines, Error, EventName, LinkAttempt, NewEvent, PairingSpec, Phone, Result,
    Timestamp,
};

impl Session {
    /// The session is new.
    pub fn created(self) -> Change {
        let label = self.settings.label.as_deref().into();
        let mut change = Change::of(self);
        change.add_event(NewEvent::new(EventName::SessionCreated, vec![("label", label)]));
        change
    }

    /// Changes settings; `None` when they are so already.
    ///
    /// # Errors
    /// Every setting that would be out of bounds.
    pub fn edit(mut self, patch: SettingsPatch) -> Result<Option<Change>> {
        let before = self.settings.clone();
        self.settings = before.clone().patched(patch);
        let violations = self.settings.violations();
        if !violations.is_empty() {
            return Err(Error::Validation(violations));
        }
        let changed = self.settings.differing(&before).join(" ");
        if changed.is_empty() {
            return Ok(None);
        }
        let mut change = Change::of(self);
        let fields = vec![("fields", changed.as_str().into())];
        change.add_event(NewEvent::new(EventName::SessionUpdated, fields));
        Ok(Some(change))
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
        self.require_no_unlink()?;
        if self.is_paired() {
            return Err(Error::conflict("the session is paired; log it out to pair it again"));
        }
        let epoch = self.spec.epoch + 1;
        if self.observed.status == Status::Failed {
            // What failed does not come back by waiting: begin afresh.
            self.spec.pairing = None;
        }
        match (&mut self.spec.pairing, phone) {
            (Some(_), None) => return Ok(None),
            (Some(under_way), Some(phone)) => {
                let asked = under_way.phone.as_deref() == Some(phone.as_str());
                let over = self.observed.code_expired(under_way.request, now)
                    || self.observed.code_refused();
                if asked && !over {
                    return Ok(None);
                }
                self.observed.reason = None;
                under_way.phone = Some(phone.as_str().to_owned());
                under_way.request = epoch;
            }
            (none @ None, phone) => {
                let phone = phone.map(|p| p.as_str().to_owned());
                *none = Some(PairingSpec { attempt: epoch, phone, request: epoch });
                self.observed.pairing = None;
                self.observed.begin_starting(now, deadlines);
            }
        }
        self.spec.desired = Desired::Running;
        let attempt = deadlines.pairing_quota.map(|rate_quota| LinkAttempt {
            session: self.id.clone(),
            epoch,
            phone: phone.cloned(),
            at: now,
            rate_quota,
            organization_quota: LinkAttempt::ORGANIZATION_QUOTA,
        });
        Ok(Some(Change { attempt, ..self.requested("pair", now) }))
    }

    /// Connects a paired session; `None` when it is wanted connected and not failed.
    ///
    /// # Errors
    /// A conflict when no device is linked, or one is still being unlinked.
    pub fn start(mut self, now: Timestamp, deadlines: &Deadlines) -> Result<Option<Change>> {
        self.require_paired()?;
        let failed = self.observed.status == Status::Failed;
        if self.spec.desired == Desired::Running && !failed {
            return Ok(None);
        }
        self.spec.desired = Desired::Running;
        // A node that gave up on this connection tries again only for a new one.
        self.spec.restarts += u64::from(failed);
        self.observed.begin_starting(now, deadlines);
        Ok(Some(self.requested("start", now)))
    }

    /// Closes the connection, or ends the pairing attempt; the device stays linked. `None` when there
    /// is nothing to close.
    pub fn stop(mut self, now: Timestamp) -> Option<Change> {
        let idle = self.spec.desired == Desired::Stopped && self.spec.pairing.is_none();
        if idle && self.observed.status == Status::Stopped || self.spec.unlink.is_some() {
            return None;
        }
        self.spec.desired = Desired::Stopped;
        self.spec.pairing = None;
        self.observed.reason = None;
        if self.gateway.is_none() {
            self.observed.settle(Status::Stopped, None);
        }
        Some(self.requested("stop", now))
    }

    /// Closes the connection and makes a new one.
    ///
    /// # Errors
    /// A conflict when no device is linked, or one is still being unlinked.
    pub fn restart(mut self, now: Timestamp, deadlines: &Deadlines) -> Result<Change> {
        self.require_paired()?;
        self.spec.desired = Desired::Running;
        self.spec.restarts += 1;
        self.observed.begin_starting(now, deadlines);
        Ok(self.requested("restart", now))
    }

    /// Has the device unlinked; `None` when it is certain that there is none, or it is being unlinked
    /// already.
    pub fn logout(mut self, now: Timestamp, deadlines: &Deadlines) -> Option<Change> {
        if self.is_certainly_unlinked() || self.spec.unlink.is_some() {
            return None;
        }
        self.spec.desired = Desired::Stopped;
        self.spec.pairing = None;
        self.spec.unlink =
            Some(UnlinkRequest { since: now, deadline: now.plus(deadlines.cleanup) });
        Some(self.requested("logout", now))
    }

    /// Gone for its owner; what is left to do remains as a retirement.
    pub fn delete(self, actor: &Actor, now: Timestamp, deadlines: &Deadlines) -> (Change, Cleanup) {
        let mut cleanup = Cleanup {
            session: self.id.clone(),
            organization: self.organization.clone(),
            gateway: self.gateway.clone(),
            epoch: self.spec.epoch + 1,
            linked: self.is_paired(),
            requested_by: actor.clone(),
            requested_at: now,
            deadline: now.plus(deadlines.cleanup),
            due: now,
            attempts: 0,
            sequence: self.sequence,
            outcome_reported: false,
        };
        let mut change = Change::of(self);
        change.add_event(NewEvent::new(EventName::SessionDeleted, Vec::new()));
        cleanup.sequence += 1;
        (change, cleanup)
    }

    /// Counts a new wish and asks for the reconciler.
    fn requested(mut self, action: &'static str, now: Timestamp) -> Change {
        self.spec.epoch += 1;
        self.due = Some(now);
        self.failures = 0;
        let desired = self.spec.desired.as_str().into();
        let mut change = Change::of(self);
        change.add_event(NewEvent::new(
            EventName::SessionRequested,
            vec![("action", action.into()), ("desired", desired)],
        ));
        change
    }

    fn require_paired(&self) -> Result<()> {
        self.require_no_unlink()?;
        if self.is_paired() {
            return Ok(());
        }
        Err(Error::conflict(
            "the session is not paired; link a phone by /qr or /pairing-code first",
        ))
    }

    fn require_no_unlink(&self) -> Result<()> {
        match self.spec.unlink {
            None => Ok(()),
            Some(_) => Err(Error::Conflict {
                message: "the session is still being logged out",
                retry_after: Some(Duration::from_secs(2)),
            }),
        }
    }
}

impl Observed {
    /// On its way, by a deadline.
    pub(super) fn begin_starting(&mut self, now: Timestamp, deadlines: &Deadlines) {
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
