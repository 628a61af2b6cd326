//! Property test of a simulated fleet: owners send requests in any order, commands and reports are
//! lost, delayed and repeated, routers and nodes stop, and clocks jump. No session is ever
//! connected twice, and all sessions end in the state that their owners asked for, or with a
//! reason.

use domain::{Desired, ReasonCode, Session, SessionId, SettingsPatch, Status, testing::World};
use futures_util::FutureExt as _;
use proptest::{collection::vec, prelude::*, sample::select};

use crate::{
    model_test::{assert_reported, assert_settled, config, gave_up_unlink},
    sim_fleet::{NetworkFault, SimulatedFleet},
};

/// A request of an owner for a session.
#[derive(Clone, Copy, Debug)]
enum OwnerRequest {
    Pair,
    Start,
    Stop,
    Restart,
    Logout,
    Delete,
    Edit,
}

/// One step of a test case.
#[derive(Clone, Copy, Debug)]
enum Action {
    /// An owner sends a request: session, router, request.
    OwnerRequest(usize, usize, OwnerRequest),
    /// A phone scans a QR code that some session has shown.
    Scan(usize),
    /// WhatsApp closes the connection of a session for a reason.
    LoseConnection(usize, ReasonCode),
    /// Sets whether WhatsApp leaves unlinks on a node unconfirmed.
    Mute(usize, bool),
    /// Sets whether a node fails to notice by itself that a phone has linked.
    Slow(usize, bool),
    /// Sets whether a node cannot read its keys.
    Unreadable(usize, bool),
    /// Sets whether all responses to a node's calls are lost.
    LoseResponses(usize, bool),
    /// The worker of a router performs a number of steps.
    RunWorker(usize, usize),
    /// A router stops at its current step; a new one replaces it.
    CrashRouter(usize),
    /// The process of a node stops and starts again.
    RestartNode(usize),
    /// A node reports to a router; the flag says whether the acknowledgement arrives.
    Report(usize, usize, bool),
    /// An earlier report of a node reaches a router, under the node's own or another node's id.
    ReplayReport(usize, usize, usize, usize),
    /// Sets the fault that commands to a node meet.
    SetFault(usize, NetworkFault),
    /// A delayed command arrives.
    DeliverDelayed(usize),
    /// Sets whether a node can call routers.
    SetReachable(usize, bool),
    /// Seconds pass; in each second every worker performs a number of steps.
    PassTime(u64, usize),
    /// The clock of a router jumps by a number of seconds.
    JumpClock(usize, i64),
}

const SESSIONS: std::ops::Range<usize> = 0..3;
const NODES: std::ops::Range<usize> = 0..3;
const ROUTERS: std::ops::Range<usize> = 0..2;

fn action() -> impl Strategy<Value = Action> {
    use Action::{
        CrashRouter, DeliverDelayed, JumpClock, LoseConnection, LoseResponses, Mute,
        OwnerRequest as Request, PassTime, ReplayReport, Report, RestartNode, RunWorker, Scan,
        SetFault, SetReachable, Slow, Unreadable,
    };
    let asks = vec![
        OwnerRequest::Pair,
        OwnerRequest::Pair,
        OwnerRequest::Pair,
        OwnerRequest::Start,
        OwnerRequest::Stop,
        OwnerRequest::Stop,
        OwnerRequest::Restart,
        OwnerRequest::Logout,
        OwnerRequest::Delete,
        OwnerRequest::Edit,
    ];
    let reasons =
        vec![ReasonCode::LoggedOutByPhone, ReasonCode::Replaced, ReasonCode::ConnectFailed];
    let faults = vec![
        NetworkFault::None,
        NetworkFault::RequestLost,
        NetworkFault::ResponseLost,
        NetworkFault::Delayed,
    ];
    prop_oneof![
        10 => (SESSIONS, ROUTERS, select(asks)).prop_map(|(n, by, request)| Request(n, by, request)),
        5 => (0..8_usize).prop_map(Scan),
        2 => (SESSIONS, select(reasons)).prop_map(|(n, reason)| LoseConnection(n, reason)),
        1 => (NODES, any::<bool>()).prop_map(|(node, mute)| Mute(node, mute)),
        3 => (NODES, any::<bool>()).prop_map(|(node, slow)| Slow(node, slow)),
        1 => (NODES, any::<bool>()).prop_map(|(node, unreadable)| Unreadable(node, unreadable)),
        1 => (NODES, any::<bool>()).prop_map(|(node, loses_responses)| LoseResponses(node, loses_responses)),
        12 => (ROUTERS, 1..12_usize).prop_map(|(by, steps)| RunWorker(by, steps)),
        2 => ROUTERS.prop_map(CrashRouter),
        2 => NODES.prop_map(RestartNode),
        5 => (NODES, ROUTERS, any::<bool>()).prop_map(|(node, to, acknowledged)| Report(node, to, acknowledged)),
        3 => (NODES, 0..64_usize, ROUTERS, NODES)
            .prop_map(|(node, which, to, by)| ReplayReport(node, which, to, by)),
        4 => (NODES, select(faults)).prop_map(|(node, fault)| SetFault(node, fault)),
        3 => (0..4_usize).prop_map(DeliverDelayed),
        2 => (NODES, any::<bool>()).prop_map(|(node, reachable)| SetReachable(node, reachable)),
        4 => (1..60_u64, 0..6_usize).prop_map(|(seconds, steps)| PassTime(seconds, steps)),
        1 => (ROUTERS, -300..300_i64).prop_map(|(router, seconds)| JumpClock(router, seconds)),
    ]
}

async fn perform(fleet: &mut SimulatedFleet, action: Action) {
    use Action::{
        CrashRouter, DeliverDelayed, JumpClock, LoseConnection, LoseResponses, Mute,
        OwnerRequest as Request, PassTime, ReplayReport, Report, RestartNode, RunWorker, Scan,
        SetFault, SetReachable, Slow, Unreadable,
    };
    match action {
        Request(n, by, action) => {
            let id = fleet.ids[n].clone();
            request(fleet, &id, by, action);
            fleet.record_specs().await;
        }
        Scan(which) => scan(fleet, which).await,
        LoseConnection(n, reason) => report_status(fleet, &fleet.ids[n], reason),
        Mute(node, mute) => fleet.nodes[node].gateway.set_mute(mute),
        Slow(node, slow) => fleet.nodes[node].gateway.set_slow(slow),
        Unreadable(node, unreadable) => fleet.nodes[node].gateway.set_unreadable(unreadable),
        LoseResponses(node, loses_responses) => fleet.nodes[node].loses_responses = loses_responses,
        RunWorker(router, steps) => {
            for _ in 0..steps {
                fleet.routers[router].step();
                fleet.check().await;
            }
        }
        CrashRouter(router) => fleet.routers[router].crash(),
        RestartNode(node) => fleet.nodes[node].restart(),
        Report(node, to, acknowledged) => {
            let SimulatedFleet { nodes, routers, .. } = fleet;
            nodes[node].report(&routers[to].nodes, acknowledged).await;
        }
        ReplayReport(node, which, to, by) => {
            let SimulatedFleet { nodes, routers, .. } = fleet;
            nodes[node].replay(which, &routers[to].nodes, &nodes[by]).await;
        }
        SetFault(node, fault) => fleet.network.set_fault(&fleet.nodes[node].id, fault),
        DeliverDelayed(which) => drop(fleet.network.deliver(which).await),
        SetReachable(node, reachable) => fleet.nodes[node].reachable = reachable,
        PassTime(seconds, steps) => fleet.pass(seconds, steps).await,
        JumpClock(router, seconds) => fleet.jump(router, seconds),
    }
    fleet.check().await;
}

/// Closes the open connections of a session with a reason.
fn report_status(fleet: &SimulatedFleet, id: &SessionId, reason: ReasonCode) {
    for node in &fleet.nodes {
        node.gateway.report_status(id, Status::Failed, reason);
    }
}

/// Sends a request without waiting for its completion. Refusals are allowed, because the test
/// checks the final state.
fn request(fleet: &SimulatedFleet, id: &SessionId, by: usize, action: OwnerRequest) {
    let (sessions, acme, id) = (&fleet.routers[by].sessions, World::acme(), id.as_str());
    match action {
        OwnerRequest::Pair => {
            let is_set = sessions.qr(&acme, id, std::time::Duration::ZERO).now_or_never();
            drop(is_set);
        }
        OwnerRequest::Start => drop(sessions.start(&acme, id, None).now_or_never()),
        OwnerRequest::Stop => drop(sessions.stop(&acme, id, None).now_or_never()),
        OwnerRequest::Restart => drop(sessions.restart(&acme, id, None).now_or_never()),
        OwnerRequest::Logout => drop(sessions.logout(&acme, id, None).now_or_never()),
        OwnerRequest::Delete => drop(sessions.delete(&acme, id, None).now_or_never()),
        OwnerRequest::Edit => {
            let label = Some(Some(fleet.shown_codes.len().to_string()));
            let patch = SettingsPatch { label, ..SettingsPatch::default() };
            drop(sessions.update(&acme, id, None, patch).now_or_never());
        }
    }
}

/// Scans a code. A code links a device on the node of its session, or is rejected.
async fn scan(fleet: &mut SimulatedFleet, which: usize) {
    let newest_first = fleet.shown_codes.iter().rev();
    let Some((id, code)) = newest_first.clone().nth(which % fleet.shown_codes.len().max(1)) else {
        return;
    };
    let linked = fleet.nodes.iter().find(|node| node.gateway.scan(code)).map(|node| &node.id);
    if let (Some(node), Some(session)) = (linked, fleet.session(id).await) {
        assert_eq!(
            session.gateway.as_ref(),
            Some(node),
            "linked on another node than its own: {session:?}"
        );
    }
}

/// Checks the final state.
async fn check_settled(fleet: &SimulatedFleet) {
    let (cleanups, delayed) = (fleet.memory.cleanups(), fleet.network.deliver(0).await);
    assert!(cleanups.is_empty(), "all cleanups finish: {cleanups:?}");
    assert!(!delayed);
    for node in &fleet.nodes {
        for id in node.gateway.held() {
            let session = fleet.session(&id).await;
            let here = session.is_some_and(|session| session.gateway.as_ref() == Some(&node.id));
            assert!(here, "{} holds {id}, which is not its own", node.id);
        }
    }
    for id in &fleet.ids {
        if let Some(session) = fleet.session(id).await {
            check_session(fleet, &session);
        }
    }
}

fn check_session(fleet: &SimulatedFleet, session: &Session) {
    assert_settled(session);
    let node = fleet.nodes.iter().find(|node| Some(&node.id) == session.gateway.as_ref());
    let shown = node.and_then(|node| node.gateway.snapshot(&session.id));
    assert_reported(session, shown.as_ref());
    let devices = fleet.nodes.iter().filter(|node| node.gateway.devices().contains(&session.id));
    let given_up = gave_up_unlink(&fleet.memory, &session.id);
    assert!(
        given_up || usize::from(session.is_paired()) == devices.count(),
        "the phones show the same devices: {session:?}"
    );
    let online = shown.is_some_and(|shown| shown.status == Status::Working);
    assert_eq!(online, session.observed.status == Status::Working, "{session:?}");
    assert!(!online || session.spec.desired == Desired::Running, "{session:?}");
}

/// Checks that the events of each session are numbered without gaps.
fn check_events(fleet: &SimulatedFleet) {
    for id in &fleet.ids {
        let events = fleet.memory.events().into_iter();
        let own = events.filter(|event| event.session.as_ref() == Some(id));
        let numbers: Vec<_> = own.map(|event| event.sequence).collect();
        let expected: Vec<_> = (1..=u64::try_from(numbers.len()).unwrap()).collect();
        assert_eq!(numbers, expected, "{id}");
    }
}

fn run(rates: &[i64], actions: Vec<Action>) {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        let mut fleet = SimulatedFleet::new(rates).await;
        for action in actions {
            perform(&mut fleet, action).await;
        }
        fleet.settle().await;
        check_settled(&fleet).await;
        check_events(&fleet);
    });
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn fleet_connects_no_session_twice_and_reaches_the_requested_states(
        rates in vec(900..1100_i64, NODES.end),
        actions in vec(action(), 1..60),
    ) {
        run(&rates, actions);
    }
}
