//! A reconciler that runs whenever a caller waits: assigns nodes, sends declarations, unlinks,
//! observes the node's snapshots, and hands messages over, which WhatsApp acknowledges at once.

use std::{
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use domain::{
    Change, Deadlines, Desired, GatewayId, JournalDelivery, JournalFact, JournalItem,
    LogoutOutcome, OutboxId, ServerAck, Session, SessionId, ShareLink, WaMessageId,
    commit_with_links, links_to_end,
    ports::{Claim, Environment, NodeStore, SessionControl, WorkerStore, Written},
    testing::{FakeSessionControl, Memory, TestEnvironment, TestPause, World},
};

/// A pause that advances the test clock and runs the reconciler.
#[derive(Clone)]
pub(crate) struct FakeReconciler {
    pub(crate) memory: Memory,
    pub(crate) gateway: FakeSessionControl,
    pub(crate) environment: Arc<TestEnvironment>,
    /// The use cases over these stores, once they exist.
    pub(crate) world: Arc<OnceLock<World>>,
    /// The last sequence number of the node's journal.
    pub(crate) sequence: Arc<AtomicU64>,
}

#[async_trait]
impl TestPause for FakeReconciler {
    async fn pause(&self, duration: Duration) {
        self.environment.advance(duration);
        self.round().await;
        self.send_messages().await;
    }
}

impl FakeReconciler {
    /// Processes all due sessions and observes the snapshots of the node.
    pub(crate) async fn round(&self) {
        let now = self.environment.now();
        let until = now.plus(Duration::from_secs(1));
        for session in
            self.memory.claim_sessions(&Claim::new(now, until, 1000)).await.unwrap_or_default()
        {
            self.act(session).await;
        }
        for id in self.gateway.held() {
            self.observe(&id).await;
        }
    }

    /// Hands the messages of due outboxes over, and delivers WhatsApp's acknowledgements.
    pub(crate) async fn send_messages(&self) {
        let Some(world) = self.world.get() else { return };
        let (now, node) = (self.environment.now(), GatewayId::parse("gw-test").unwrap());
        let found = NodeStore::find(&self.memory, &node).await.unwrap().unwrap();
        let beaten = self.memory.heartbeat(&node, &found.incarnation, found.held, now).await;
        assert!(beaten.unwrap(), "the node is registered");
        let claim = Claim::new(now, now.plus(Duration::from_secs(60)), 1000);
        for due in world.outbox.claim(&claim).await.unwrap_or_default() {
            world.outbox.dispatch(&due.session).await.unwrap();
        }
        for (session, message) in world.messaging.take_handed() {
            let sequence = self.sequence.fetch_add(1, Ordering::SeqCst) + 1;
            let fact = JournalFact::Ack(ServerAck {
                outbox: OutboxId::parse(&message.outbox).unwrap(),
                wa_id: WaMessageId::parse(&message.wa_id).unwrap(),
                at: now,
                refusal: None,
            });
            let items = vec![JournalItem { sequence, at: now, fact }];
            let delivery = JournalDelivery { session, items };
            world.journals.take(&node, "journal", vec![delivery]).await.unwrap();
        }
    }

    async fn act(&self, mut session: Session) {
        let now = self.environment.now();
        if session.gateway.is_none() && session.spec.desired == Desired::Running {
            self.write(session.clone().assign_node(GatewayId::parse("gw-test").unwrap(), now))
                .await;
            session = self.find(&session.id).await.unwrap();
        }
        let Some(gateway) = &session.gateway else {
            // Returns `None` without an unlink request.
            if let Some(change) = session.complete_unlink(LogoutOutcome::NotLinked, None, now) {
                self.write(change).await;
            }
            return;
        };
        let node = NodeStore::find(&self.memory, gateway).await.unwrap().unwrap();
        if session.spec.unlink.is_some() {
            let asked = self.gateway.logout(
                &node,
                &session.id,
                session.spec.epoch,
                false,
                Duration::from_secs(10),
            );
            if let Ok((outcome, snapshot)) = asked.await
                && let Some(change) = session.complete_unlink(outcome, Some(&snapshot), now)
            {
                self.write(change).await;
            }
        } else if self.gateway.declare(&node, &session.id, &session.declaration()).await.is_ok() {
            self.observe(&session.id).await;
        }
    }

    async fn observe(&self, id: &SessionId) {
        let (Some(session), Some(snapshot)) = (self.find(id).await, self.gateway.snapshot(id))
        else {
            return;
        };
        let is_linked = snapshot.identity.is_some();
        let links = links_to_end(&self.memory, &session, is_linked).await.unwrap();
        let now = self.environment.now();
        if let Some(change) = session.observe(snapshot, now, &Deadlines::default()) {
            self.write_with_links(change, links).await;
        }
    }

    async fn find(&self, id: &SessionId) -> Option<Session> {
        WorkerStore::find(&self.memory, id).await.unwrap()
    }

    async fn write(&self, change: Change) {
        self.write_with_links(change, Vec::new()).await;
    }

    async fn write_with_links(&self, change: Change, links: Vec<ShareLink>) {
        let commit = commit_with_links(change, links, &*self.environment);
        let written = WorkerStore::commit(&self.memory, &commit).await.unwrap();
        assert_eq!(written, Written::Done, "nobody else writes while the hand does");
    }
}
