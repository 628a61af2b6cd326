//! Suite of [`WebhookStore`].

use crate::{
    access::Scope,
    caller::Capability,
    commit::Commit,
    event::{Event, payload::EventPayload},
    feed::{
        filter::EventPattern,
        position::{FeedHorizon, FeedPosition},
    },
    id::{EventId, SessionId, WebhookId},
    ports::{
        environment::Environment,
        seal::SealedSecret,
        store::{
            events::EventLog,
            feed::Feed,
            position::Position,
            webhooks::{WebhookPage, WebhookStore},
            written::{CommitOutcome, Rejection, Written},
        },
    },
    resource_quota::{Resource, ResourceLimitReached},
    session::version::Version,
    testing::contract::fixtures::{fresh_scope, stored_events},
    time::Timestamp,
    webhook::{
        disabled_reason::DisabledReason,
        model::{
            CustomHeaders, HeaderPair, PreviousSecret, Webhook, WebhookSecrets, WebhookSettings,
            WebhookUrlText,
        },
        progress::{DeliveryProgress, ProgressReport, RetrySummary},
        replay::Replay,
        retry_policy::{Backoff, RetryPolicy},
        write::WebhookWrite,
    },
};

/// A page that is larger than every list of the suite.
const ALL: WebhookPage<WebhookId> = WebhookPage { after: None, limit: 200 };

/// Returns a new webhook with default settings.
pub(super) fn fresh_webhook(scope: &Scope, environment: &dyn Environment) -> Webhook {
    let now = environment.now();
    Webhook {
        id: WebhookId::from_bits(environment.ulid()),
        organization: scope.organization().clone(),
        settings: WebhookSettings {
            url: WebhookUrlText {
                text: "https://example.com/hook?key=1".to_owned(),
                origin: "https://example.com".to_owned(),
            },
            session: None,
            events: Vec::new(),
            active: true,
            ordered: true,
            headers: CustomHeaders::default(),
            retry_policy: RetryPolicy::default(),
        },
        secrets: WebhookSecrets::default(),
        paused: false,
        disabled: None,
        resumed_at: None,
        capabilities: [Capability::Manage].into_iter().collect(),
        created_by: scope.actor().clone(),
        created_at: now,
        updated_at: now,
        version: Version(1),
    }
}

/// Returns the webhook with a different value in every field that can change.
fn filled(webhook: &Webhook, environment: &dyn Environment) -> Webhook {
    let now = environment.now();
    let pair = |value: &str| HeaderPair { name: "X-\"Ü\"".to_owned(), value: value.to_owned() };
    Webhook {
        settings: WebhookSettings {
            url: WebhookUrlText {
                text: "http://[::1]:80/".to_owned(),
                origin: "http://[::1]".to_owned(),
            },
            session: Some(SessionId::from_bits(environment.ulid())),
            events: ["session.*", "auth.qr"]
                .iter()
                .filter_map(|t| EventPattern::parse(t))
                .collect(),
            active: false,
            ordered: false,
            headers: CustomHeaders {
                masked: vec![pair("***"), pair("")],
                sealed: Some(SealedSecret(vec![0, 255])),
            },
            retry_policy: RetryPolicy { backoff: Backoff::Linear, delay_seconds: 7, attempts: 3 },
        },
        secrets: WebhookSecrets {
            current: Some(SealedSecret(vec![1, 2])),
            previous: Some(PreviousSecret { secret: SealedSecret(vec![3]), until: now }),
            rotated_at: Some(now),
        },
        paused: true,
        disabled: Some(DisabledReason::Failing),
        resumed_at: Some(now),
        capabilities: Capability::ALL.into_iter().collect(),
        updated_at: now,
        version: Version(webhook.version.0 + 1),
        ..webhook.clone()
    }
}

pub(super) async fn write(
    store: &impl WebhookStore,
    scope: &Scope,
    change: WebhookWrite,
    events: &[Event],
) -> CommitOutcome {
    let commit = Commit { change, events: events.to_vec(), idempotency: None };
    store.commit(scope, &commit).await.expect("the store is there")
}

/// Inserts a new webhook whose deliveries begin after a position.
pub(super) async fn insert(
    store: &impl WebhookStore,
    scope: &Scope,
    start: FeedPosition,
    environment: &dyn Environment,
) -> Webhook {
    let webhook = fresh_webhook(scope, environment);
    let insert = WebhookWrite::Insert { webhook: webhook.clone(), start };
    assert_eq!(write(store, scope, insert, &[]).await, Ok(Written::Done));
    webhook
}

fn event(scope: &Scope, webhook: &Webhook, environment: &dyn Environment) -> Event {
    let payload = EventPayload::WebhookDeleted { webhook: webhook.id.clone() };
    Event::of_organization(payload, scope.organization(), scope.actor(), environment)
}

/// A webhook round-trips in every field, and only its own organization sees and changes it.
pub async fn webhook_is_visible_to_its_organization_only(
    store: &(impl WebhookStore + EventLog),
    environment: &dyn Environment,
) {
    let (scope, other) = (fresh_scope(environment), fresh_scope(environment));
    let webhook = insert(store, &scope, FeedPosition::from_number(7), environment).await;
    let id = &webhook.id;
    let insert = |webhook: Webhook| WebhookWrite::Insert { webhook, start: FeedPosition::START };
    let again = write(store, &scope, insert(webhook.clone()), &[]).await;
    assert_eq!(again, Ok(Written::Raced), "the id exists");
    let copy = Webhook { organization: other.organization().clone(), ..webhook.clone() };
    assert_eq!(write(store, &other, insert(copy), &[]).await, Ok(Written::Raced));

    let next = filled(&webhook, environment);
    let update = |expected| WebhookWrite::Update { webhook: next.clone(), expected, restart: None };
    let moved = Webhook { organization: other.organization().clone(), ..next.clone() };
    let foreign = WebhookWrite::Update { webhook: moved, expected: webhook.version, restart: None };
    assert_eq!(write(store, &other, foreign, &[]).await, Ok(Written::Raced));
    assert_eq!(write(store, &scope, update(next.version), &[]).await, Ok(Written::Raced));
    let told = [event(&scope, &webhook, environment)];
    assert_eq!(write(store, &scope, update(webhook.version), &told).await, Ok(Written::Done));
    assert_eq!(stored_events(store, &scope).await, told);
    for (scope, expected) in [(&scope, Some(&next)), (&other, None)] {
        let found = store.find(scope, id).await.expect("find");
        assert_eq!(found.as_ref(), expected);
        let listed = store.list(scope, &ALL).await.expect("list");
        assert_eq!(listed.iter().collect::<Vec<_>>(), expected.into_iter().collect::<Vec<_>>());
        let progress = store.progress(scope, id).await.expect("progress");
        assert_eq!(progress.is_some(), expected.is_some());
    }

    let delete =
        |expected| WebhookWrite::Delete { id: id.clone(), expected, at: environment.now() };
    assert_eq!(write(store, &other, delete(None), &[]).await, Ok(Written::Raced));
    let stale = write(store, &scope, delete(Some(webhook.version)), &[]).await;
    assert_eq!(stale, Ok(Written::Raced));
    assert_eq!(write(store, &scope, delete(Some(next.version)), &[]).await, Ok(Written::Done));
    assert_eq!(write(store, &scope, delete(None), &[]).await, Ok(Written::Raced));
    assert_eq!(store.find(&scope, id).await.expect("find"), None);
    assert_eq!(store.progress(&scope, id).await.expect("progress"), None);
}

/// Pages of webhooks are newest first and cover every webhook once.
pub async fn webhook_pages_cover_every_webhook_once(
    store: &impl WebhookStore,
    environment: &dyn Environment,
) {
    let scope = fresh_scope(environment);
    let mut made = Vec::new();
    for _ in 0..5 {
        made.push(insert(store, &scope, FeedPosition::START, environment).await);
    }
    made.reverse();
    let (mut listed, mut after) = (Vec::new(), None);
    loop {
        let page = WebhookPage { after: after.clone(), limit: 2 };
        let found = store.list(&scope, &page).await.expect("list");
        let Some(last) = found.last() else { break };
        assert!(found.len() <= 2);
        after = Some(Position { created_at: last.created_at, id: last.id.clone() });
        listed.extend(found);
    }
    assert_eq!(listed, made);
}

/// A replay starts once, an activation skips earlier events and ends the replay, and neither is
/// possible from outside.
pub async fn replay_and_restart_change_the_progress(
    store: &impl WebhookStore,
    environment: &dyn Environment,
) {
    let (scope, other) = (fresh_scope(environment), fresh_scope(environment));
    let at = FeedPosition::from_number;
    let webhook = insert(store, &scope, at(7), environment).await;
    let progress =
        async || store.progress(&scope, &webhook.id).await.expect("progress").expect("one");
    let report = |progress| ProgressReport {
        progress,
        retries: RetrySummary::default(),
        oldest_failing: None,
    };
    let begun = DeliveryProgress { position: at(7), ..DeliveryProgress::default() };
    assert_eq!(progress().await, report(begun.clone()));

    let now = environment.now();
    let replay = Replay {
        started_at: now,
        position: at(2),
        until: at(7),
        from: Some(now),
        before: None,
        dead_only: true,
    };
    let start = || WebhookWrite::StartReplay { id: webhook.id.clone(), replay: replay.clone() };
    assert_eq!(write(store, &other, start(), &[]).await, Ok(Written::Raced));
    assert_eq!(write(store, &scope, start(), &[]).await, Ok(Written::Done));
    assert_eq!(write(store, &scope, start(), &[]).await, Ok(Written::Raced));
    let replaying = DeliveryProgress { replay: Some(replay.clone()), ..begun.clone() };
    assert_eq!(progress().await, report(replaying));

    for (version, restart, expected) in [(1, at(9), at(9)), (2, at(8), at(9))] {
        let next = Webhook { version: Version(version + 1), ..webhook.clone() };
        let restart = Some(restart);
        let update = WebhookWrite::Update { webhook: next, expected: Version(version), restart };
        assert_eq!(write(store, &scope, update, &[]).await, Ok(Written::Done));
        let position = expected;
        assert_eq!(progress().await, report(DeliveryProgress { position, ..begun.clone() }));
    }
    let event = EventId::from_bits(environment.ulid());
    let (id, at) = (webhook.id.clone(), environment.now());
    for change in [
        WebhookWrite::ReplayDeadLetter { id: id.clone(), event: event.clone(), at },
        WebhookWrite::Skip { id, event, at },
    ] {
        assert_eq!(write(store, &scope, change, &[]).await, Ok(Written::Raced));
    }
}

/// The first position from a time on is found by the ids of the organization's events.
pub async fn first_position_is_found_by_time(
    store: &(impl WebhookStore + Feed),
    environment: &dyn Environment,
) {
    let (scope, other) = (fresh_scope(environment), fresh_scope(environment));
    let webhook = insert(store, &scope, FeedPosition::START, environment).await;
    let FeedHorizon { newest: before, .. } = store.horizon().await.expect("horizon");
    let told = event(&scope, &webhook, environment);
    let at = told.id.created_at();
    let next = Webhook { version: Version(2), ..webhook.clone() };
    let update = WebhookWrite::Update { webhook: next, expected: Version(1), restart: None };
    assert_eq!(write(store, &scope, update, &[told]).await, Ok(Written::Done));
    let found = async |scope: &Scope, millis: i64| {
        let from = Timestamp::from_millis(at.millis() + millis);
        store.first_position(scope, from).await.expect("a position")
    };
    let position = found(&scope, 0).await.expect("the event");
    assert!(position > before);
    assert_eq!(found(&scope, -1_000_000).await, Some(position));
    assert_eq!((found(&scope, 1).await, found(&other, -1).await), (None, None));
}

/// Webhooks fill their quota exactly, and a delete frees room.
pub async fn webhooks_fill_their_quota(
    store: &(impl WebhookStore + EventLog),
    environment: &dyn Environment,
) {
    let (scope, other) = (fresh_scope(environment), fresh_scope(environment));
    let first = insert(store, &scope, FeedPosition::START, environment).await;
    insert(store, &scope, FeedPosition::START, environment).await;
    let third = fresh_webhook(&scope, environment);
    let told = [event(&scope, &third, environment)];
    let insert_third =
        || WebhookWrite::Insert { webhook: third.clone(), start: FeedPosition::START };
    let full = ResourceLimitReached { resource: Resource::Webhooks, limit: 2, used: 2 };
    let written = write(store, &scope, insert_third(), &told).await;
    assert_eq!(written, Err(Rejection::Full(full)));
    assert_eq!(store.find(&scope, &third.id).await.expect("find"), None);
    assert_eq!(stored_events(store, &scope).await, []);
    insert(store, &other, FeedPosition::START, environment).await;
    let delete = WebhookWrite::Delete { id: first.id, expected: None, at: environment.now() };
    assert_eq!(write(store, &scope, delete, &[]).await, Ok(Written::Done));
    assert_eq!(write(store, &scope, insert_third(), &told).await, Ok(Written::Done));
}
