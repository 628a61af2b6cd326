//! A store that pauses before every call, so that a test can stop or overtake the worker there.

use std::{
    future::poll_fn,
    task::Poll::{Pending, Ready},
};

use async_trait::async_trait;
use domain::{
    Cleanup, ExpectedVersion, GatewayId, HeldSession, Node, Orphan, Session, SessionId, ShareLink,
    SystemCommit, Timestamp,
    ports::{Claim, NodeStore, OrphanStore, PortResult, SystemWrite, WorkerStore, Written},
    testing::Memory,
};

/// Returns at the second poll, so that the poller decides when to continue.
pub(crate) async fn wait_for_step() {
    let mut polled = false;
    poll_fn(|context| {
        if std::mem::replace(&mut polled, true) {
            return Ready(());
        }
        context.waker().wake_by_ref();
        Pending
    })
    .await;
}

/// The memory store with one pause before every call.
pub(crate) struct SteppedStore(pub(super) Memory);

#[async_trait]
impl WorkerStore for SteppedStore {
    async fn claim_sessions(&self, claim: &Claim) -> PortResult<Vec<Session>> {
        wait_for_step().await;
        self.0.claim_sessions(claim).await
    }

    async fn claim_cleanups(&self, claim: &Claim) -> PortResult<Vec<Cleanup>> {
        wait_for_step().await;
        self.0.claim_cleanups(claim).await
    }

    async fn next_due(&self) -> PortResult<Option<Timestamp>> {
        wait_for_step().await;
        self.0.next_due().await
    }

    async fn find(&self, id: &SessionId) -> PortResult<Option<Session>> {
        wait_for_step().await;
        WorkerStore::find(&self.0, id).await
    }

    async fn commit(&self, commit: &SystemCommit<SystemWrite>) -> PortResult<Written> {
        wait_for_step().await;
        WorkerStore::commit(&self.0, commit).await
    }

    async fn reschedule(
        &self,
        id: &SessionId,
        expected: ExpectedVersion,
        due: Option<Timestamp>,
        failures: u32,
    ) -> PortResult<Written> {
        wait_for_step().await;
        self.0.reschedule(id, expected, due, failures).await
    }

    async fn wake_node(&self, gateway: &GatewayId, now: Timestamp) -> PortResult<()> {
        wait_for_step().await;
        self.0.wake_node(gateway, now).await
    }

    async fn wake_sessions(&self, sessions: &[SessionId], now: Timestamp) -> PortResult<()> {
        wait_for_step().await;
        self.0.wake_sessions(sessions, now).await
    }

    async fn assigned_sessions(&self, gateway: &GatewayId) -> PortResult<Vec<(HeldSession, bool)>> {
        wait_for_step().await;
        self.0.assigned_sessions(gateway).await
    }

    async fn pending_cleanups(&self, gateway: &GatewayId) -> PortResult<Vec<SessionId>> {
        wait_for_step().await;
        self.0.pending_cleanups(gateway).await
    }

    async fn wake_waiting(&self, now: Timestamp, limit: u32) -> PortResult<u32> {
        wait_for_step().await;
        self.0.wake_waiting(now, limit).await
    }

    async fn sweep_keys(&self, ended_before: Timestamp, limit: u32) -> PortResult<u32> {
        wait_for_step().await;
        self.0.sweep_keys(ended_before, limit).await
    }

    async fn blank_codes(&self, died_before: Timestamp, limit: u32) -> PortResult<u32> {
        wait_for_step().await;
        self.0.blank_codes(died_before, limit).await
    }

    async fn prune_feed(&self, before: Timestamp, limit: u32) -> PortResult<u32> {
        wait_for_step().await;
        self.0.prune_feed(before, limit).await
    }

    async fn prune_audit(&self, before: Timestamp, limit: u32) -> PortResult<Option<u32>> {
        wait_for_step().await;
        self.0.prune_audit(before, limit).await
    }

    async fn sweep_idempotency_records(&self, now: Timestamp, limit: u32) -> PortResult<u32> {
        wait_for_step().await;
        self.0.sweep_idempotency_records(now, limit).await
    }

    async fn sweep_link_attempts(&self, before: Timestamp, limit: u32) -> PortResult<u32> {
        wait_for_step().await;
        self.0.sweep_link_attempts(before, limit).await
    }

    async fn unended_links(&self, session: &Session) -> PortResult<Vec<ShareLink>> {
        wait_for_step().await;
        self.0.unended_links(session).await
    }

    async fn sweep_share_links(&self, before: Timestamp, limit: u32) -> PortResult<u32> {
        wait_for_step().await;
        self.0.sweep_share_links(before, limit).await
    }

    async fn sweep_spent_tickets(&self, before: Timestamp, limit: u32) -> PortResult<u32> {
        wait_for_step().await;
        self.0.sweep_spent_tickets(before, limit).await
    }

    async fn sweep_browser_sessions(&self, before: Timestamp, limit: u32) -> PortResult<u32> {
        wait_for_step().await;
        self.0.sweep_browser_sessions(before, limit).await
    }
}

#[async_trait]
impl OrphanStore for SteppedStore {
    async fn note_orphans(
        &self,
        gateway: &GatewayId,
        held: &[HeldSession],
        now: Timestamp,
    ) -> PortResult<Vec<SessionId>> {
        wait_for_step().await;
        self.0.note_orphans(gateway, held, now).await
    }

    async fn orphans(&self) -> PortResult<Vec<Orphan>> {
        wait_for_step().await;
        self.0.orphans().await
    }

    async fn last_event_sequence(&self, session: &SessionId) -> PortResult<u64> {
        wait_for_step().await;
        self.0.last_event_sequence(session).await
    }
}

#[async_trait]
impl NodeStore for SteppedStore {
    async fn register(&self, node: &Node) -> PortResult<u64> {
        wait_for_step().await;
        self.0.register(node).await
    }

    async fn heartbeat(
        &self,
        id: &GatewayId,
        incarnation: &str,
        held: u32,
        now: Timestamp,
    ) -> PortResult<bool> {
        wait_for_step().await;
        self.0.heartbeat(id, incarnation, held, now).await
    }

    async fn find(&self, id: &GatewayId) -> PortResult<Option<Node>> {
        wait_for_step().await;
        NodeStore::find(&self.0, id).await
    }

    async fn list(&self) -> PortResult<Vec<Node>> {
        wait_for_step().await;
        NodeStore::list(&self.0).await
    }

    async fn mark_lost(
        &self,
        id: &GatewayId,
        incarnation: &str,
        silent_since: Timestamp,
        now: Timestamp,
    ) -> PortResult<bool> {
        wait_for_step().await;
        self.0.mark_lost(id, incarnation, silent_since, now).await
    }
}
