//! Worker store in memory.

use std::collections::{BTreeMap, HashMap};

use async_trait::async_trait;

use crate::{
    api_key::model::ApiKey,
    cleanup::Cleanup,
    commit::SystemCommit,
    feed::position::FeedEvent,
    gateway::node::HeldSession,
    id::{GatewayId, OrganizationId, SessionId},
    ports::{
        error::PortResult,
        notify::VersionLookup,
        store::{
            worker::{Claim, SystemWrite, WorkerStore},
            written::Written,
        },
    },
    session::{
        model::Session,
        spec::Desired,
        status::Status,
        version::{ExpectedVersion, Version},
    },
    share_link::model::ShareLink,
    testing::memory::state::{Memory, is_unchanged, read},
    time::Timestamp,
};

#[async_trait]
impl WorkerStore for Memory {
    async fn claim_sessions(&self, claim: &Claim) -> PortResult<Vec<Session>> {
        let mut state = self.state()?;
        let due = |session: &&Session| session.due.is_some_and(|due| due <= claim.now);
        let due = state.sessions.values().filter(due);
        let due = due.map(|s| (s.due, s.organization.clone(), s.id.clone())).collect();
        let mut claimed = Vec::new();
        for id in select_due(due, claim) {
            let Some(session) = state.sessions.get_mut(&id) else { continue };
            session.due = Some(claim.until);
            claimed.push(read(session));
        }
        claimed.retain(|session| !state.corrupted.contains(&session.id));
        Ok(claimed)
    }

    async fn claim_cleanups(&self, claim: &Claim) -> PortResult<Vec<Cleanup>> {
        let mut state = self.state()?;
        let due = state.cleanups.values().filter(|cleanup| cleanup.due <= claim.now);
        let due = due.map(|r| (r.due, r.organization.clone(), r.session.clone())).collect();
        let mut claimed = Vec::new();
        for id in select_due(due, claim) {
            let Some(cleanup) = state.cleanups.get_mut(&id) else { continue };
            cleanup.due = claim.until;
            claimed.push(cleanup.clone());
        }
        Ok(claimed)
    }

    async fn next_due(&self) -> PortResult<Option<Timestamp>> {
        let state = self.state()?;
        let sessions = state.sessions.values().filter_map(|session| session.due);
        Ok(sessions.chain(state.cleanups.values().map(|r| r.due)).min())
    }

    async fn find(&self, id: &SessionId) -> PortResult<Option<Session>> {
        let state = self.state()?;
        state.sessions.get(id).map(|session| state.readable(session)).transpose()
    }

    async fn commit(&self, commit: &SystemCommit<SystemWrite>) -> PortResult<Written> {
        let mut state = self.state()?;
        let written = match &commit.change {
            SystemWrite::Update(update) => state.replace(update),
            SystemWrite::Pair { update, links } => {
                let written = state.replace(update);
                if written == Written::Done {
                    state.replace_links(links);
                }
                written
            }
            SystemWrite::Postpone(cleanup) => match state.cleanups.get_mut(&cleanup.session) {
                Some(known) => {
                    (known.due, known.attempts) = (cleanup.due, cleanup.attempts);
                    (known.epoch, known.sequence) = (cleanup.epoch, cleanup.sequence);
                    (known.linked, known.outcome_reported) =
                        (cleanup.linked, cleanup.outcome_reported);
                    Written::Done
                }
                None => Written::Raced,
            },
            SystemWrite::Finish(cleanup) => match state.cleanups.remove(&cleanup.session) {
                Some(_) => Written::Done,
                None => Written::Raced,
            },
        };
        if written == Written::Done {
            state.append(&commit.events);
        }
        Ok(written)
    }

    async fn reschedule(
        &self,
        id: &SessionId,
        expected: ExpectedVersion,
        due: Option<Timestamp>,
        failures: u32,
    ) -> PortResult<Written> {
        let mut state = self.state()?;
        let known = state.sessions.get_mut(id).filter(|session| is_unchanged(session, expected));
        let Some(session) = known else { return Ok(Written::Raced) };
        (session.due, session.failures) = (due, failures);
        Ok(Written::Done)
    }

    async fn wake_node(&self, gateway: &GatewayId, now: Timestamp) -> PortResult<()> {
        let mut state = self.state()?;
        let is_on_node = |placed: &Option<GatewayId>| placed.as_ref() == Some(gateway);
        for session in state.sessions.values_mut().filter(|session| is_on_node(&session.gateway)) {
            session.due = Some(now);
        }
        for cleanup in state.cleanups.values_mut().filter(|r| is_on_node(&r.gateway)) {
            cleanup.due = now;
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

    async fn assigned_sessions(&self, gateway: &GatewayId) -> PortResult<Vec<(HeldSession, bool)>> {
        let state = self.state()?;
        let placed = state.sessions.values().filter(|s| s.gateway.as_ref() == Some(gateway));
        Ok(placed
            .map(|session| {
                let held = HeldSession { session: session.id.clone(), epoch: session.spec.epoch };
                if state.corrupted.contains(&session.id) {
                    return (HeldSession { epoch: 0, ..held }, false);
                }
                let running = session.spec.desired == Desired::Running;
                (held, running || session.observed.status != Status::Stopped)
            })
            .collect())
    }

    async fn pending_cleanups(&self, gateway: &GatewayId) -> PortResult<Vec<SessionId>> {
        let state = self.state()?;
        let is_on_node = state.cleanups.values().filter(|r| r.gateway.as_ref() == Some(gateway));
        Ok(is_on_node.map(|cleanup| cleanup.session.clone()).collect())
    }

    async fn wake_waiting(&self, now: Timestamp, limit: u32) -> PortResult<u32> {
        let mut state = self.state()?;
        let waits = |session: &&Session| {
            session.gateway.is_none()
                && session.spec.desired == Desired::Running
                && (session.due.is_none() || session.due == session.observed.deadline)
        };
        let waiting = state.sessions.values().filter(waits);
        let waiting =
            waiting.map(|s| (s.updated_at, s.organization.clone(), s.id.clone())).collect();
        let woken = round_robin(waiting, &Claim::new(now, now, limit));
        for id in &woken {
            if let Some(session) = state.sessions.get_mut(id) {
                session.due = Some(now);
            }
        }
        Ok(u32::try_from(woken.len()).unwrap_or(u32::MAX))
    }

    async fn sweep_keys(&self, ended_before: Timestamp, limit: u32) -> PortResult<u32> {
        let mut state = self.state()?;
        let ended = |key: &&ApiKey| {
            key.revoked_at.into_iter().chain(key.expires_at).any(|at| at < ended_before)
        };
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let ended: Vec<_> =
            state.keys.values().filter(ended).map(|key| key.id.clone()).take(limit).collect();
        for id in &ended {
            state.keys.remove(id);
        }
        Ok(u32::try_from(ended.len()).unwrap_or(u32::MAX))
    }

    async fn blank_codes(&self, died_before: Timestamp, limit: u32) -> PortResult<u32> {
        let mut state = self.state()?;
        let mut blanked = 0;
        for FeedEvent { event, .. } in &mut state.events {
            let expires_at = event.payload.code_expires_at();
            if blanked < limit && expires_at.is_some_and(|at| at <= died_before) {
                blanked += u32::from(event.payload.blank_code());
            }
        }
        Ok(blanked)
    }

    async fn prune_feed(&self, before: Timestamp, limit: u32) -> PortResult<u32> {
        let mut state = self.state()?;
        let (pruned, newest) = (state.pruned, state.newest_position);
        let remaining = state.events.iter().filter(|found| found.position > pruned);
        let old = remaining.take_while(|found| found.event.at < before && found.position < newest);
        let old: Vec<_> = old
            .take(usize::try_from(limit).unwrap_or(usize::MAX))
            .map(|found| (found.event.organization.clone(), found.position))
            .collect();
        for (organization, position) in &old {
            state.floors.insert(organization.clone(), *position);
            state.pruned = *position;
        }
        let pruned_now = pruned..=state.pruned;
        state.events.retain(|found| {
            !pruned_now.contains(&found.position) || found.event.name().is_retained_for_audit()
        });
        Ok(u32::try_from(old.len()).unwrap_or(u32::MAX))
    }

    async fn prune_audit(&self, before: Timestamp, limit: u32) -> PortResult<Option<u32>> {
        let mut state = self.state()?;
        let after = |event: &&FeedEvent| Some(&event.event.organization) > state.audited.as_ref();
        let next = state.events.iter().filter(after);
        let next = next.map(|found| &found.event.organization).min().cloned();
        let Some(organization) = next else {
            state.audited = None;
            return Ok(None);
        };
        let floor = state.floors.get(&organization).copied().unwrap_or_default();
        let mut left = limit;
        state.events.retain(|FeedEvent { position, event }| {
            let is_old = event.organization == organization && event.at < before;
            let is_removed = left > 0 && is_old && *position <= floor;
            left -= u32::from(is_removed);
            !is_removed
        });
        if left > 0 {
            state.audited = Some(organization);
        }
        Ok(Some(limit - left))
    }

    async fn sweep_idempotency_records(&self, now: Timestamp, limit: u32) -> PortResult<u32> {
        let mut state = self.state()?;
        let expired: Vec<_> = state
            .idempotency_records
            .iter()
            .filter(|(_, record)| record.expires_at <= now)
            .map(|(key, _)| key.clone())
            .take(usize::try_from(limit).unwrap_or(usize::MAX))
            .collect();
        for key in &expired {
            state.idempotency_records.remove(key);
        }
        Ok(u32::try_from(expired.len()).unwrap_or(u32::MAX))
    }

    async fn sweep_link_attempts(&self, before: Timestamp, limit: u32) -> PortResult<u32> {
        let mut state = self.state()?;
        let mut left = limit;
        state.attempts.retain(|(_, attempt)| {
            let is_swept = left > 0 && attempt.at < before;
            left -= u32::from(is_swept);
            !is_swept
        });
        Ok(limit - left)
    }

    async fn unended_links(&self, session: &Session) -> PortResult<Vec<ShareLink>> {
        let state = self.state()?;
        let links = state.share_links.values();
        let unended = links.filter(|link| link.session == session.id && link.end.is_none());
        Ok(unended.cloned().collect())
    }

    async fn sweep_share_links(&self, before: Timestamp, limit: u32) -> PortResult<u32> {
        let mut state = self.state()?;
        let mut left = limit;
        state.share_links.retain(|_, link| {
            let is_swept = left > 0 && link.removed_at() < before;
            left -= u32::from(is_swept);
            !is_swept
        });
        Ok(limit - left)
    }

    async fn sweep_spent_tickets(&self, before: Timestamp, limit: u32) -> PortResult<u32> {
        let mut state = self.state()?;
        let mut left = limit;
        state.spent_tickets.retain(|_, expires_at| {
            let is_swept = left > 0 && *expires_at < before;
            left -= u32::from(is_swept);
            !is_swept
        });
        Ok(limit - left)
    }

    async fn sweep_browser_sessions(&self, before: Timestamp, limit: u32) -> PortResult<u32> {
        let mut state = self.state()?;
        let mut left = limit;
        state.browser_sessions.retain(|_, session| {
            let is_swept = left > 0 && session.expires_at < before;
            left -= u32::from(is_swept);
            !is_swept
        });
        Ok(limit - left)
    }
}

#[async_trait]
impl VersionLookup for Memory {
    async fn versions(&self, ids: &[SessionId]) -> PortResult<HashMap<SessionId, Version>> {
        let state = self.state()?;
        let known = ids.iter().filter_map(|id| state.sessions.get(id));
        Ok(known.map(|session| (session.id.clone(), session.version)).collect())
    }
}

/// Returns the ids that a claim takes of the due rows.
pub(in crate::testing) fn select_due<T: Ord>(
    mut due: Vec<(T, OrganizationId, SessionId)>,
    claim: &Claim,
) -> Vec<SessionId> {
    if due.len() > usize::try_from(claim.limit).unwrap_or(usize::MAX) {
        return round_robin(due, claim);
    }
    due.sort();
    let mut claimed = BTreeMap::<_, u32>::new();
    due.retain(|(_, organization, _)| {
        let count = claimed.entry(organization.clone()).or_default();
        *count += 1;
        *count <= claim.allowance(organization)
    });
    due.into_iter().map(|(_, _, id)| id).collect()
}

/// Returns the first row of each organization, then the second of each, and so on.
fn round_robin<T: Ord>(
    mut rows: Vec<(T, OrganizationId, SessionId)>,
    claim: &Claim,
) -> Vec<SessionId> {
    rows.sort();
    let mut claimed = BTreeMap::<_, u32>::new();
    let mut turns = Vec::new();
    for (_, organization, id) in rows {
        let count = claimed.entry(organization.clone()).or_default();
        if *count < claim.allowance(&organization) {
            turns.push((*count, organization, id));
            *count += 1;
        }
    }
    turns.sort();
    turns.truncate(usize::try_from(claim.limit).unwrap_or(usize::MAX));
    turns.into_iter().map(|(_, _, id)| id).collect()
}
