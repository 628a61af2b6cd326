//! Effects of node reports on a session. A report changes the observed state. It changes the spec only
//! at the end of a pairing attempt: the end clears the pairing spec, and an attempt without a link also
//! sets `desired` to stopped.
//!
//! Decision: ADR 0004.

use crate::{
    deadlines::Deadlines,
    event::payload::EventPayload,
    session::{
        change::Change,
        model::Session,
        observed::{LinkState, Observed, Snapshot, SnapshotReason},
        pairing::Identity,
        spec::Desired,
        status::{ReasonCode, Status, StatusReason},
    },
    time::Timestamp,
};

impl Session {
    /// Applies a report of the session's node. Returns `None` if the report is not newer than the
    /// observed state, or has another epoch than the spec.
    pub fn observe(
        self,
        snapshot: Snapshot,
        now: Timestamp,
        deadlines: &Deadlines,
    ) -> Option<Change> {
        // A `due` in the past is a wake that the reporting node does not know of: the declaration
        // may have changed. After a failed call, `due` is the time of the repetition, which a report
        // does not replace: a node that registers again refuses declarations until it has the
        // router's answer, and reports then.
        let failures = self.failures;
        let wake = self.due.filter(|due| *due <= now);
        let repetition = self.due.filter(|_| failures > 0);
        let mut change = self.apply_report(snapshot, now, deadlines)?;
        let next = &mut change.session;
        if repetition.is_some() {
            next.failures = failures;
        }
        next.due = wake.or_else(|| [repetition, next.due].into_iter().flatten().min());
        Some(change)
    }

    /// Applies the node's answer to a declaration. The reconciler has no step left, so a wake in
    /// the past is cleared.
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

    /// Returns the reason that ended the owner's pairing attempt without a link.
    fn end_of_pairing<'a>(&self, snapshot: &'a Snapshot) -> Option<&'a SnapshotReason> {
        let ends = |code| {
            use ReasonCode::{PairingExpired, PairingFailed, PasskeyRequired};
            matches!(code, PairingExpired | PairingFailed | PasskeyRequired)
        };
        let over = self.spec.pairing.is_some()
            && snapshot.link_state() == LinkState::NotLinked
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
        observed.deadline = next_deadline(observed, &snapshot, now, deadlines);
        // A closed connection without a reason keeps the reason of the previous status, unless the
        // report disproves it.
        let merely_closed = snapshot.status == Status::Stopped && snapshot.reason.is_none();
        let disproved =
            observed.reason.as_ref().is_some_and(|reason| is_state_of_node(reason.code));
        if disproved || !(merely_closed && self.spec.desired == Desired::Stopped) {
            observed.reason =
                snapshot.reason.map(|reason| status_reason(reason, observed.reason.as_ref(), now));
        }
        observed.status = snapshot.status;
        if link == LinkState::Unknown {
            // The link state is unknown, so the known identity stays.
            observed.pairing = None;
            return;
        }
        // A node may know the device before the name. A reconnect keeps the known name.
        let known_name = observed.identity.take().and_then(|identity| identity.push_name);
        observed.identity = snapshot.identity.map(|mut identity| {
            identity.push_name = identity.push_name.or(known_name);
            identity
        });
        observed.pairing = snapshot.pairing;
    }

    /// The connection is closed without a link and without a reason: a node that restarted after
    /// the unlink does not know the reason.
    fn has_lost_link(&self, snapshot: &Snapshot) -> bool {
        let merely_closed = snapshot.status == Status::Stopped && snapshot.reason.is_none();
        let running = self.spec.desired == Desired::Running && self.spec.pairing.is_none();
        merely_closed && running && snapshot.identity.is_none()
    }

    /// Returns the previous reason, or that the phone unlinked the device if the report disproves
    /// the previous reason.
    fn unlinked_reason(&self) -> SnapshotReason {
        match &self.observed.reason {
            Some(StatusReason { code, message, retry_at, .. })
                if !self.is_paired() && !is_state_of_node(*code) =>
            {
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

/// Returns true for a reason that describes the node, not the connection: a later report without
/// the reason shows that the node responds and has read the keys.
fn is_state_of_node(code: ReasonCode) -> bool {
    matches!(code, ReasonCode::GatewayLost | ReasonCode::KeysUnavailable)
}

/// Returns the deadline of the status in `snapshot`. An unchanged status keeps its deadline.
fn next_deadline(
    before: &Observed,
    snapshot: &Snapshot,
    now: Timestamp,
    deadlines: &Deadlines,
) -> Option<Timestamp> {
    let is_waiting = |code: Option<ReasonCode>| code == Some(ReasonCode::WaitingToLink);
    let was_waiting = is_waiting(before.reason.as_ref().map(|reason| reason.code));
    match snapshot.status {
        // While the session waits for its turn to link, no deadline runs. A new deadline begins
        // afterwards.
        Status::Starting if is_waiting(snapshot.reason.as_ref().map(|reason| reason.code)) => None,
        Status::Starting if was_waiting => Some(now.plus(deadlines.start)),
        status if status == before.status && before.deadline.is_some() => before.deadline,
        Status::Starting => Some(now.plus(deadlines.start)),
        Status::ScanQrCode => Some(now.plus(deadlines.pairing)),
        Status::Stopped | Status::Working | Status::Failed => None,
    }
}

/// Converts the reason of a snapshot. An unchanged code keeps its start time.
fn status_reason(
    reason: SnapshotReason,
    before: Option<&StatusReason>,
    now: Timestamp,
) -> StatusReason {
    let since = before.filter(|before| before.code == reason.code).map_or(now, |b| b.since);
    StatusReason { code: reason.code, message: reason.message, since, retry_at: reason.retry_at }
}

/// Returns the change from `before` to `after` with the events of the differences.
fn change_between(before: &Session, after: Session) -> Change {
    let code = |session: &Session| session.observed.reason.as_ref().map(|reason| reason.code);
    let status_changed =
        before.observed.status != after.observed.status || code(before) != code(&after);
    let paired = if before.is_paired() { None } else { after.observed.identity.clone() };
    let codes = code_events(before, &after);
    let mut change = if status_changed { after.status_event(None) } else { Change::of(after) };
    for event in codes {
        change.add_event(event);
    }
    if let Some(identity) = paired {
        let Identity { phone, jid, lid, device, push_name: _ } = identity;
        change.add_event(EventPayload::AuthPaired { phone, jid, lid, device });
    }
    change
}

/// Returns events for QR codes and pairing codes that differ from the previous ones.
fn code_events(before: &Session, after: &Session) -> Vec<EventPayload> {
    let (was, is) = (before.observed.pairing.as_ref(), after.observed.pairing.as_ref());
    let mut new_events = Vec::new();
    if let Some(qr) = is.and_then(|attempt| attempt.qr.as_ref())
        && was.and_then(|attempt| attempt.qr.as_ref()).is_none_or(|old| old.text != qr.text)
    {
        new_events.push(EventPayload::AuthQr {
            code: Some(qr.text.clone()),
            expires_at: qr.expires_at,
            number: qr.number,
            of: qr.of,
        });
    }
    if let Some(code) = is.and_then(|attempt| attempt.code.as_ref())
        && was.and_then(|attempt| attempt.code.as_ref()).is_none_or(|old| old.code != code.code)
    {
        let (expires_at, code) = (code.expires_at, Some(code.dashed()));
        new_events.push(EventPayload::AuthCode { code, expires_at });
    }
    new_events
}
