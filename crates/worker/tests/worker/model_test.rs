//! Property test of one worker and one node: owners send requests, the node fails and time passes
//! in any order. All sessions end in the state that their owners asked for, or with a reason.

use domain::{
    Desired, EventValue, LinkState, ReasonCode, Session, SessionId, Settings, Snapshot, Status,
    testing::{Memory, World},
};
use proptest::prelude::*;

use crate::fixture::Fixture;

/// One step of a test case: a request for one of three sessions, or a fault.
#[derive(Clone, Copy, Debug)]
enum Action {
    Pair(usize),
    Scan(usize),
    Start(usize),
    Stop(usize),
    Restart(usize),
    Logout(usize),
    Delete(usize),
    LoseConnection(usize, ReasonCode),
    Down(bool),
    Mute(bool),
    Slow(bool),
    Unreadable(bool),
    RunWorker,
    Report,
    PassTime(u64, bool),
    RestartNode,
}

fn action() -> impl Strategy<Value = Action> {
    use Action::{
        Delete, Down, Logout, LoseConnection, Mute, Pair, PassTime, Report, Restart, RestartNode,
        RunWorker, Scan, Slow, Start, Stop, Unreadable,
    };
    let reason = prop_oneof![
        Just(ReasonCode::LoggedOutByPhone),
        Just(ReasonCode::Replaced),
        Just(ReasonCode::ConnectFailed)
    ];
    prop_oneof![
        3 => (0..3_usize).prop_map(Pair),
        3 => (0..3_usize).prop_map(Scan),
        2 => (0..3_usize).prop_map(Start),
        2 => (0..3_usize).prop_map(Stop),
        1 => (0..3_usize).prop_map(Restart),
        2 => (0..3_usize).prop_map(Logout),
        1 => (0..3_usize).prop_map(Delete),
        1 => (0..3_usize, reason).prop_map(|(n, reason)| LoseConnection(n, reason)),
        1 => any::<bool>().prop_map(Down),
        1 => any::<bool>().prop_map(Mute),
        1 => any::<bool>().prop_map(Slow),
        1 => any::<bool>().prop_map(Unreadable),
        6 => Just(RunWorker),
        4 => Just(Report),
        2 => (1..80_u64, any::<bool>()).prop_map(|(seconds, heartbeats)| PassTime(seconds, heartbeats)),
        1 => Just(RestartNode),
    ]
}

async fn perform(fixture: &Fixture, ids: &[SessionId], action: Action) {
    use Action::{
        Delete, Down, Logout, LoseConnection, Mute, Pair, PassTime, Report, Restart, RestartNode,
        RunWorker, Scan, Slow, Start, Stop, Unreadable,
    };
    let (sessions, acme) = (&fixture.world.sessions, World::acme());
    // Refusals are allowed, because the test checks the final state.
    match action {
        Pair(n) => drop(sessions.qr(&acme, ids[n].as_str(), std::time::Duration::ZERO).await),
        Scan(n) => {
            let snapshot = fixture.world.gateway.snapshot(&ids[n]);
            let qr = snapshot.and_then(|s| s.pairing).and_then(|attempt| attempt.qr);
            if let Some(qr) = qr {
                fixture.world.gateway.scan(&qr.text);
            }
        }
        Start(n) => drop(sessions.start(&acme, ids[n].as_str(), None).await),
        Stop(n) => drop(sessions.stop(&acme, ids[n].as_str(), None).await),
        Restart(n) => drop(sessions.restart(&acme, ids[n].as_str(), None).await),
        Logout(n) => drop(sessions.logout(&acme, ids[n].as_str(), None).await),
        Delete(n) => drop(sessions.delete(&acme, ids[n].as_str(), None).await),
        LoseConnection(n, reason) => {
            fixture.world.gateway.report_status(&ids[n], Status::Failed, reason);
        }
        Down(down) => fixture.world.gateway.set_down(down),
        Mute(mute) => fixture.world.gateway.set_mute(mute),
        Slow(slow) => fixture.world.gateway.set_slow(slow),
        Unreadable(unreadable) => fixture.world.gateway.set_unreadable(unreadable),
        RunWorker => drop(fixture.worker.round().await.unwrap()),
        Report => fixture.report().await,
        PassTime(seconds, heartbeats) => fixture.pass(seconds, heartbeats).await,
        RestartNode => fixture.restart_node().await,
    }
}

/// Ends all faults and lets time pass until all sessions are settled.
async fn wait_until_settled(fixture: &Fixture) {
    fixture.world.gateway.set_down(false);
    fixture.world.gateway.set_mute(false);
    fixture.world.gateway.set_slow(false);
    fixture.world.gateway.set_unreadable(false);
    for _ in 0..8 {
        fixture.settle().await;
        fixture.pass(60, true).await;
    }
}

async fn check(fixture: &Fixture, ids: &[SessionId]) {
    assert!(fixture.world.memory.cleanups().is_empty(), "all cleanups finish");
    let held = fixture.world.gateway.held();
    for id in ids {
        let linked_on_phone = fixture.world.gateway.devices().contains(id);
        let given_up = gave_up_unlink(&fixture.world.memory, id);
        let Ok(session) = fixture.world.sessions.view(&World::acme(), id.as_str()).await else {
            assert!(!held.contains(id), "the node holds no deleted session");
            assert!(given_up || !linked_on_phone, "a deleted session is unlinked");
            continue;
        };
        assert_settled(&session);
        let snapshot = fixture.world.gateway.snapshot(id);
        assert_reported(&session, snapshot.as_ref());
        let linked = session.is_paired();
        assert!(given_up || linked == linked_on_phone, "the phone shows the device: {session:?}");
        let connected = snapshot.is_some_and(|snapshot| snapshot.status == Status::Working);
        assert!(!connected || session.spec.desired == Desired::Running, "{session:?}");
    }
}

/// Checks that a settled session shows what its node knows. `snapshot` is the node's.
pub(crate) fn assert_reported(session: &Session, snapshot: Option<&Snapshot>) {
    let linked = snapshot.is_some_and(|snapshot| snapshot.identity.is_some());
    assert_eq!(linked, session.is_paired(), "the stored link state is the node's: {session:?}");
    let unknown = snapshot.is_some_and(|snapshot| snapshot.link_state() == LinkState::Unknown);
    assert_eq!(unknown, session.has_unavailable_keys(), "{snapshot:?} {session:?}");
    let code = session.observed.reason.as_ref().map(|reason| reason.code);
    assert_ne!(code, Some(ReasonCode::GatewayLost), "the node responds: {session:?}");
}

/// Returns true if an unlink of the session ever ended as unconfirmed.
pub(crate) fn gave_up_unlink(memory: &Memory, id: &SessionId) -> bool {
    let unconfirmed = ("unlink".into(), EventValue::Text("unconfirmed".into()));
    let own = memory.events().into_iter().filter(|event| event.session.as_ref() == Some(id));
    own.into_iter().any(|event| event.payload.fields().contains(&unconfirmed))
}

/// Checks that a session has the requested state or a reason, and that no transition is pending.
pub(crate) fn assert_settled(session: &Session) {
    let observed = &session.observed;
    assert!(session.spec.unlink.is_none(), "an unlink ends: {session:?}");
    assert!(observed.deadline.is_none() || observed.status == Status::ScanQrCode, "{session:?}");
    match (session.spec.desired, session.is_paired()) {
        (Desired::Stopped, _) => {
            assert!(matches!(observed.status, Status::Stopped | Status::Failed), "{session:?}");
        }
        (Desired::Running, true) => assert!(
            observed.status == Status::Working || observed.reason.is_some(),
            "running, or with a reason: {session:?}"
        ),
        (Desired::Running, false) => assert!(
            observed.status == Status::ScanQrCode || observed.reason.is_some(),
            "pairing, or with a reason: {session:?}"
        ),
    }
}

/// Returns the number of cases: `PROPTEST_CASES`, or 64 when the variable is not set.
pub(crate) fn config() -> ProptestConfig {
    let is_set = std::env::var_os("PROPTEST_CASES").is_some();
    let (failure_persistence, default) = (None, ProptestConfig::default());
    let cases = if is_set { default.cases } else { 64 };
    ProptestConfig { cases, failure_persistence, ..default }
}

fn run(actions: impl IntoIterator<Item = Action>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let fixture = Fixture::new().await;
        let mut ids = Vec::new();
        for _ in 0..3 {
            let settings = Settings::default();
            let session =
                fixture.world.sessions.create(&World::acme(), settings, false, None).await;
            ids.push(session.unwrap().id);
        }
        for action in actions {
            perform(&fixture, &ids, action).await;
        }
        wait_until_settled(&fixture).await;
        check(&fixture, &ids).await;
    });
}

/// Keys that become unreadable and a connection that WhatsApp closes, at every point around a stop
/// that races with a scan. Without an open connection, WhatsApp cannot close one.
#[test]
fn stop_with_unreadable_keys_and_a_lost_connection_keeps_the_link_state() {
    use Action::{LoseConnection, Pair, PassTime, RunWorker, Scan, Stop, Unreadable};
    let steps = [Pair(0), RunWorker, Stop(0), Scan(0), PassTime(1, false)];
    let reasons = [ReasonCode::LoggedOutByPhone, ReasonCode::Replaced, ReasonCode::ConnectFailed];
    for unreadable_at in 0..=steps.len() {
        for lost_at in 0..=steps.len() + 1 {
            for reason in reasons {
                let mut actions = steps.to_vec();
                actions.insert(unreadable_at, Unreadable(true));
                actions.insert(lost_at, LoseConnection(0, reason));
                run(actions);
            }
        }
    }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn sessions_reach_the_requested_states(
        actions in proptest::collection::vec(action(), 1..40)
    ) {
        run(actions);
    }
}
