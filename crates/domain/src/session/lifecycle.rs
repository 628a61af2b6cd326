//! Requests of owners to sessions, as pure rules. Changes without a request are in
//! `system_transitions`.
//!
//! | request | unpaired                       | paired, running      | paired, stopped or failed |
//! |---------|--------------------------------|----------------------|---------------------------|
//! | pair    | begins or continues an attempt | conflict             | conflict                  |
//! | start   | conflict                       | no change            | `starting`                |
//! | stop    | ends the attempt               | closes, stays linked | closes, stays linked      |
//! | restart | conflict                       | `starting`           | `starting`                |
//! | logout  | no change, or ends the attempt | unlinks              | unlinks                   |
//! | delete  | deleted, a cleanup remains     | the same             | the same                  |
//!
//! During an unlink, stop and delete are allowed, and requests that need a device conflict.

use std::time::Duration;

use crate::{
    deadlines::Deadlines,
    error::{Error, Result},
    event::payload::EventPayload,
    link_attempt::LinkAttempt,
    session::{
        change::Change,
        model::Session,
        observed::Observed,
        pairing::{PairingSpec, Phone},
        settings::SettingsPatch,
        spec::{Desired, RequestedAction},
        status::{ReasonCode, Status, StatusReason},
        unlink::UnlinkRequest,
    },
    time::Timestamp,
};

impl Session {
    /// Returns the change that inserts a new session.
    pub fn created(self) -> Change {
        let label = self.settings.label.clone();
        let mut change = Change::of(self);
        change.add_event(EventPayload::SessionCreated { label });
        change
    }

    /// Changes settings. Returns `None` if the settings already have these values.
    ///
    /// # Errors
    /// [`Error::Validation`] with every setting out of bounds.
    pub fn edit(mut self, patch: SettingsPatch) -> Result<Option<Change>> {
        let before = self.settings.clone();
        self.settings = before.clone().patched(patch);
        let violations = self.settings.violations();
        if !violations.is_empty() {
            return Err(Error::Validation(violations));
        }
        let changed = self.settings.differing(&before);
        if changed.is_empty() {
            return Ok(None);
        }
        let mut change = Change::of(self);
        change.add_event(EventPayload::SessionUpdated { changed });
        Ok(Some(change))
    }

    /// Begins a pairing attempt or continues the present one. Returns `None` if the present attempt
    /// already does what is requested. With a phone, the attempt offers a pairing code in addition
    /// to QR codes.
    ///
    /// # Errors
    /// A conflict if a device is linked or an unlink is in progress.
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
            // A failed attempt does not recover by waiting, so a new attempt begins.
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
        let attempt = self.link_attempt(epoch, phone, now, deadlines);
        Ok(Some(Change { attempt, ..self.requested(RequestedAction::Pair, now) }))
    }

    /// Returns the link attempt to count, or `None` if the number of attempts is unlimited.
    fn link_attempt(
        &self,
        epoch: u64,
        phone: Option<&Phone>,
        at: Timestamp,
        deadlines: &Deadlines,
    ) -> Option<LinkAttempt> {
        deadlines.pairing_quota.map(|rate_quota| LinkAttempt {
            session: self.id.clone(),
            epoch,
            phone: phone.cloned(),
            at,
            rate_quota,
            organization_quota: LinkAttempt::ORGANIZATION_QUOTA,
        })
    }

    /// Connects a paired session. Returns `None` if the spec is already `running` and the status is
    /// not `failed`.
    ///
    /// # Errors
    /// [`Error::NotPaired`], or a conflict if an unlink is in progress.
    pub fn start(mut self, now: Timestamp, deadlines: &Deadlines) -> Result<Option<Change>> {
        self.require_paired()?;
        let failed = self.observed.status == Status::Failed;
        if self.spec.desired == Desired::Running && !failed {
            return Ok(None);
        }
        self.spec.desired = Desired::Running;
        // A node that gave up a connection connects again only for a new restart number.
        self.spec.restarts += u64::from(failed);
        self.observed.begin_starting(now, deadlines);
        Ok(Some(self.requested(RequestedAction::Start, now)))
    }

    /// Closes the connection or ends the pairing attempt. The device stays linked. Returns `None`
    /// if no connection and no attempt is open.
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
        Some(self.requested(RequestedAction::Stop, now))
    }

    /// Closes the connection and opens a new one.
    ///
    /// # Errors
    /// [`Error::NotPaired`], or a conflict if an unlink is in progress.
    pub fn restart(mut self, now: Timestamp, deadlines: &Deadlines) -> Result<Change> {
        self.require_paired()?;
        self.spec.desired = Desired::Running;
        self.spec.restarts += 1;
        self.observed.begin_starting(now, deadlines);
        Ok(self.requested(RequestedAction::Restart, now))
    }

    /// Requests the unlink of the device. Returns `None` if certainly no device is linked or an
    /// unlink is in progress.
    pub fn logout(mut self, now: Timestamp, deadlines: &Deadlines) -> Option<Change> {
        if self.is_certainly_unlinked() || self.spec.unlink.is_some() {
            return None;
        }
        self.spec.desired = Desired::Stopped;
        self.spec.pairing = None;
        self.spec.unlink =
            Some(UnlinkRequest { since: now, deadline: now.plus(deadlines.cleanup) });
        Some(self.requested(RequestedAction::Logout, now))
    }

    /// Increments the epoch, wakes the reconciler and records the request.
    fn requested(mut self, action: RequestedAction, now: Timestamp) -> Change {
        self.spec.epoch += 1;
        self.due = Some(now);
        self.failures = 0;
        let desired = self.spec.desired;
        let mut change = Change::of(self);
        change.add_event(EventPayload::SessionRequested { action, desired });
        change
    }

    fn require_paired(&self) -> Result<()> {
        self.require_no_unlink()?;
        if self.is_paired() {
            return Ok(());
        }
        Err(Error::NotPaired)
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
    /// Sets the status `starting` with its deadline.
    pub(super) fn begin_starting(&mut self, now: Timestamp, deadlines: &Deadlines) {
        self.status = Status::Starting;
        self.reason = None;
        self.deadline = Some(now.plus(deadlines.start));
    }

    /// Sets a status without codes and without a deadline.
    pub(super) fn settle(&mut self, status: Status, reason: Option<StatusReason>) {
        self.status = status;
        self.reason = reason;
        self.pairing = None;
        self.deadline = None;
    }

    /// Returns true if WhatsApp made no pairing code while the QR codes stay valid.
    pub(super) fn code_refused(&self) -> bool {
        let failed = |reason: &StatusReason| reason.code == ReasonCode::PairingFailed;
        self.status == Status::ScanQrCode && self.reason.as_ref().is_some_and(failed)
    }

    /// Returns true if the code for this request was made and has expired.
    fn code_expired(&self, request: u64, now: Timestamp) -> bool {
        let code = self.pairing.as_ref().and_then(|attempt| attempt.code.as_ref());
        code.is_some_and(|code| code.request == request && code.expires_at <= now)
    }
}
