//! Suite of [`DeliveryStore`].

use crate::{
    event::stream::EventStream,
    feed::position::FeedPosition,
    id::{EventId, SessionId},
    ports::{
        environment::Environment,
        store::{
            deliveries::DeliveryStore,
            events::EventLog,
            webhooks::{WebhookPage, WebhookStore},
            written::Written,
        },
    },
    session::version::Version,
    testing::contract::{
        delivery_rows::{attempt, dead_letter, queue},
        fixtures::{fresh_scope, stored_events},
        webhooks::{insert, write},
    },
    time::Timestamp,
    webhook::{
        delivery::{
            changes::DeliveryChanges,
            lease::{
                Claimed, DeliveryFlush, LEASE, LeaseChange, LeaseClaim, LeasedWebhook, WebhookKey,
            },
            retry_queue::{OrderingKey, Pass, RetryQueue},
        },
        disabled_reason::DisabledReason,
        model::Webhook,
        progress::{Breaker, DeliveryProgress},
        replay::Replay,
        write::WebhookWrite,
    },
};

/// More than every list of the suite.
const MANY: u32 = 100_000;

pub(super) fn claim(holder: &str, now: Timestamp) -> LeaseClaim {
    LeaseClaim { holder: holder.to_owned(), now, until: now.plus(LEASE) }
}

async fn claimed(
    store: &impl DeliveryStore,
    claim: &LeaseClaim,
    webhook: &Webhook,
) -> Option<Claimed> {
    let mut claimed = store.claim(claim, &[webhook.key()]).await.expect("a claim");
    assert!(claimed.len() < 2);
    claimed.pop()
}

/// Claims the lease, which must be free.
pub(super) async fn leased(
    store: &impl DeliveryStore,
    claim: &LeaseClaim,
    webhook: &Webhook,
) -> LeasedWebhook {
    match claimed(store, claim, webhook).await {
        Some(Claimed::Held(leased)) => *leased,
        other => panic!("not leased: {other:?}"),
    }
}

async fn stored(store: &impl DeliveryStore, webhook: &Webhook) -> LeasedWebhook {
    let stored = store.leased_webhook(&webhook.key()).await.expect("an answer");
    stored.expect("the webhook is stored")
}

pub(super) fn flush(
    webhook: &Webhook,
    epoch: u64,
    lease: LeaseChange,
    changes: DeliveryChanges,
) -> DeliveryFlush {
    let key = webhook.key();
    DeliveryFlush { key, epoch, lease, changes, prune: false, disabled: None, gap: None }
}

pub(super) async fn is_written(store: &impl DeliveryStore, flush: DeliveryFlush) -> bool {
    let written = store.flush(std::slice::from_ref(&flush)).await.expect("a flush");
    assert!(written.iter().all(|key| *key == flush.key));
    !written.is_empty()
}

async fn is_due(store: &impl DeliveryStore, webhook: &Webhook, now: Timestamp) -> bool {
    let due = store.due_webhooks(now, MANY).await.expect("due webhooks");
    due.contains(&webhook.key())
}

/// One holder has a lease until it ends or is given back, and every claim has an epoch of its own.
pub async fn lease_has_one_holder(
    store: &(impl DeliveryStore + WebhookStore),
    environment: &dyn Environment,
) {
    let (scope, other) = (fresh_scope(environment), fresh_scope(environment));
    let webhook = insert(store, &scope, FeedPosition::from_number(7), environment).await;
    let now = environment.now();
    assert!(is_due(store, &webhook, now).await, "a new webhook is looked at");
    let first = leased(store, &claim("a", now), &webhook).await;
    let progress =
        DeliveryProgress { position: FeedPosition::from_number(7), ..Default::default() };
    let expected = LeasedWebhook { webhook: webhook.clone(), epoch: 1, progress, retries: vec![] };
    assert_eq!(first, expected);
    assert_eq!(stored(store, &webhook).await, expected);

    let end = now.plus(LEASE);
    let last = end.minus(std::time::Duration::from_millis(1));
    assert_eq!(
        claimed(store, &claim("b", last), &webhook).await,
        Some(Claimed::Busy(webhook.key(), end))
    );
    let foreign = Webhook { organization: other.organization().clone(), ..webhook.clone() };
    assert_eq!(claimed(store, &claim("b", end), &foreign).await, None);
    assert_eq!(store.leased_webhook(&foreign.key()).await.expect("an answer"), None);
    assert!(!is_due(store, &webhook, last).await && is_due(store, &webhook, end).await);
    assert_eq!(leased(store, &claim("a", now), &webhook).await.epoch, 2, "lost, and claimed anew");
    assert_eq!(leased(store, &claim("b", end), &webhook).await.epoch, 3);

    let keep =
        |epoch, at| flush(&webhook, epoch, LeaseChange::Renew(at), DeliveryChanges::default());
    assert!(!is_written(store, keep(2, end.plus(LEASE))).await, "the lease is lost");
    assert!(is_written(store, keep(3, end.plus(LEASE * 2))).await);
    let busy = claimed(store, &claim("a", end.plus(LEASE)), &webhook).await;
    assert_eq!(busy, Some(Claimed::Busy(webhook.key(), end.plus(LEASE * 2))));
    let release = LeaseChange::Release { now: end, due: None };
    assert!(is_written(store, flush(&webhook, 3, release, DeliveryChanges::default())).await);
    assert!(!is_due(store, &webhook, end.plus(LEASE * 9)).await);
    assert_eq!(leased(store, &claim("a", end), &webhook).await.epoch, 4);
}

/// A webhook is due when its holder says, or when its owner changed something in the meantime.
pub async fn due_time_of_the_owner_survives_the_lease(
    store: &(impl DeliveryStore + WebhookStore),
    environment: &dyn Environment,
) {
    let scope = fresh_scope(environment);
    let webhook = insert(store, &scope, FeedPosition::START, environment).await;
    let now = environment.now();
    let (soon, later) = (now.plus(LEASE / 2), now.plus(LEASE * 2));
    let release = |due| LeaseChange::Release { now, due };
    let changes = DeliveryChanges::default;
    let LeasedWebhook { epoch, .. } = leased(store, &claim("a", now), &webhook).await;
    assert!(is_written(store, flush(&webhook, epoch, release(Some(soon)), changes())).await);
    let before = soon.minus(std::time::Duration::from_millis(1));
    assert!(!is_due(store, &webhook, before).await && is_due(store, &webhook, soon).await);

    let LeasedWebhook { epoch, .. } = leased(store, &claim("a", now), &webhook).await;
    let renew = LeaseChange::Renew(later);
    assert!(is_written(store, flush(&webhook, epoch, renew, changes())).await);
    assert!(!is_due(store, &webhook, now.plus(LEASE)).await);
    let next = Webhook { version: Version(2), updated_at: now, ..webhook.clone() };
    let update = WebhookWrite::Update { webhook: next, expected: Version(1), restart: None };
    assert_eq!(write(store, &scope, update, &[]).await, Ok(Written::Done));
    assert!(!is_due(store, &webhook, now).await, "another router has the lease");
    assert!(is_written(store, flush(&webhook, epoch, renew, changes())).await);
    assert!(is_written(store, flush(&webhook, epoch, release(None), changes())).await);
    assert!(is_due(store, &webhook, now).await);

    let next = Webhook { version: Version(3), updated_at: now, ..webhook.clone() };
    let LeasedWebhook { epoch, .. } = leased(store, &claim("a", now), &webhook).await;
    let restart = Some(FeedPosition::from_number(9));
    let update = WebhookWrite::Update { webhook: next, expected: Version(2), restart };
    assert_eq!(write(store, &scope, update, &[]).await, Ok(Written::Done));
    assert!(!is_written(store, flush(&webhook, epoch, renew, changes())).await, "fenced");
    let again = leased(store, &claim("a", now), &webhook).await;
    assert_eq!(again.progress.position, FeedPosition::from_number(9));
}

/// A flush writes everything of its webhook, and nothing of another; nothing is written after the
/// webhook is deleted.
pub async fn flush_writes_all_changes_under_the_lease(
    store: &(impl DeliveryStore + WebhookStore + EventLog),
    environment: &dyn Environment,
) {
    let (scope, other) = (fresh_scope(environment), fresh_scope(environment));
    let webhook = insert(store, &scope, FeedPosition::from_number(7), environment).await;
    let quiet = insert(store, &other, FeedPosition::from_number(7), environment).await;
    let now = environment.now();
    let LeasedWebhook { epoch, .. } = leased(store, &claim("a", now), &webhook).await;
    let untouched = stored(store, &quiet).await;
    let event = || EventId::from_bits(environment.ulid());
    let session = SessionId::from_bits(environment.ulid());
    let of_session = |stream| OrderingKey::Session(session.clone(), stream);
    let queues = [
        queue(Pass::Live, OrderingKey::Organization, 8, event(), now),
        queue(Pass::Live, of_session(EventStream::Messages), 9, event(), now),
        queue(Pass::Replay, of_session(EventStream::Session), 2, event(), now),
    ];
    let dead = [dead_letter(event(), Some(session), now), dead_letter(event(), None, now)];
    let attempts = [attempt(event(), now, environment), attempt(event(), now, environment)];
    let progress = DeliveryProgress {
        position: FeedPosition::from_number(11),
        replay: None,
        breaker: Breaker { open_until: Some(now), step: 3, unreached: 6 },
        failing_since: Some(now),
        failures: 16,
        succeeded_at: Some(now),
        last_error: Some("dns".to_owned()),
        resumed_at: Some(now),
        delivered: 1,
        failed: 2,
        dead: 3,
        gaps: 4,
    };
    let changes = DeliveryChanges {
        progress: progress.clone(),
        retries: queues.to_vec(),
        dead_letters: dead.to_vec(),
        attempts: attempts.to_vec(),
        ..DeliveryChanges::default()
    };
    let keep = LeaseChange::Renew(now.plus(LEASE));
    let first = flush(&webhook, epoch, keep, changes);
    let foreign = WebhookKey { organization: other.organization().clone(), ..webhook.key() };
    assert!(!is_written(store, DeliveryFlush { key: foreign, ..first.clone() }).await);
    assert!(!is_written(store, DeliveryFlush { epoch: epoch + 1, ..first.clone() }).await);
    assert!(is_written(store, first.clone()).await);
    assert!(is_written(store, first).await, "a flush of unknown outcome is repeated");
    let expected = LeasedWebhook {
        webhook: webhook.clone(),
        epoch,
        progress: progress.clone(),
        retries: queues.to_vec(),
    };
    let sorted = |mut leased: LeasedWebhook| {
        leased.retries.sort_by_key(|queue| (queue.pass, queue.key.clone()));
        leased
    };
    assert_eq!(sorted(stored(store, &webhook).await), expected);
    let letters = WebhookPage { after: None, limit: 9 };
    let mut found = store.dead_letters(&scope, &webhook.id, &letters).await.expect("dead letters");
    found.sort_by_key(|dead| dead.event.clone());
    assert_eq!(found, dead);
    let records = WebhookPage { after: None, limit: 9 };
    let mut found = store.attempts(&scope, &webhook.id, &records).await.expect("attempts");
    found.reverse();
    assert_eq!(found, attempts);
    assert_eq!(stored(store, &quiet).await, untouched);

    let skip =
        WebhookWrite::Skip { id: webhook.id.clone(), event: queues[0].event.clone(), at: now };
    assert_eq!(write(store, &scope, skip, &[]).await, Ok(Written::Done));
    let position = FeedPosition::from_number(10);
    let moved = RetryQueue { position, settled: true, ..queues[1].clone() };
    let changes = DeliveryChanges {
        progress: DeliveryProgress { position: FeedPosition::from_number(1), ..progress.clone() },
        retries: vec![queues[0].clone(), moved.clone()],
        removed: vec![(Pass::Replay, queues[2].key.clone())],
        replayed: vec![(dead[0].event.clone(), now), (event(), now)],
        ..DeliveryChanges::default()
    };
    assert!(is_written(store, flush(&webhook, epoch, keep, changes)).await);
    let skipped = RetryQueue { skip: true, ..queues[0].clone() };
    let expected = LeasedWebhook { retries: vec![skipped, moved], ..expected };
    assert_eq!(sorted(stored(store, &webhook).await), expected, "the position does not decrease");
    let letters = WebhookPage { after: None, limit: 9 };
    let found = store.dead_letters(&scope, &webhook.id, &letters).await.expect("dead letters");
    let replayed: Vec<_> = found.iter().filter(|dead| dead.replayed_at == Some(now)).collect();
    assert_eq!(replayed.iter().map(|dead| &dead.event).collect::<Vec<_>>(), [&dead[0].event]);

    let delete = WebhookWrite::Delete { id: webhook.id.clone(), expected: None, at: now };
    assert_eq!(write(store, &scope, delete, &[]).await, Ok(Written::Done));
    let changes = DeliveryChanges { progress, ..DeliveryChanges::default() };
    assert!(!is_written(store, flush(&webhook, epoch, keep, changes)).await);
    assert_eq!(store.leased_webhook(&webhook.key()).await.expect("an answer"), None);
}

/// A replay that its owner started moves and ends; a flush does not end another one.
pub async fn flush_moves_the_replay_that_it_names(
    store: &(impl DeliveryStore + WebhookStore),
    environment: &dyn Environment,
) {
    let scope = fresh_scope(environment);
    let webhook = insert(store, &scope, FeedPosition::from_number(7), environment).await;
    let now = environment.now();
    let LeasedWebhook { epoch, progress, .. } = leased(store, &claim("a", now), &webhook).await;
    let at = FeedPosition::from_number;
    let replay = |second, position| Replay {
        started_at: now.plus(std::time::Duration::from_secs(second)),
        position: at(position),
        until: at(7),
        from: None,
        before: Some(now),
        dead_only: false,
    };
    let start = |replay| WebhookWrite::StartReplay { id: webhook.id.clone(), replay };
    assert_eq!(write(store, &scope, start(replay(1, 2)), &[]).await, Ok(Written::Done));
    let keep = LeaseChange::Renew(now.plus(LEASE));
    let changes = |replay: Option<Replay>, ended_replay| DeliveryChanges {
        progress: DeliveryProgress { replay, ..progress.clone() },
        ended_replay,
        ..DeliveryChanges::default()
    };
    let none = changes(None, None);
    for (changes, expected) in [
        (none.clone(), Some(replay(1, 2))),
        (changes(Some(replay(1, 5)), None), Some(replay(1, 5))),
        (changes(Some(replay(2, 6)), None), Some(replay(1, 5))),
        (changes(None, Some(replay(2, 0).started_at)), Some(replay(1, 5))),
        (changes(None, Some(replay(1, 0).started_at)), None),
        (changes(Some(replay(1, 6)), None), None),
    ] {
        assert!(is_written(store, flush(&webhook, epoch, keep, changes)).await);
        assert_eq!(stored(store, &webhook).await.progress.replay, expected);
    }
    assert_eq!(write(store, &scope, start(replay(3, 1)), &[]).await, Ok(Written::Done));
    assert!(is_written(store, flush(&webhook, epoch, keep, none)).await);
    assert_eq!(stored(store, &webhook).await.progress.replay, Some(replay(3, 1)));
}

/// A webhook is disabled with its event, unless its owner changed it. A gap has an event too.
pub async fn disablement_yields_to_its_owner(
    store: &(impl DeliveryStore + WebhookStore + EventLog),
    environment: &dyn Environment,
) {
    let scope = fresh_scope(environment);
    let webhook = insert(store, &scope, FeedPosition::START, environment).await;
    let now = environment.now();
    let LeasedWebhook { epoch, .. } = leased(store, &claim("a", now), &webhook).await;
    let flush = |version| {
        let changes = DeliveryChanges {
            disable: Some((DisabledReason::Gone, Version(version))),
            ..DeliveryChanges::default()
        };
        let keep = LeaseChange::Renew(now.plus(LEASE));
        DeliveryFlush::new(webhook.key(), epoch, keep, changes, environment)
    };
    let next = Webhook { version: Version(2), ..webhook.clone() };
    let update = WebhookWrite::Update { webhook: next, expected: Version(1), restart: None };
    assert_eq!(write(store, &scope, update, &[]).await, Ok(Written::Done));
    assert!(is_written(store, flush(1)).await);
    assert_eq!(stored(store, &webhook).await.webhook.disabled, None);
    assert_eq!(stored_events(store, &scope).await, []);

    let second = flush(2);
    assert!(is_written(store, second.clone()).await);
    let found = stored(store, &webhook).await.webhook;
    assert_eq!((found.disabled, found.version), (Some(DisabledReason::Gone), Version(3)));
    assert!(is_written(store, flush(3)).await, "a disabled webhook stays as it is");
    assert_eq!(stored(store, &webhook).await.webhook, found);
    let changes = DeliveryChanges { gaps: 2, ..DeliveryChanges::default() };
    let keep = LeaseChange::Renew(now.plus(LEASE));
    let third = DeliveryFlush::new(webhook.key(), epoch, keep, changes, environment);
    assert!(is_written(store, third.clone()).await);
    let expected: Vec<_> = second.disabled.into_iter().chain(third.gap).collect();
    assert_eq!(stored_events(store, &scope).await, expected);
    assert_eq!(expected.len(), 2);

    let live = store.live_webhooks_of(scope.organization()).await.expect("webhooks");
    assert_eq!(live, []);
}
