//! Old events are removed from the feed and, if the operator asks for it, from the audit log.

use std::time::Duration;

use domain::{
    Caller, Capability, Deadlines, Event, EventName, EventPayload, FeedRights, Status,
    ports::{OrganizationFeed as _, Written},
    testing::{World, commit_parts, insert_session},
};

use crate::fixture::Fixture;

const DAY: Duration = Duration::from_secs(86_400);

/// Creates a session whose events are one that the audit log keeps and `reports` that it does not
/// keep.
async fn write(fixture: &Fixture, caller: &Caller, reports: u64) {
    let World { memory, environment, .. } = &fixture.world;
    let scope = caller.may(Capability::Manage).unwrap();
    let session = domain::Session::new(
        scope.organization().clone(),
        None,
        domain::Settings::default(),
        &**environment,
    );
    let (session, _, mut events) = commit_parts(session.created(), scope.actor(), &**environment);
    for number in 0..reports {
        let payload = EventPayload::SessionStatus {
            status: Status::Starting,
            reason: None,
            message: None,
            unlink: domain::Omittable(None),
        };
        let (organization, actor) = (scope.organization(), scope.actor());
        let event = Event::of_organization(payload, organization, actor, &**environment);
        events.push(Event { session: Some(session.id.clone()), sequence: 2 + number, ..event });
    }
    let written = insert_session(memory, &scope, &session, &events, None).await;
    assert_eq!(written.unwrap(), Ok(Written::Done));
}

fn count(fixture: &Fixture, name: EventName) -> usize {
    fixture.world.memory.events().iter().filter(|event| event.name() == name).count()
}

#[tokio::test]
async fn old_events_leave_the_feed_and_audit_events_stay() {
    let fixture = Fixture::new().await;
    write(&fixture, &World::acme(), 1_200).await;
    write(&fixture, &World::zeta(), 0).await;
    fixture.world.environment.advance(DAY * 20);
    write(&fixture, &World::acme(), 1).await;
    fixture.worker.round().await.unwrap();
    assert_eq!(count(&fixture, EventName::SessionStatus), 1_201, "after 20 days");
    fixture.world.environment.advance(DAY * 11);
    write(&fixture, &World::acme(), 0).await;
    fixture.worker.round().await.unwrap();
    assert_eq!(count(&fixture, EventName::SessionStatus), 1, "after 31 days");
    assert_eq!(count(&fixture, EventName::SessionCreated), 4, "audit events stay");
    let rights = FeedRights::of(&World::zeta()).unwrap();
    let floor = fixture.world.memory.floor(&rights).await.unwrap();
    assert_eq!(floor.oldest, None, "and are not in the feed");
}

#[tokio::test]
async fn audit_events_are_removed_after_their_retention() {
    let deadlines = Deadlines { audit_retention: Some(DAY * 90), ..Deadlines::default() };
    let fixture = Fixture::with_deadlines(deadlines).await;
    write(&fixture, &World::acme(), 1).await;
    write(&fixture, &World::zeta(), 1).await;
    for (day, remaining) in [(40, 2), (49, 2), (2, 0)] {
        fixture.world.environment.advance(DAY * day);
        fixture.worker.round().await.unwrap();
        let old = count(&fixture, EventName::SessionCreated);
        // The newest event of all stays, whatever its age.
        assert_eq!(old, remaining, "{day} days later");
    }
    assert_eq!(fixture.world.memory.events().len(), 1);
}
