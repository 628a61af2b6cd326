//! Orphan store in memory.

use async_trait::async_trait;

use crate::{
    gateway::node::HeldSession,
    id::{GatewayId, SessionId},
    orphan::model::Orphan,
    ports::{error::PortResult, store::nodes::OrphanStore},
    testing::memory::state::Memory,
    time::Timestamp,
};

#[async_trait]
impl OrphanStore for Memory {
    async fn note_orphans(
        &self,
        gateway: &GatewayId,
        held: &[HeldSession],
        now: Timestamp,
    ) -> PortResult<Vec<SessionId>> {
        let mut state = self.state()?;
        let is_held = |session: &SessionId| held.iter().any(|held| held.session == *session);
        state.orphans.retain(|(node, session), _| node != gateway || is_held(session));
        let mut confirmed = Vec::new();
        for HeldSession { session, epoch } in held.iter().cloned() {
            let key = (gateway.clone(), session.clone());
            if let Some((_, is_confirmed)) = state.orphans.get_mut(&key) {
                if !std::mem::replace(is_confirmed, true) {
                    confirmed.push(session);
                }
                continue;
            }
            let orphan = Orphan { session, gateway: gateway.clone(), epoch, since: now };
            state.orphans.insert(key, (orphan, false));
        }
        Ok(confirmed)
    }

    async fn orphans(&self) -> PortResult<Vec<Orphan>> {
        let state = self.state()?;
        let is_confirmed = state.orphans.values().filter(|(_, is_confirmed)| *is_confirmed);
        Ok(is_confirmed.map(|(orphan, _)| orphan.clone()).collect())
    }

    async fn last_event_sequence(&self, session: &SessionId) -> PortResult<u64> {
        let state = self.state()?;
        let events = state.events.iter().map(|stored| &stored.event);
        let events = events.filter(|event| event.session.as_ref() == Some(session));
        Ok(events.map(|event| event.sequence).max().unwrap_or(0))
    }
}
