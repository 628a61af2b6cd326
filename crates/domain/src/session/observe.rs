//! What a node's word does to a session: it changes what was seen, never what the owner wants —
//! except that a pairing wish is over once the pairing is.
//!
//! Decision: ADR 0004.

use super::{Change, Desired, ReasonCode, Session, Status, StatusReason};
use crate::{Deadlines, EventName, LinkState, NewEvent, Snapshot, SnapshotReason, Timestamp};

impl Session {
    /// Takes in what the session's node reports; `None` when it tells nothing new: it is older than
    /// what is known, or was made under an older epoch.
    pub fn observe(
        self,
        snapshot: Snapshot,
        now: Timestamp,
        deadlines: &Deadlines,
    ) -> Option<Change> {
        // Whoever wants it looked at now knows more than the node that reports: it may have to be told.
        let wake = self.due.filter(|due| *due <= now);
        let mut change = self.apply_report(snapshot, now, deadlines)?;
        change.session.due = wake.or(change.session.due);
        Some(change)
    }

    /// The same for the node's answer to having been told what is wanted: there is nothing more to do.
    pub fn observe_answer(
        self,
        snapshot: Snapshot,
        now: Timestamp,
        deadlines: &Deadlines,
    ) -> Option<Change> {
        self.apply_report(snapshot, now, deadlines)
    }

    fn apply_report(
        mut self,
        snapshot: Snapshot,
        now: Timestamp,
        deadlines: &Deadlines,
    ) -> Option<Change> {
        let known = (self.observed.epoch, self.observed.generation, self.observed.seq);
        let reported = (snapshot.epoch, snapshot.generation, snapshot.seq);
        if snapshot.epoch != self.spec.epoch || reported <= known {
            return None;
        }
        (self.observed.epoch, self.observed.generation, self.observed.seq) = reported;
        self.failures = 0;
        if let Some(reason) = self.end_of_pairing(&snapshot) {
            let mut change = self.end_pairing(reason.code, &reason.message, now);
            change.session.due = None;
            change.session.leave_node_when_unlinked();
            return Some(change);
        }
        let before = self.clone();
        self.apply_snapshot(snapshot, now, deadlines);
        if self.spec.unlink.is_none() {
            self.due = self.rest_until();
        }
        self.leave_node_when_unlinked();
        Some(change_between(&before, self))
    }

    /// Why the attempt the owner asked for is over with nobody linked, if it is.
    fn end_of_pairing<'a>(&self, snapshot: &'a Snapshot) -> Option<&'a SnapshotReason> {
        let ends = |code| {
            use ReasonCode::{PairingExpired, PairingFailed, PasskeyRequired};
            matches!(code, PairingExpired | PairingFailed | PasskeyRequired)
        };
        let over = self.spec.pairing.is_some()
            && snapshot.identity.is_none()
            && snapshot.pairing.is_none();
        snapshot.reason.as_ref().filter(|reason| over && ends(reason.code))
    }

    fn apply_snapshot(&mut self, mut snapshot: Snapshot, now: Timestamp, deadlines: &Deadlines) {
        let link = snapshot.link_state();
        if snapshot.identity.is_some() {
            self.spec.pairing = None;
        }
        if self.has_lost_link(&snapshot) {
            (snapshot.status, snapshot.reason) = (Status::Failed, Some(self.unlinked_reason()));
        }
        let observed = &mut self.observed;
        if snapshot.status == Status::Working && observed.status != Status::Working {
            observed.last_connected_at = Some(now);
        }
        let is_waiting = |code: Option<ReasonCode>| code == Some(ReasonCode::WaitingToLink);
        let was_waiting = is_waiting(observed.reason.as_ref().map(|reason| reason.code));
        observed.deadline = match snapshot.status {
            // No deadline runs while others have their turn, and it starts anew afterwards.
            Status::Starting if is_waiting(snapshot.reason.as_ref().map(|reason| reason.code)) => {
                None
            }
            Status::Starting if was_waiting => Some(now.plus(deadlines.start)),
            status if status == observed.status && observed.deadline.is_some() => observed.deadline,
            Status::Starting => Some(now.plus(deadlines.start)),
            Status::ScanQrCode => Some(now.plus(deadlines.pairing)),
            Status::Stopped | Status::Working | Status::Failed => None,
        };
        // A node that is merely closed does not take away why it came to that.
        let merely_closed = snapshot.status == Status::Stopped && snapshot.reason.is_none();
        if !(merely_closed && self.spec.desired == Desired::Stopped) {
            observed.reason =
                snapshot.reason.map(|reason| status_reason(reason, observed.reason.as_ref(), now));
        }
        observed.status = snapshot.status;
        if link == LinkState::Unknown {
            // Nobody knows whether the device is still linked: what was known of it is kept.
            observed.pairing = None;
            return;
        }
        // A node may know the device before it knows its name; a reconnect does not unlearn it.
        let known_name = observed.identity.take().and_then(|identity| identity.push_name);
        observed.identity = snapshot.identity.map(|mut identity| {
            identity.push_name = identity.push_name.or(known_name);
            identity
        });
        observed.pairing = snapshot.pairing;
    }

    /// Closed for want of a link, with nothing said about it: a node that started anew since the device
    /// was unlinked knows nothing of that any more.
    fn has_lost_link(&self, snapshot: &Snapshot) -> bool {
        let merely_closed = snapshot.status == Status::Stopped && snapshot.reason.is_none();
        let running = self.spec.desired == Desired::Running && self.spec.pairing.is_none();
        merely_closed && running && snapshot.identity.is_none()
    }

    /// As it was said before, or else what must have happened.
    fn unlinked_reason(&self) -> SnapshotReason {
        match &self.observed.reason {
            Some(StatusReason { code, message, retry_at, .. }) if !self.is_paired() => {
                SnapshotReason { code: *code, message: message.clone(), retry_at: *retry_at }
            }
            _ => SnapshotReason {
                code: ReasonCode::LoggedOutByPhone,
                message: "the device is no longer linked; pair it again".to_owned(),
                retry_at: None,
            },
        }
    }
}

/// A reason that stays the same keeps the moment it began.
fn status_reason(
    reason: SnapshotReason,
    before: Option<&StatusReason>,
    now: Timestamp,
) -> StatusReason {
    let since = before.filter(|before| before.code == reason.code).map_or(now, |b| b.since);
    StatusReason { code: reason.code, message: reason.message, since, retry_at: reason.retry_at }
}

/// The change from `before` to `after`, with news of what differs.
fn change_between(before: &Session, after: Session) -> Change {
    let code = |session: &Session| session.observed.reason.as_ref().map(|reason| reason.code);
    let status_changed =
        before.observed.status != after.observed.status || code(before) != code(&after);
    let paired = if before.is_paired() { None } else { after.observed.identity.clone() };
    let codes = code_events(before, &after);
    let mut change = if status_changed { after.status_event() } else { Change::of(after) };
    for event in codes {
        change.add_event(event);
    }
    if let Some(identity) = paired {
        change.add_event(NewEvent::new(
            EventName::AuthPaired,
            vec![
                ("phoneNumber", identity.phone.as_str().into()),
                ("waJid", identity.jid.as_str().into()),
                ("waLid", identity.lid.as_deref().into()),
                ("deviceId", identity.device.into()),
            ],
        ));
    }
    change
}

/// News of codes to scan or type that were not shown before.
fn code_events(before: &Session, after: &Session) -> Vec<NewEvent> {
    let (was, is) = (before.observed.pairing.as_ref(), after.observed.pairing.as_ref());
    let mut new_events = Vec::new();
    if let Some(qr) = is.and_then(|attempt| attempt.qr.as_ref())
        && was.and_then(|attempt| attempt.qr.as_ref()).is_none_or(|old| old.text != qr.text)
    {
        new_events.push(NewEvent::new(
            EventName::AuthQr,
            vec![
                ("code", qr.text.as_str().into()),
                ("expiresAt", qr.expires_at.into()),
                ("attempt", qr.number.into()),
                ("attempts", qr.of.into()),
            ],
        ));
    }
    if let Some(code) = is.and_then(|attempt| attempt.code.as_ref())
        && was.and_then(|attempt| attempt.code.as_ref()).is_none_or(|old| old.code != code.code)
    {
        new_events.push(NewEvent::new(
            EventName::AuthCode,
            vec![("code", code.dashed().as_str().into()), ("expiresAt", code.expires_at.into())],
        ));
    }
    new_events
}
