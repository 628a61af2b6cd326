//! Lifecycle checks of a session with random input: requests of the owner, reports of the node and
//! time, in any order. For fuzzing and property tests.

use std::time::Duration;

use crate::{
    caller::{Actor, Caller, Capability},
    deadlines::Deadlines,
    id::{GatewayId, OrganizationId},
    ports::environment::Environment,
    reconcile::{NodeLiveness, Step, plan},
    session::{
        change::Change,
        model::Session,
        observed::{LinkState, Snapshot, SnapshotReason},
        pairing::{Attempt, Identity, Phone, QrCode},
        partial_session::PartialSession,
        settings::Settings,
        spec::Desired,
        status::{ReasonCode, Status},
        unlink::LogoutOutcome,
        version::Version,
    },
    testing::{environment::TestEnvironment, writes::commit_parts},
    time::Timestamp,
};

/// Bytes that decide the actions. An exhausted input gives zeros.
struct Choices<'a>(&'a [u8]);

impl Choices<'_> {
    fn byte(&mut self) -> u8 {
        let Some((first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        *first
    }

    fn below(&mut self, most: u8) -> u8 {
        self.byte() % most
    }

    /// Returns one of `all`, or `None`.
    fn one_of<T: Copy>(&mut self, all: &[T]) -> Option<T> {
        all.get(usize::from(self.byte()) % (all.len() + 1)).copied()
    }

    /// Returns a number close to `number` in most cases.
    fn near(&mut self, number: u64) -> u64 {
        match self.below(8) {
            0 => number.wrapping_sub(1),
            1 => number.saturating_add(1),
            2 => u64::from(self.byte()),
            _ => number,
        }
    }
}

/// Runs the actions that `bytes` select, and checks the rules after each one.
///
/// # Panics
/// If a rule is broken.
pub fn check_lifecycle(bytes: &[u8]) {
    let (environment, deadlines) = (TestEnvironment::new(), Deadlines::default());
    let acme = OrganizationId::parse("acme").expect("a valid organization id");
    let mut session = Session::new(acme, None, Settings::default(), &*environment);
    let mut choices = Choices(bytes);
    while !choices.0.is_empty() {
        let now = environment.now();
        let before = session.clone();
        let change = if choices.below(2) == 0 {
            owner_change(&mut choices, before.clone(), now, &deadlines)
        } else {
            system_change(&mut choices, before.clone(), now, &deadlines)
        };
        if let Some(change) = change {
            session = check_commit(&before, change, &environment);
        }
        check_plan(&session, environment.now());
        environment.advance(Duration::from_secs(u64::from(choices.byte())));
    }
}

/// Returns the change of a request by the owner. `None` if the request is rejected or changes no
/// state.
fn owner_change(
    choices: &mut Choices<'_>,
    session: Session,
    now: Timestamp,
    deadlines: &Deadlines,
) -> Option<Change> {
    let before = session.clone();
    let change = match choices.below(6) {
        0 => {
            let phone = if choices.below(2) == 0 { None } else { Phone::parse("15550000001") };
            session.pair(phone.as_ref(), now, deadlines).ok().flatten()
        }
        1 => session.start(now, deadlines).ok().flatten(),
        2 => session.stop(now),
        3 => session.restart(now, deadlines).ok(),
        4 => session.logout(now, deadlines),
        _ => {
            let caller = Caller::operator(session.organization.clone());
            let scope = caller.may(Capability::Manage).expect("an operator may delete");
            let cleanup = PartialSession::from(&session).cleanup(&scope, now, deadlines);
            assert!(cleanup.epoch > before.spec.epoch, "the epoch of the cleanup is higher");
            None
        }
    }?;
    assert_eq!(change.session.spec.epoch, before.spec.epoch + 1, "a request increments the epoch");
    assert_eq!(change.session.due, Some(now), "a request wakes the reconciler");
    let proven = change.session.gateway.is_none();
    assert!(proven || !change.session.is_certainly_unlinked(), "a request is no proof: {before:?}");
    Some(change)
}

/// Returns a change by time, reconciler or node.
fn system_change(
    choices: &mut Choices<'_>,
    session: Session,
    now: Timestamp,
    deadlines: &Deadlines,
) -> Option<Change> {
    let liveness = [NodeLiveness::Live, NodeLiveness::Lost, NodeLiveness::Uncertain]
        [usize::from(choices.below(3))];
    let liveness = if session.gateway.is_some() { liveness } else { NodeLiveness::Unassigned };
    if choices.below(2) == 0 && session.gateway.is_some() {
        let (report, answers) = (snapshot(choices, &session), choices.below(2) == 0);
        return check_report(session, &report, answers, now, deadlines);
    }
    let (step, before) = (plan(&session, liveness, now), session.clone());
    let change = match step {
        Step::AssignNode => GatewayId::parse("gw").map(|gateway| session.assign_node(gateway, now)),
        Step::MarkNodeLost => Some(session.mark_node_lost(now)),
        Step::Expire => Some(session.expire(now)),
        Step::Retry => Some(session.retry(now, deadlines)),
        Step::NothingToUnlink => session.complete_unlink(LogoutOutcome::NotLinked, None, now),
        Step::GiveUpUnlink => session.complete_unlink(LogoutOutcome::Unconfirmed, None, now),
        Step::Unlink => {
            let epoch = session.spec.epoch;
            let last = Snapshot { epoch, identity: None, ..snapshot(choices, &session) };
            session.complete_unlink(LogoutOutcome::Confirmed, Some(&last), now)
        }
        Step::Declare if choices.below(4) == 0 => Some(session.advance_epoch(now)),
        Step::Declare if session.observed.epoch == 0 && choices.below(4) == 0 => {
            Some(session.unassign_node())
        }
        Step::Declare | Step::Rest(_) => None,
    }?;
    // Only the node knows whether a device is linked: time and its loss are no proof.
    if matches!(step, Step::AssignNode | Step::MarkNodeLost | Step::Expire | Step::Retry) {
        let after = &change.session;
        let proven = before.is_certainly_unlinked() || !after.is_certainly_unlinked();
        assert!(proven, "{step:?} is no proof: {before:?} {after:?}");
        assert_eq!(after.is_paired(), before.is_paired(), "{step:?}");
    }
    Some(change)
}

/// Applies a report and checks it: a report changes the observed state and never the spec, except
/// that a pairing ends. The same report again changes no state.
fn check_report(
    session: Session,
    report: &Snapshot,
    answers: bool,
    now: Timestamp,
    deadlines: &Deadlines,
) -> Option<Change> {
    let before = session.clone();
    let change = if answers {
        session.observe_answer(report.clone(), now, deadlines)
    } else {
        session.observe(report.clone(), now, deadlines)
    };
    let position = |observed: &crate::session::observed::Observed| {
        (observed.epoch, observed.generation, observed.seq)
    };
    let Some(change) = change else {
        let newer = (report.epoch, report.generation, report.seq) > position(&before.observed);
        assert!(
            !newer || report.epoch != before.spec.epoch,
            "a newer report is applied: {report:?} {before:?}"
        );
        return None;
    };
    let after = &change.session;
    assert_eq!(report.epoch, before.spec.epoch, "the report has the epoch of the spec");
    assert!(position(&after.observed) > position(&before.observed), "the order never decreases");
    assert_eq!(after.spec.epoch, before.spec.epoch);
    let pairing_ended = before.spec.pairing.is_some() && after.spec.pairing.is_none();
    assert!(pairing_ended || after.spec == before.spec, "{before:?} {after:?}");
    // A node with unreadable keys does not know the link state, so the known identity stays.
    let linked = match report.link_state() {
        LinkState::Unknown => before.is_paired(),
        _ => report.identity.is_some(),
    };
    assert_eq!(after.is_paired(), linked, "{report:?} {before:?}");
    assert!(
        !after.is_certainly_unlinked() || report.link_state() == LinkState::NotLinked,
        "only closed and readable keys prove that no device is linked: {report:?} {before:?}"
    );
    let code = |session: &Session| session.observed.reason.as_ref().map(|reason| reason.code);
    for of_node in [ReasonCode::KeysUnavailable, ReasonCode::GatewayLost].map(Some) {
        let reported = report.reason.as_ref().map(|reason| reason.code) == of_node;
        assert!(reported || code(after) != of_node, "a report disproves {of_node:?}: {before:?}");
    }
    let woken = before.due.is_some_and(|due| due <= now);
    assert!(answers || !woken || after.due == before.due, "a report keeps a wake");
    if let Some(due) = before.due.filter(|_| !answers && before.failures > 0) {
        let kept = after.due.is_some_and(|after| after <= due);
        assert!(kept, "a report keeps the repetition of a failed call: {before:?}");
    }
    let again = after.clone().observe(report.clone(), now, deadlines);
    assert!(again.is_none(), "the same report again changes no state");
    Some(change)
}

fn snapshot(choices: &mut Choices<'_>, session: &Session) -> Snapshot {
    let identity = (choices.below(2) == 0).then(|| Identity {
        phone: "15550000001".to_owned(),
        jid: "15550000001:1@s.whatsapp.net".to_owned(),
        lid: None,
        device: 1,
        push_name: None,
    });
    let reason = choices.one_of(&ReasonCode::ALL).map(|code| SnapshotReason {
        code,
        message: "a reason".to_owned(),
        retry_at: (choices.below(2) == 0).then(|| session.updated_at.plus(Duration::from_secs(90))),
    });
    let pairing = (identity.is_none() && choices.below(2) == 0).then(|| Attempt {
        attempt: choices.near(session.spec.epoch),
        qr: Some(QrCode {
            text: choices.byte().to_string(),
            expires_at: session.updated_at.plus(Duration::from_secs(20)),
            number: 1,
            of: 6,
        }),
        code: None,
    });
    Snapshot {
        epoch: choices.near(session.spec.epoch),
        generation: choices.near(session.observed.generation),
        seq: choices.near(session.observed.seq.saturating_add(1)),
        status: choices.one_of(&Status::ALL).unwrap_or(Status::Working),
        reason,
        identity,
        pairing,
    }
}

/// Commits a change, checks the rules of every change, and returns the stored session.
fn check_commit(before: &Session, change: Change, environment: &TestEnvironment) -> Session {
    let new_events = change.new_events.len();
    let (after, expected_version, events) = commit_parts(change, &Actor::System, environment);
    assert_eq!(
        (expected_version.version, expected_version.due),
        (before.version, before.due),
        "the condition is the state that was read"
    );
    assert_eq!(after.version, Version(before.version.0 + 1));
    assert_eq!((&after.id, &after.organization), (&before.id, &before.organization));
    assert!(after.spec.epoch >= before.spec.epoch, "epochs increase");
    let sequences: Vec<_> = events.iter().map(|event| event.sequence).collect();
    assert_eq!(sequences.len(), new_events);
    assert!(sequences.iter().zip(before.sequence + 1..).all(|(number, next)| *number == next));
    assert_eq!(
        after.sequence,
        before.sequence + sequences.len() as u64,
        "sequence numbers have no gap"
    );
    let spec = &after.spec;
    assert!(
        !(after.is_paired() && spec.pairing.is_some()),
        "a paired session has no pairing spec: {after:?}"
    );
    let idle = spec.desired == Desired::Stopped && spec.pairing.is_none();
    assert!(spec.unlink.is_none() || idle, "a session during an unlink is stopped: {after:?}");
    assert!(spec.pairing.is_none() || spec.desired == Desired::Running, "{after:?}");
    after
}

/// Checks that the plan has a step, a time of the next check, or no work left.
fn check_plan(session: &Session, now: Timestamp) {
    for liveness in
        [NodeLiveness::Live, NodeLiveness::Lost, NodeLiveness::Uncertain, NodeLiveness::Unassigned]
    {
        if (liveness == NodeLiveness::Unassigned) != session.gateway.is_none() {
            continue;
        }
        match plan(session, liveness, now) {
            Step::Rest(Some(until)) => {
                assert!(until > now, "the next check is in the past: {session:?}");
            }
            Step::Rest(None) if liveness == NodeLiveness::Live => {
                let settled = session.observed.status == Status::Stopped
                    && session.observed.epoch == session.spec.epoch;
                assert!(settled, "no step for an unsettled session: {session:?}");
            }
            // On other nodes a registration wakes the session.
            _ => {}
        }
    }
}
