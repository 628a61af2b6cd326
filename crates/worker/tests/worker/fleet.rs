//! Laws of a fleet: in whatever order owners ask, commands and reports get lost, late and repeated,
//! routers and nodes die, and clocks jump, no session is ever connected twice, and all ends where it
//! should.

use domain::{Desired, ReasonCode, Session, SessionId, SettingsPatch, Status, testing::World};
use futures_util::FutureExt as _;
use proptest::{collection::vec, prelude::*, sample::select};

use crate::{
    model_test::{config, is_as_wanted},
    sim_fleet::{Town, Weather},
};

/// What an owner asks of a session.
#[derive(Clone, Copy, Debug)]
enum Ask {
    Pair,
    Start,
    Stop,
    Restart,
    Logout,
    Delete,
    Edit,
}

/// Something that happens.
#[derive(Clone, Copy, Debug)]
enum Happening {
    /// An owner asks this of a session, by a router.
    Ask(usize, usize, Ask),
    /// A phone scans a code that was shown at some time.
    Scan(usize),
    /// WhatsApp does something to a session that is connected.
    Befall(usize, ReasonCode),
    /// WhatsApp confirms no unlink on a node, or does again.
    Mute(usize, bool),
    /// A node sees no longer by itself that a phone has linked, or does again.
    Slow(usize, bool),
    /// A node can read no keys any more, or can again.
    Unreadable(usize, bool),
    /// No answer reaches a node any more, or they do again.
    Deafen(usize, bool),
    /// A router's worker takes so many steps.
    Work(usize, usize),
    /// A router dies where it is.
    Crash(usize),
    /// A node's process dies where it is.
    Reboot(usize),
    /// A node reports to a router, which acknowledges or not.
    Report(usize, usize, bool),
    /// A node's word from earlier reaches a router, in its own name or another's.
    Repeat(usize, usize, usize, usize),
    /// Commands to a node fare so from now on.
    Turn(usize, Weather),
    /// A late command arrives.
    Deliver(usize),
    /// A node reaches no router any more, or does again.
    Reach(usize, bool),
    /// Seconds pass, in each of which every worker takes so many steps.
    Pass(u64, usize),
    /// A router's clock is set by so many seconds.
    Jump(usize, i64),
}

const SESSIONS: std::ops::Range<usize> = 0..3;
const NODES: std::ops::Range<usize> = 0..3;
const ROUTERS: std::ops::Range<usize> = 0..2;

fn happening() -> impl Strategy<Value = Happening> {
    use Happening::{
        Ask as Asks, Befall, Crash, Deafen, Deliver, Jump, Mute, Pass, Reach, Reboot, Repeat,
        Report, Scan, Slow, Turn, Unreadable, Work,
    };
    let asks = vec![
        Ask::Pair,
        Ask::Pair,
        Ask::Pair,
        Ask::Start,
        Ask::Stop,
        Ask::Stop,
        Ask::Restart,
        Ask::Logout,
        Ask::Delete,
        Ask::Edit,
    ];
    let reasons =
        vec![ReasonCode::LoggedOutByPhone, ReasonCode::Replaced, ReasonCode::ConnectFailed];
    let weathers = vec![Weather::Fine, Weather::Lost, Weather::Unheard, Weather::Late];
    prop_oneof![
        10 => (SESSIONS, ROUTERS, select(asks)).prop_map(|(n, by, ask)| Asks(n, by, ask)),
        5 => (0..8_usize).prop_map(Scan),
        2 => (SESSIONS, select(reasons)).prop_map(|(n, reason)| Befall(n, reason)),
        1 => (NODES, any::<bool>()).prop_map(|(node, mute)| Mute(node, mute)),
        3 => (NODES, any::<bool>()).prop_map(|(node, slow)| Slow(node, slow)),
        1 => (NODES, any::<bool>()).prop_map(|(node, unreadable)| Unreadable(node, unreadable)),
        1 => (NODES, any::<bool>()).prop_map(|(node, deaf)| Deafen(node, deaf)),
        12 => (ROUTERS, 1..12_usize).prop_map(|(by, steps)| Work(by, steps)),
        2 => ROUTERS.prop_map(Crash),
        2 => NODES.prop_map(Reboot),
        5 => (NODES, ROUTERS, any::<bool>()).prop_map(|(node, to, heard)| Report(node, to, heard)),
        3 => (NODES, 0..64_usize, ROUTERS, NODES)
            .prop_map(|(node, which, to, by)| Repeat(node, which, to, by)),
        4 => (NODES, select(weathers)).prop_map(|(node, weather)| Turn(node, weather)),
        3 => (0..4_usize).prop_map(Deliver),
        2 => (NODES, any::<bool>()).prop_map(|(node, reaches)| Reach(node, reaches)),
        4 => (1..60_u64, 0..6_usize).prop_map(|(seconds, steps)| Pass(seconds, steps)),
        1 => (ROUTERS, -300..300_i64).prop_map(|(router, seconds)| Jump(router, seconds)),
    ]
}

async fn happen(town: &mut Town, what: Happening) {
    use Happening::{
        Ask as Asks, Befall, Crash, Deafen, Deliver, Jump, Mute, Pass, Reach, Reboot, Repeat,
        Report, Scan, Slow, Turn, Unreadable, Work,
    };
    match what {
        Asks(n, by, what) => {
            let id = town.ids[n].clone();
            ask(town, &id, by, what);
            town.note_wishes().await;
        }
        Scan(which) => scan(town, which).await,
        Befall(n, reason) => report_status(town, &town.ids[n], reason),
        Mute(node, mute) => town.nodes[node].gateway.set_mute(mute),
        Slow(node, slow) => town.nodes[node].gateway.set_slow(slow),
        Unreadable(node, unreadable) => town.nodes[node].gateway.set_unreadable(unreadable),
        Deafen(node, deaf) => town.nodes[node].deaf = deaf,
        Work(router, steps) => {
            for _ in 0..steps {
                town.routers[router].step();
                town.check().await;
            }
        }
        Crash(router) => town.routers[router].crash(),
        Reboot(node) => town.nodes[node].restart(),
        Report(node, to, heard) => {
            let Town { nodes, routers, .. } = town;
            nodes[node].report(&routers[to].nodes, heard).await;
        }
        Repeat(node, which, to, by) => {
            let Town { nodes, routers, .. } = town;
            nodes[node].repeat(which, &routers[to].nodes, &nodes[by]).await;
        }
        Turn(node, weather) => town.network.turn(&town.nodes[node].id, weather),
        Deliver(which) => drop(town.network.deliver(which).await),
        Reach(node, reaches) => town.nodes[node].reaches = reaches,
        Pass(seconds, steps) => town.pass(seconds, steps).await,
        Jump(router, seconds) => town.jump(router, seconds),
    }
    town.check().await;
}

/// WhatsApp closes a session's connection, if there is one.
fn report_status(town: &Town, id: &SessionId, reason: ReasonCode) {
    let mut nodes = town.nodes.iter();
    if let Some(node) = nodes.find(|node| node.online().contains(id)) {
        node.gateway.report_status(id, Status::Failed, reason);
    }
}

/// Asks, and does not wait for what takes time. Refusals are fine: what matters is where all ends.
fn ask(town: &Town, id: &SessionId, by: usize, what: Ask) {
    let (sessions, acme, id) = (&town.routers[by].sessions, World::acme(), id.as_str());
    match what {
        Ask::Pair => {
            let asked = sessions.qr(&acme, id, std::time::Duration::ZERO).now_or_never();
            drop(asked);
        }
        Ask::Start => drop(sessions.start(&acme, id).now_or_never()),
        Ask::Stop => drop(sessions.stop(&acme, id).now_or_never()),
        Ask::Restart => drop(sessions.restart(&acme, id).now_or_never()),
        Ask::Logout => drop(sessions.logout(&acme, id).now_or_never()),
        Ask::Delete => drop(sessions.delete(&acme, id, None).now_or_never()),
        Ask::Edit => {
            let label = Some(Some(town.shown.len().to_string()));
            let patch = SettingsPatch { label, ..SettingsPatch::default() };
            drop(sessions.update(&acme, id, None, patch).now_or_never());
        }
    }
}

/// A code that was ever shown links where its session is, or nowhere.
async fn scan(town: &mut Town, which: usize) {
    let newest_first = town.shown.iter().rev();
    let Some((id, code)) = newest_first.clone().nth(which % town.shown.len().max(1)) else {
        return;
    };
    let linked = town.nodes.iter().find(|node| node.gateway.scan(code)).map(|node| &node.id);
    if let (Some(node), Some(session)) = (linked, town.session(id).await) {
        assert_eq!(session.gateway.as_ref(), Some(node), "linked where it is not: {session:?}");
    }
}

/// Where all ends.
async fn check_rest(town: &Town) {
    let (cleanups, late) = (town.memory.cleanups(), town.network.deliver(0).await);
    assert!(cleanups.is_empty(), "retirements are picked up: {cleanups:?}");
    assert!(!late);
    for node in &town.nodes {
        for id in node.gateway.held() {
            let session = town.session(&id).await;
            let here = session.is_some_and(|session| session.gateway.as_ref() == Some(&node.id));
            assert!(here, "{} holds {id}, which is not its own", node.id);
        }
    }
    for id in &town.ids {
        if let Some(session) = town.session(id).await {
            check_session(town, &session);
        }
    }
}

fn check_session(town: &Town, session: &Session) {
    is_as_wanted(session);
    let node = town.nodes.iter().find(|node| Some(&node.id) == session.gateway.as_ref());
    let shown = node.and_then(|node| node.gateway.snapshot(&session.id));
    let linked = shown.as_ref().is_some_and(|shown| shown.identity.is_some());
    assert_eq!(linked, session.is_paired(), "what is known is what is: {session:?}");
    let devices = town.nodes.iter().filter(|node| node.gateway.devices().contains(&session.id));
    let given_up = town.gave_up(&session.id);
    assert!(given_up || usize::from(linked) == devices.count(), "what phones show: {session:?}");
    let online = shown.is_some_and(|shown| shown.status == Status::Working);
    assert_eq!(online, session.observed.status == Status::Working, "{session:?}");
    assert!(!online || session.spec.desired == Desired::Running, "{session:?}");
}

/// Every session's events are numbered without a gap, whoever wrote them.
fn check_events(town: &Town) {
    for id in &town.ids {
        let events = town.memory.events().into_iter();
        let ours = events.filter(|event| event.session.as_ref() == Some(id));
        let numbers: Vec<_> = ours.map(|event| event.sequence).collect();
        let expected: Vec<_> = (1..=u64::try_from(numbers.len()).unwrap()).collect();
        assert_eq!(numbers, expected, "{id}");
    }
}

fn run(rates: &[i64], happenings: Vec<Happening>) {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        let mut town = Town::new(rates).await;
        for what in happenings {
            happen(&mut town, what).await;
        }
        town.come_to_rest().await;
        check_rest(&town).await;
        check_events(&town);
    });
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn a_fleet_connects_nothing_twice_and_ends_where_it_should(
        rates in vec(900..1100_i64, NODES.end),
        happenings in vec(happening(), 1..60),
    ) {
        run(&rates, happenings);
    }
}
