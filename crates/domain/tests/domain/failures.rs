//! Failures of one session do not affect others: unreadable rows, and reports that cannot be
//! stored.

use domain::{
    Error, EventName, GatewayId, HeldSession, Node, ReportOutcome, Session, Snapshot, Status,
    ports::{Environment, NodeStore, SessionFilter, SessionPage, WorkerStore},
    testing::{World, commit_parts, update_by_system},
};

const PAGE: SessionPage = SessionPage {
    filter: SessionFilter { statuses: Vec::new(), label: None, gateway: None, phone: None },
    after: None,
    limit: 9,
};

/// Returns a session that is assigned to its node.
async fn on_its_node(world: &World) -> Session {
    let settings = domain::Settings::default();
    let session = world.sessions.create(&World::acme(), settings, true, None).await.unwrap();
    let read = WorkerStore::find(&world.memory, &session.id).await.unwrap().unwrap();
    let placed = read.assign_node(GatewayId::parse("gw-test").unwrap(), world.environment.now());
    let (placed, expected_version, _) =
        commit_parts(placed, &domain::Actor::System, &*world.environment);
    let written = update_by_system(&world.memory, &placed, expected_version, &[]).await.unwrap();
    assert_eq!(written, domain::ports::Written::Done);
    placed
}

fn working(session: &Session) -> Snapshot {
    Snapshot {
        epoch: session.spec.epoch,
        generation: 1,
        seq: 1,
        status: Status::Starting,
        reason: None,
        identity: None,
        pairing: None,
    }
}

async fn node(world: &World) -> Node {
    NodeStore::find(&world.memory, &GatewayId::parse("gw-test").unwrap()).await.unwrap().unwrap()
}

#[tokio::test]
async fn unreadable_session_is_unlisted_and_deletable() {
    let world = World::new().await;
    let (bad, good) = (on_its_node(&world).await, world.acme_session().await);
    world.memory.corrupt(&bad.id);
    let (caller, id) = (World::acme(), bad.id.as_str());
    assert_eq!(world.sessions.list(&caller, &PAGE).await.unwrap(), [good]);
    let viewed = world.sessions.view(&caller, id).await;
    assert!(matches!(viewed, Err(Error::Internal(_))), "{viewed:?}");
    let guarded = world.sessions.delete(&caller, id, Some(bad.version)).await;
    assert!(matches!(guarded, Err(Error::Internal(_))), "the version is unreadable: {guarded:?}");
    let foreign = world.sessions.delete(&World::zeta(), id, None).await;
    assert!(matches!(foreign, Err(Error::NotFound { .. })), "{foreign:?}");

    world.sessions.delete(&caller, id, None).await.unwrap();
    let viewed = world.sessions.view(&caller, id).await;
    assert!(matches!(viewed, Err(Error::NotFound { .. })), "{viewed:?}");
    let [cleanup] = &world.memory.cleanups()[..] else { panic!("one cleanup remains") };
    assert_eq!((&cleanup.session, &cleanup.gateway), (&bad.id, &bad.gateway));
    assert!(cleanup.epoch > bad.spec.epoch);
    let last = world.memory.events().pop().unwrap();
    assert_eq!((last.name(), last.session), (EventName::SessionDeleted, Some(bad.id)));
    assert_eq!((last.sequence, cleanup.sequence), (bad.sequence + 1, bad.sequence + 1));
}

#[tokio::test]
async fn rejected_report_does_not_block_others() {
    let world = World::new().await;
    let (bad, good) = (on_its_node(&world).await, on_its_node(&world).await);
    world.memory.corrupt(&bad.id);
    let node = node(&world).await;
    let reports = vec![(bad.id.clone(), working(&bad)), (good.id.clone(), working(&good))];
    let reported = world.nodes.report(&node.id, &node.incarnation, reports).await.unwrap();
    let ReportOutcome::Accepted { refused } = reported else { panic!("{reported:?}") };
    assert_eq!(refused.iter().map(|report| &report.session).collect::<Vec<_>>(), [&bad.id]);
    let observed = world.sessions.view(&World::acme(), good.id.as_str()).await.unwrap().observed;
    assert_eq!((observed.epoch, observed.generation, observed.seq), (good.spec.epoch, 1, 1));
}

#[tokio::test]
async fn unreadable_session_stays_on_its_node() {
    let world = World::new().await;
    let bad = on_its_node(&world).await;
    world.memory.corrupt(&bad.id);
    let node = node(&world).await;
    let held = [HeldSession { session: bad.id, epoch: bad.spec.epoch }];
    let heartbeat = world.nodes.heartbeat(&node.id, &node.incarnation, &held, None).await.unwrap();
    let domain::HeartbeatOutcome::Renewed { lost, .. } = heartbeat else { panic!("{heartbeat:?}") };
    assert_eq!(lost, []);
}
