//! The end of share links when a phone is linked to their session. The end is a part of the commit
//! that writes the linked device, so that no link outlives the pairing.

use crate::{
    caller::Actor,
    commit::{Commit, SystemCommit},
    event::payload::EventPayload,
    ports::{
        environment::Environment,
        error::PortResult,
        store::worker::{SystemWrite, WorkerStore},
    },
    session::{change::Change, model::Session},
    share_link::{
        model::{LinkOutcome, ShareLink},
        owned_links::name_link_as_actor,
        revocation_cause::RevocationCause,
    },
    time::Timestamp,
};

/// Returns the links that a report can end: of a session that pairs, when the report shows a device.
///
/// # Errors
/// Errors of the store.
pub async fn links_to_end(
    store: &dyn WorkerStore,
    session: &Session,
    is_linked: bool,
) -> PortResult<Vec<ShareLink>> {
    if session.is_paired() || !is_linked {
        return Ok(Vec::new());
    }
    store.unended_links(session).await
}

/// Returns the commit of a change of a session by berth itself. A change that links a device ends
/// the session's links: those that a browser opened are used, the others are revoked.
pub fn commit_with_links(
    mut change: Change,
    links: Vec<ShareLink>,
    environment: &dyn Environment,
) -> SystemCommit<SystemWrite> {
    let now = environment.now();
    let ended: Vec<_> = if change.session.is_paired() {
        links.into_iter().filter_map(|link| end(&mut change, link, now)).collect()
    } else {
        Vec::new()
    };
    let Commit { change: update, mut events, idempotency } =
        change.into_commit(&Actor::System, environment);
    name_link_as_actor(&mut events);
    let change = if ended.is_empty() {
        SystemWrite::Update(update)
    } else {
        SystemWrite::Pair { update, links: ended }
    };
    Commit { change, events, idempotency }
}

/// Ends a link. A link that expired before a browser opened it needs no end.
fn end(change: &mut Change, link: ShareLink, now: Timestamp) -> Option<ShareLink> {
    let id = link.id.clone();
    if link.opening.is_some() {
        change.add_event(EventPayload::LinkUsed { link: id });
        return Some(link.ended(LinkOutcome::Used, now));
    }
    link.is_live(now).then(|| {
        change.add_event(EventPayload::LinkRevoked { link: id, cause: RevocationCause::Paired });
        link.ended(LinkOutcome::Revoked, now)
    })
}
