//! Watches nodes: one that is silent for longer than its lease has closed its connections by itself,
//! and its sessions are told so.

use domain::ports::PortResult;

use crate::Worker;

impl Worker {
    /// Gives up nodes that are silent for too long.
    pub(crate) async fn watch_nodes(&self) -> PortResult<()> {
        let now = self.ports.environment.now();
        for node in self.ports.nodes.list().await? {
            if node.lost_at.is_some() || node.is_live(now, self.deadlines.silence()) {
                continue;
            }
            let silent_since = node.beat_at.plus(std::time::Duration::from_millis(1));
            let (id, incarnation) = (&node.id, &node.incarnation);
            if self.ports.nodes.lose(id, incarnation, silent_since, now).await? {
                tracing::warn!(gateway = %id, "gateway not heard of; its sessions count as closed");
                self.ports.backlog.wake(id, now).await?;
            }
        }
        Ok(())
    }
}
