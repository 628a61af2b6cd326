//! Orphans in memory.

use std::collections::BTreeMap;

use async_trait::async_trait;

use super::Memory;
use crate::{
    GatewayId, HeldSession, Orphan, SessionId, Timestamp,
    ports::{OrphanStore, PortResult},
};

/// Each with whether it was told of.
pub(super) type Noted = BTreeMap<(GatewayId, SessionId), (Orphan, bool)>;

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
        let mut told_now = Vec::new();
        for HeldSession { session, epoch } in held.iter().cloned() {
            let place = (gateway.clone(), session.clone());
            if let Some((_, outcome_reported)) = state.orphans.get_mut(&place) {
                if !std::mem::replace(outcome_reported, true) {
                    told_now.push(session);
                }
                continue;
            }
            let orphan = Orphan { session, gateway: gateway.clone(), epoch, since: now };
            state.orphans.insert(place, (orphan, false));
        }
        Ok(told_now)
    }

    async fn orphans(&self) -> PortResult<Vec<Orphan>> {
        let state = self.state()?;
        let outcome_reported =
            state.orphans.values().filter(|(_, outcome_reported)| *outcome_reported);
        Ok(outcome_reported.map(|(orphan, _)| orphan.clone()).collect())
    }
}
