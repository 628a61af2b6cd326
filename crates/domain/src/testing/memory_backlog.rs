//! The reconciler's side of the memory store.

use std::collections::HashMap;

use async_trait::async_trait;

use super::{
    Memory,
    memory::{read, stands},
};
use crate::{
    Desired, Event, GatewayId, Guard, Held, Retirement, Session, SessionId, Status, Timestamp,
    Version,
    ports::{Backlog, PortResult, Versions, Written},
};

#[async_trait]
impl Backlog for Memory {
    async fn claim_sessions(
        &self,
        now: Timestamp,
        until: Timestamp,
        limit: u32,
    ) -> PortResult<Vec<Session>> {
        let mut state = self.state()?;
        let due = |session: &&mut Session| session.due.is_some_and(|due| due <= now);
        let mut sessions: Vec<_> = state.sessions.values_mut().filter(due).collect();
        sessions.sort_by_key(|session| session.due);
        sessions.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
        Ok(sessions
            .into_iter()
            .map(|session| {
                session.due = Some(until);
                read(session)
            })
            .collect())
    }

    async fn claim_retirements(
        &self,
        now: Timestamp,
        until: Timestamp,
        limit: u32,
    ) -> PortResult<Vec<Retirement>> {
        let mut state = self.state()?;
        let mut due: Vec<_> = state.retirements.values_mut().filter(|r| r.due <= now).collect();
        due.sort_by_key(|retirement| retirement.due);
        due.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
        Ok(due
            .into_iter()
            .map(|retirement| {
                retirement.due = until;
                retirement.clone()
            })
            .collect())
    }

    async fn next_due(&self) -> PortResult<Option<Timestamp>> {
        let state = self.state()?;
        let sessions = state.sessions.values().filter_map(|session| session.due);
        Ok(sessions.chain(state.retirements.values().map(|r| r.due)).min())
    }

    async fn find(&self, id: &SessionId) -> PortResult<Option<Session>> {
        let state = self.state()?;
        state.sessions.get(id).map(|session| state.readable(session)).transpose()
    }

    async fn update(
        &self,
        session: &Session,
        expected: Guard,
        events: &[Event],
    ) -> PortResult<Written> {
        Ok(self.state()?.replace(session, expected, events))
    }

    async fn reschedule(
        &self,
        id: &SessionId,
        expected: Guard,
        due: Option<Timestamp>,
        failures: u32,
    ) -> PortResult<Written> {
        let mut state = self.state()?;
        let known = state.sessions.get_mut(id).filter(|session| stands(session, expected));
        let Some(session) = known else { return Ok(Written::Raced) };
        (session.due, session.failures) = (due, failures);
        Ok(Written::Done)
    }

    async fn postpone(&self, retirement: &Retirement, events: &[Event]) -> PortResult<()> {
        let mut state = self.state()?;
        if let Some(known) = state.retirements.get_mut(&retirement.session) {
            (known.due, known.attempts) = (retirement.due, retirement.attempts);
            (known.sequence, known.told) = (retirement.sequence, retirement.told);
            known.epoch = retirement.epoch;
            state.events.extend_from_slice(events);
        }
        Ok(())
    }

    async fn finish(&self, retirement: &Retirement, events: &[Event]) -> PortResult<()> {
        let mut state = self.state()?;
        if state.retirements.remove(&retirement.session).is_some() {
            state.events.extend_from_slice(events);
        }
        Ok(())
    }

    async fn wake(&self, gateway: &GatewayId, now: Timestamp) -> PortResult<()> {
        let mut state = self.state()?;
        let ours = |placed: &Option<GatewayId>| placed.as_ref() == Some(gateway);
        for session in state.sessions.values_mut().filter(|session| ours(&session.gateway)) {
            session.due = Some(now);
        }
        for retirement in state.retirements.values_mut().filter(|r| ours(&r.gateway)) {
            retirement.due = now;
        }
        Ok(())
    }

    async fn wake_sessions(&self, sessions: &[SessionId], now: Timestamp) -> PortResult<()> {
        let mut state = self.state()?;
        for id in sessions {
            if let Some(session) = state.sessions.get_mut(id) {
                session.due = Some(session.due.map_or(now, |due| due.min(now)));
            }
        }
        Ok(())
    }

    async fn placed(&self, gateway: &GatewayId) -> PortResult<Vec<(Held, bool)>> {
        let state = self.state()?;
        let placed = state.sessions.values().filter(|s| s.gateway.as_ref() == Some(gateway));
        Ok(placed
            .map(|session| {
                let held = Held { session: session.id.clone(), epoch: session.wanted.epoch };
                if state.spoilt.contains(&session.id) {
                    return (Held { epoch: 0, ..held }, false);
                }
                let running = session.wanted.desired == Desired::Running;
                (held, running || session.seen.status != Status::Stopped)
            })
            .collect())
    }

    async fn retiring(&self, gateway: &GatewayId) -> PortResult<Vec<SessionId>> {
        let state = self.state()?;
        let ours = state.retirements.values().filter(|r| r.gateway.as_ref() == Some(gateway));
        Ok(ours.map(|retirement| retirement.session.clone()).collect())
    }

    async fn sweep_receipts(&self, now: Timestamp, limit: u32) -> PortResult<u32> {
        let mut state = self.state()?;
        let expired: Vec<_> = state
            .receipts
            .iter()
            .filter(|(_, receipt)| receipt.expires_at <= now)
            .map(|(place, _)| place.clone())
            .take(usize::try_from(limit).unwrap_or(usize::MAX))
            .collect();
        for place in &expired {
            state.receipts.remove(place);
        }
        Ok(u32::try_from(expired.len()).unwrap_or(u32::MAX))
    }
}

#[async_trait]
impl Versions for Memory {
    async fn versions(&self, ids: &[SessionId]) -> PortResult<HashMap<SessionId, Version>> {
        let state = self.state()?;
        let known = ids.iter().filter_map(|id| state.sessions.get(id));
        Ok(known.map(|session| (session.id.clone(), session.version)).collect())
    }
}
