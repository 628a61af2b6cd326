//! Laws: in whatever order owners ask, nodes fail and time passes, everything ends where it should.

use domain::{Desired, ReasonCode, Session, SessionId, Settings, Status, testing::World};
use proptest::prelude::*;

use crate::fixture::Stage;

/// Something that happens to one of three sessions, or to the node.
#[derive(Clone, Copy, Debug)]
enum Happening {
    Pair(usize),
    Scan(usize),
    Start(usize),
    Stop(usize),
    Restart(usize),
    Logout(usize),
    Delete(usize),
    Befall(usize, ReasonCode),
    Down(bool),
    Mute(bool),
    Slow(bool),
    Unreadable(bool),
    Work,
    Report,
    Pass(u64, bool),
    Reboot,
}

fn happening() -> impl Strategy<Value = Happening> {
    use Happening::{
        Befall, Delete, Down, Logout, Mute, Pair, Pass, Reboot, Report, Restart, Scan, Slow, Start,
        Stop, Unreadable, Work,
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
        1 => (0..3_usize, reason).prop_map(|(n, reason)| Befall(n, reason)),
        1 => any::<bool>().prop_map(Down),
        1 => any::<bool>().prop_map(Mute),
        1 => any::<bool>().prop_map(Slow),
        1 => any::<bool>().prop_map(Unreadable),
        6 => Just(Work),
        4 => Just(Report),
        2 => (1..80_u64, any::<bool>()).prop_map(|(seconds, beating)| Pass(seconds, beating)),
        1 => Just(Reboot),
    ]
}

async fn happen(stage: &Stage, ids: &[SessionId], what: Happening) {
    use Happening::{
        Befall, Delete, Down, Logout, Mute, Pair, Pass, Reboot, Report, Restart, Scan, Slow, Start,
        Stop, Unreadable, Work,
    };
    let (sessions, acme) = (&stage.world.sessions, World::acme());
    // Refusals are fine: what matters is where everything ends.
    match what {
        Pair(n) => drop(sessions.qr(&acme, ids[n].as_str(), std::time::Duration::ZERO).await),
        Scan(n) => {
            let snapshot = stage.world.gateway.snapshot(&ids[n]);
            let qr = snapshot.and_then(|s| s.pairing).and_then(|attempt| attempt.qr);
            if let Some(qr) = qr {
                stage.world.gateway.scan(&qr.text);
            }
        }
        Start(n) => drop(sessions.start(&acme, ids[n].as_str()).await),
        Stop(n) => drop(sessions.stop(&acme, ids[n].as_str()).await),
        Restart(n) => drop(sessions.restart(&acme, ids[n].as_str()).await),
        Logout(n) => drop(sessions.logout(&acme, ids[n].as_str()).await),
        Delete(n) => drop(sessions.delete(&acme, ids[n].as_str(), None).await),
        Befall(n, reason) => stage.world.gateway.report_status(&ids[n], Status::Failed, reason),
        Down(down) => stage.world.gateway.set_down(down),
        Mute(mute) => stage.world.gateway.set_mute(mute),
        Slow(slow) => stage.world.gateway.set_slow(slow),
        Unreadable(unreadable) => stage.world.gateway.set_unreadable(unreadable),
        Work => drop(stage.worker.round().await.unwrap()),
        Report => stage.report().await,
        Pass(seconds, beating) => stage.pass(seconds, beating).await,
        Reboot => stage.world.register("gw-test").await,
    }
}

/// Everything works again, and a while passes.
async fn come_to_rest(stage: &Stage) {
    stage.world.gateway.set_down(false);
    stage.world.gateway.set_mute(false);
    stage.world.gateway.set_slow(false);
    stage.world.gateway.set_unreadable(false);
    for _ in 0..8 {
        stage.settle().await;
        stage.pass(60, true).await;
    }
}

async fn check(stage: &Stage, ids: &[SessionId]) {
    assert!(stage.world.memory.cleanups().is_empty(), "retirements are picked up");
    let held = stage.world.gateway.held();
    for id in ids {
        let Ok(session) = stage.world.sessions.view(&World::acme(), id.as_str()).await else {
            assert!(!held.contains(id), "nothing is left of what was deleted");
            continue;
        };
        is_as_wanted(&session);
        if let Some(snapshot) = stage.world.gateway.snapshot(id) {
            let linked = snapshot.identity.is_some();
            assert_eq!(linked, session.is_paired(), "what is known is what is: {session:?}");
            let connected = snapshot.status == Status::Working;
            assert!(!connected || session.spec.desired == Desired::Running, "{session:?}");
        }
    }
}

/// What was asked of it is so, or it says why not; nothing is still on its way.
pub(crate) fn is_as_wanted(session: &Session) {
    let observed = &session.observed;
    assert!(session.spec.unlink.is_none(), "an unlink ends: {session:?}");
    assert!(observed.deadline.is_none() || observed.status == Status::ScanQrCode, "{session:?}");
    match (session.spec.desired, session.is_paired()) {
        (Desired::Stopped, _) => {
            assert!(matches!(observed.status, Status::Stopped | Status::Failed), "{session:?}");
        }
        (Desired::Running, true) => assert!(
            observed.status == Status::Working || observed.reason.is_some(),
            "running, or it says why not: {session:?}"
        ),
        (Desired::Running, false) => assert!(
            observed.status == Status::ScanQrCode || observed.reason.is_some(),
            "being paired, or it says why not: {session:?}"
        ),
    }
}

/// As many cases as `PROPTEST_CASES` says; few when it says nothing.
pub(crate) fn config() -> ProptestConfig {
    let asked = std::env::var_os("PROPTEST_CASES").is_some();
    let (failure_persistence, default) = (None, ProptestConfig::default());
    let cases = if asked { default.cases } else { 64 };
    ProptestConfig { cases, failure_persistence, ..default }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn everything_ends_where_it_should(
        happenings in proptest::collection::vec(happening(), 1..40)
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let stage = Stage::new().await;
            let mut ids = Vec::new();
            for _ in 0..3 {
                let settings = Settings::default();
                let session = stage.world.sessions.create(&World::acme(), settings, false).await;
                ids.push(session.unwrap().id);
            }
            for what in happenings {
                happen(&stage, &ids, what).await;
            }
            come_to_rest(&stage).await;
            check(&stage, &ids).await;
        });
    }
}
