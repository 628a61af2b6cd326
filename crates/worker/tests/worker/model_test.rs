//! Property test of one worker and one node: owners send requests, the node fails and time passes
//! in any order. All sessions end in the state that their owners asked for, or with a reason.

use domain::{Desired, ReasonCode, Session, SessionId, Settings, Status, testing::World};
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
        RestartNode => fixture.world.register("gw-test").await,
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
        let Ok(session) = fixture.world.sessions.view(&World::acme(), id.as_str()).await else {
            assert!(!held.contains(id), "the node holds no deleted session");
            continue;
        };
        assert_settled(&session);
        if let Some(snapshot) = fixture.world.gateway.snapshot(id) {
            let linked = snapshot.identity.is_some();
            assert_eq!(
                linked,
                session.is_paired(),
                "the stored link state is the node's: {session:?}"
            );
            let connected = snapshot.status == Status::Working;
            assert!(!connected || session.spec.desired == Desired::Running, "{session:?}");
        }
    }
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

proptest! {
    #![proptest_config(config())]

    #[test]
    fn sessions_reach_the_requested_states(
        actions in proptest::collection::vec(action(), 1..40)
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let fixture = Fixture::new().await;
            let mut ids = Vec::new();
            for _ in 0..3 {
                let settings = Settings::default();
                let session = fixture.world.sessions.create(&World::acme(), settings, false, None).await;
                ids.push(session.unwrap().id);
            }
            for action in actions {
                perform(&fixture, &ids, action).await;
            }
            wait_until_settled(&fixture).await;
            check(&fixture, &ids).await;
        });
    }
}
