//! Calls of the worker to a node that answers with errors: the order of the calls, their epochs, and
//! when the next call follows.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use domain::{
    Actor, Declaration, Desired, EventPayload, GatewayId, Identity, LiveIdentity, LogoutOutcome,
    Node, Session, SessionId, Settings, Snapshot, Status,
    ports::{
        Environment, GatewayError, NodeStore, SessionControl, SystemWrite, WorkerStore, Written,
    },
    testing::{PlainOrganizationTags, World},
};
use mockall::{Sequence, mock};
use worker::{Ports, Worker};

mock! {
    Control {}

    #[async_trait]
    impl SessionControl for Control {
        async fn declare(
            &self,
            node: &Node,
            session: &SessionId,
            declaration: &Declaration,
        ) -> Result<Snapshot, GatewayError>;

        async fn logout(
            &self,
            node: &Node,
            session: &SessionId,
            epoch: u64,
            linked: bool,
            deadline: Duration,
        ) -> Result<(LogoutOutcome, Snapshot), GatewayError>;

        async fn forget(
            &self,
            node: &Node,
            session: &SessionId,
            epoch: u64,
            linked: bool,
        ) -> Result<(), GatewayError>;

        async fn identity(
            &self,
            node: &Node,
            session: &SessionId,
        ) -> Result<LiveIdentity, GatewayError>;
    }
}

/// A node with the expected calls in their order. Another call fails the test.
struct Conversation {
    control: MockControl,
    order: Sequence,
}

impl Conversation {
    fn new() -> Self {
        Self { control: MockControl::new(), order: Sequence::new() }
    }

    fn logout(
        mut self,
        epoch: u64,
        linked: bool,
        answer: Result<LogoutOutcome, GatewayError>,
    ) -> Self {
        let answer = answer.map(|outcome| (outcome, snapshot(epoch)));
        self.control
            .expect_logout()
            .withf(move |_, _, of, is_linked, _| (*of, *is_linked) == (epoch, linked))
            .times(1)
            .in_sequence(&mut self.order)
            .return_once(move |_, _, _, _, _| answer);
        self
    }

    fn forget(mut self, epoch: u64, linked: bool, answer: Result<(), GatewayError>) -> Self {
        self.control
            .expect_forget()
            .withf(move |_, _, of, is_linked| (*of, *is_linked) == (epoch, linked))
            .times(1)
            .in_sequence(&mut self.order)
            .return_once(move |_, _, _, _| answer);
        self
    }

    fn declare(mut self, epoch: u64, answer: Result<Snapshot, GatewayError>) -> Self {
        self.control
            .expect_declare()
            .withf(move |_, _, declaration| declaration.epoch == epoch)
            .times(1)
            .in_sequence(&mut self.order)
            .return_once(move |_, _, _| answer);
        self
    }

    /// Lets the worker of `world` talk to the node, one round a minute, while rows are due.
    async fn run(self, world: &World) {
        let store = Arc::new(world.memory.clone());
        let ports = Ports {
            worker_store: store.clone(),
            message_removals: store.clone(),
            nodes: store,
            gateway: Arc::new(self.control),
            environment: world.environment.clone(),
            notifier: world.notifier.clone(),
            leases: world.leases.clone(),
            organization_tags: Arc::new(PlainOrganizationTags),
        };
        let worker = Worker::new(ports, world.deadlines.clone());
        let node = node(world).await;
        for _ in 0..6 {
            world.environment.advance(Duration::from_secs(60));
            world.nodes.heartbeat(&node.id, &node.incarnation, &[], None).await.unwrap();
            worker.round().await.unwrap();
        }
    }
}

fn unavailable<T>() -> Result<T, GatewayError> {
    Err(GatewayError::Unavailable("the test cuts the connection".into()))
}

fn snapshot(epoch: u64) -> Snapshot {
    Snapshot {
        epoch,
        generation: 1,
        seq: 1,
        status: Status::Stopped,
        reason: None,
        identity: None,
        pairing: None,
    }
}

async fn node(world: &World) -> Node {
    let id = GatewayId::parse("gw-test").unwrap();
    NodeStore::find(&world.memory, &id).await.unwrap().unwrap()
}

/// Returns a session with epoch 3 on the node, changed by `change`.
async fn session(world: &World, change: impl FnOnce(&mut Session)) -> SessionId {
    let settings = Settings::default();
    let id = world.sessions.create(&World::acme(), settings, false, None).await.unwrap().id;
    let session = WorkerStore::find(&world.memory, &id).await.unwrap().unwrap();
    let gateway = GatewayId::parse("gw-test").unwrap();
    let mut assignment = session.assign_node(gateway, world.environment.now());
    (assignment.session.spec.epoch, assignment.session.due) = (3, None);
    change(&mut assignment.session);
    let commit = assignment.into_commit(&Actor::System, &*world.environment);
    let commit = commit.map(SystemWrite::Update);
    assert_eq!(WorkerStore::commit(&world.memory, &commit).await.unwrap(), Written::Done);
    id
}

/// Deletes a session, so that a cleanup with epoch 4 remains.
async fn delete(world: &World, linked: bool) {
    let device = Identity {
        phone: "15551234567".to_owned(),
        jid: "15551234567:1@s.whatsapp.net".to_owned(),
        lid: None,
        device: 1,
        push_name: None,
    };
    let id = session(world, |session| {
        session.observed.identity = linked.then_some(device);
    })
    .await;
    world.sessions.delete(&World::acme(), id.as_str(), None).await.unwrap();
}

fn outcomes(world: &World) -> Vec<LogoutOutcome> {
    let outcome = |event: domain::Event| match event.payload {
        EventPayload::SessionRetired { unlink } => Some(unlink),
        _ => None,
    };
    world.memory.events().into_iter().filter_map(outcome).collect()
}

#[tokio::test]
async fn stale_cleanup_advances_its_epoch_in_growing_steps() {
    let world = World::new().await;
    delete(&world, true).await;
    Conversation::new()
        .logout(4, true, Err(GatewayError::Stale))
        .logout(5, true, Err(GatewayError::Stale))
        .logout(7, true, Ok(LogoutOutcome::Confirmed))
        .forget(7, false, Err(GatewayError::Stale))
        .forget(11, false, Ok(()))
        .run(&world)
        .await;
    assert_eq!(outcomes(&world), [LogoutOutcome::Confirmed]);
    assert!(world.memory.cleanups().is_empty());
}

#[tokio::test]
async fn keys_that_still_hold_a_link_are_unlinked_before_the_wipe() {
    let world = World::new().await;
    delete(&world, false).await;
    Conversation::new()
        .logout(4, false, Ok(LogoutOutcome::NotLinked))
        .forget(4, false, Err(GatewayError::Linked))
        .logout(4, true, Ok(LogoutOutcome::Unconfirmed))
        .logout(4, true, Ok(LogoutOutcome::Confirmed))
        .forget(4, false, Ok(()))
        .run(&world)
        .await;
    assert_eq!(outcomes(&world), [LogoutOutcome::Confirmed]);
    assert!(world.memory.cleanups().is_empty());
}

#[tokio::test]
async fn confirmed_unlink_is_reported_once_although_the_wipe_fails() {
    let world = World::new().await;
    delete(&world, true).await;
    Conversation::new()
        .logout(4, true, Ok(LogoutOutcome::Confirmed))
        .forget(4, false, unavailable())
        .forget(4, false, unavailable())
        .forget(4, false, Ok(()))
        .run(&world)
        .await;
    assert_eq!(outcomes(&world), [LogoutOutcome::Confirmed]);
    assert!(world.memory.cleanups().is_empty());
}

#[tokio::test]
async fn declaration_that_is_stale_is_repeated_with_a_higher_epoch() {
    let world = World::new().await;
    let id = session(&world, |session| {
        session.spec.desired = Desired::Stopped;
        session.due = Some(session.created_at);
        session.observed.status = Status::Working;
    })
    .await;
    Conversation::new()
        .declare(3, Err(GatewayError::Stale))
        .declare(4, unavailable())
        .declare(4, Err(GatewayError::Stale))
        .declare(8, Ok(snapshot(8)))
        .run(&world)
        .await;
    let session = WorkerStore::find(&world.memory, &id).await.unwrap().unwrap();
    assert_eq!((session.spec.epoch, session.observed.epoch, session.failures), (8, 8, 0));
    assert_eq!(session.observed.status, Status::Stopped);
}
