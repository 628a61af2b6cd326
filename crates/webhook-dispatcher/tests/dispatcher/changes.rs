//! Changes by owners: pause, resume, replay, delete, rotation, and a key that is missing.

use std::time::Duration;

use domain::{
    EventName, FeedPosition, PREVIOUS_SECRET_SIGNS, ReplaySpec, WebhookCondition, WebhookPatch,
    ports::{Environment, WorkerStore},
};
use tokio::time::{Instant, sleep};

use crate::{
    fleet::{Fleet, owner},
    receiver::{hanging, rejected, taken},
};

const SECRETS: [&str; 2] = ["first-secret-of-the-webhook", "second-secret-of-the-webhook"];

fn secret(number: usize) -> WebhookPatch {
    let secret = Some(Some(SECRETS[number].to_owned()));
    WebhookPatch { secret, ..WebhookPatch::default() }
}

#[tokio::test(start_paused = true)]
async fn paused_webhook_continues_where_it_stopped() {
    let fleet = Fleet::new();
    let webhook = fleet.webhook("acme", WebhookPatch::default()).await;
    let (caller, id) = (owner("acme"), webhook.id.as_str());
    let _router = fleet.router();
    let mut events = fleet.write("acme", 1, 10);
    fleet.wait_for(&webhook, 10).await;
    fleet.webhooks.pause(&caller, id, None).await.unwrap();
    sleep(Duration::from_secs(1)).await;
    events.extend(fleet.write("acme", 1, 300));
    sleep(Duration::from_secs(120)).await;
    assert_eq!(fleet.receiver.count(&webhook.id), 10);
    let state = fleet.state(&webhook).await;
    assert_eq!((state.condition, state.lag), (WebhookCondition::Paused, 300));
    fleet.webhooks.resume(&caller, id, None).await.unwrap();
    let resumed = Instant::now();
    assert_eq!(fleet.wait_for(&webhook, 310).await, events);
    assert!(resumed.elapsed() < Duration::from_secs(10));
}

#[tokio::test(start_paused = true)]
async fn deleted_webhook_gets_no_further_request() {
    let fleet = Fleet::new();
    let webhook = fleet.webhook("acme", WebhookPatch::default()).await;
    let other = fleet.webhook("acme", WebhookPatch::default()).await;
    let slow = webhook.id.clone();
    fleet.receiver.answer(move |one| if one.webhook == slow { hanging() } else { taken() });
    let _router = fleet.router();
    for session in 1..=20 {
        fleet.write("acme", session, 5);
    }
    sleep(Duration::from_secs(3)).await;
    fleet.webhooks.delete(&owner("acme"), webhook.id.as_str(), None).await.unwrap();
    // The event of the deletion reaches the dispatcher through the feed.
    sleep(Duration::from_millis(500)).await;
    let requests = fleet.receiver.count(&webhook.id);
    assert!(requests > 0);
    fleet.write("acme", 1, 5);
    sleep(Duration::from_secs(120)).await;
    assert_eq!(fleet.receiver.count(&webhook.id), requests);
    assert_eq!(fleet.wait_for(&other, 105).await.len(), 105);
}

#[tokio::test(start_paused = true)]
async fn reactivated_webhook_skips_the_events_in_between() {
    let fleet = Fleet::new();
    let webhook = fleet.webhook("acme", WebhookPatch::default()).await;
    let (caller, id) = (owner("acme"), webhook.id.as_str());
    let _router = fleet.router();
    let active = |active| WebhookPatch { active: Some(active), ..WebhookPatch::default() };
    fleet.webhooks.update(&caller, id, None, active(false)).await.unwrap();
    sleep(Duration::from_secs(1)).await;
    fleet.write("acme", 1, 10);
    sleep(Duration::from_secs(60)).await;
    fleet.webhooks.update(&caller, id, None, active(true)).await.unwrap();
    let events = fleet.write("acme", 1, 10);
    assert_eq!(fleet.wait_for(&webhook, 10).await, events);
}

#[tokio::test(start_paused = true)]
async fn webhook_with_a_missing_seal_key_waits_and_is_never_sent_unsigned() {
    let fleet = Fleet::new();
    let webhook = fleet.webhook("acme", secret(0)).await;
    let plain = fleet.webhook("acme", WebhookPatch::default()).await;
    fleet.sealer.set_key(false);
    let _router = fleet.router();
    let events = fleet.write("acme", 1, 10);
    assert_eq!(
        fleet.wait_for(&plain, 10).await,
        events,
        "a webhook without secrets is not concerned"
    );
    sleep(Duration::from_secs(300)).await;
    assert_eq!(fleet.receiver.count(&webhook.id), 0);
    let state = fleet.state(&webhook).await;
    assert_eq!(state.condition, WebhookCondition::Sealed);
    assert_eq!(state.report.progress.last_error.as_deref(), Some("sealed"));
    fleet.sealer.set_key(true);
    let back = Instant::now();
    assert_eq!(fleet.wait_for(&webhook, 10).await, events);
    assert!(back.elapsed() < Duration::from_secs(62));
    let received = fleet.receiver.received();
    let mut own = received.iter().filter(|one| one.webhook == webhook.id);
    assert!(own.all(|one| one.credentials.secret.as_deref() == Some(SECRETS[0])));
}

#[tokio::test(start_paused = true)]
async fn replaced_secret_signs_for_a_further_day() {
    let fleet = Fleet::new();
    let webhook = fleet.webhook("acme", secret(0)).await;
    let _router = fleet.router();
    let signed_with = async |count: usize| {
        fleet.write("acme", 1, 1);
        fleet.wait_for(&webhook, count).await;
        let last = fleet.receiver.received().pop().unwrap().credentials;
        (last.secret.unwrap(), last.previous)
    };
    let [first, second] = SECRETS.map(str::to_owned);
    assert_eq!(signed_with(1).await, (first.clone(), None));
    fleet.webhooks.update(&owner("acme"), webhook.id.as_str(), None, secret(1)).await.unwrap();
    sleep(Duration::from_secs(1)).await;
    assert_eq!(signed_with(2).await, (second.clone(), Some(first.clone())));
    let day = i64::try_from(PREVIOUS_SECRET_SIGNS.as_millis()).unwrap();
    fleet.clock.jump(day - 5_000);
    sleep(Duration::from_secs(1)).await;
    assert_eq!(signed_with(3).await, (second.clone(), Some(first)));
    // The task of the webhook still has the lease: the end of the day is noticed without a change.
    sleep(Duration::from_secs(3)).await;
    assert_eq!(signed_with(4).await, (second, None));
}

#[tokio::test(start_paused = true)]
async fn replay_sends_earlier_events_again_beside_new_ones() {
    let fleet = Fleet::new();
    let events = [1, 2].map(|session| fleet.write("acme", session, 150)).concat();
    sleep(Duration::from_secs(1)).await;
    let webhook = fleet.webhook("acme", WebhookPatch::default()).await;
    let (caller, id) = (owner("acme"), webhook.id.as_str());
    let _router = fleet.router();
    let new = fleet.write("acme", 1, 20);
    fleet.wait_for(&webhook, 20).await;
    let since = Some(fleet.memory.events()[0].at);
    let spec = ReplaySpec { since, until: Some(webhook.created_at), ..ReplaySpec::default() };
    fleet.webhooks.replay(&caller, id, &spec, None).await.unwrap();
    fleet.wait_for(&webhook, 320).await;
    sleep(Duration::from_secs(10)).await;
    let received = fleet.receiver.received();
    let of = |replay| {
        let sent = received.iter().filter(move |one| one.replay == replay);
        let mut ids: Vec<_> = sent.map(|one| one.event.clone()).collect();
        ids.sort();
        ids
    };
    assert_eq!((of(true), of(false)), (events, new));
    assert_eq!(fleet.state(&webhook).await.report.progress.replay, None);
}

#[tokio::test(start_paused = true)]
async fn dead_letters_are_replayed_one_by_one_and_all() {
    let fleet = Fleet::new();
    let one_attempt = WebhookPatch {
        retry_policy: domain::RetryPolicyPatch { attempts: Some(1), ..Default::default() },
        ..WebhookPatch::default()
    };
    let webhook = fleet.webhook("acme", one_attempt).await;
    let (caller, id) = (owner("acme"), webhook.id.as_str());
    fleet.receiver.answer(|_| rejected());
    let _router = fleet.router();
    let events = fleet.write("acme", 1, 5);
    sleep(Duration::from_secs(30)).await;
    assert_eq!(fleet.state(&webhook).await.report.progress.dead, 5);
    fleet.receiver.answer(|_| taken());
    let dead = events[2].as_str();
    fleet.webhooks.replay_dead_letter(&caller, id, dead, None).await.unwrap();
    assert_eq!(fleet.wait_for(&webhook, 1).await, [events[2].clone()]);
    sleep(Duration::from_secs(1)).await;
    let spec = ReplaySpec { dead_only: true, ..ReplaySpec::default() };
    fleet.webhooks.replay(&caller, id, &spec, None).await.unwrap();
    let all = fleet.wait_for(&webhook, 5).await;
    assert_eq!(all[1..], [0, 1, 3, 4].map(|at: usize| events[at].clone()), "each once, in order");
    sleep(Duration::from_secs(60)).await;
    assert_eq!(fleet.receiver.taken_by(&webhook.id).len(), 5);
}

#[tokio::test(start_paused = true)]
async fn skipped_event_lets_its_session_continue() {
    let fleet = Fleet::new();
    let webhook = fleet.webhook("acme", WebhookPatch::default()).await;
    let events = fleet.write("acme", 1, 50);
    let bad = events[0].clone();
    fleet.receiver.answer(move |one| if one.event == bad { rejected() } else { taken() });
    let _router = fleet.router();
    sleep(Duration::from_secs(40)).await;
    assert_eq!(fleet.receiver.taken_by(&webhook.id).len(), 0);
    let (caller, id) = (owner("acme"), webhook.id.as_str());
    fleet.webhooks.skip(&caller, id, events[0].as_str(), None).await.unwrap();
    let asked = Instant::now();
    assert_eq!(fleet.wait_for(&webhook, 49).await, events[1..]);
    assert!(asked.elapsed() < Duration::from_secs(5), "{:?}", asked.elapsed());
}

#[tokio::test(start_paused = true)]
async fn removed_events_are_a_gap_that_the_owner_sees() {
    let fleet = Fleet::new();
    let webhook = fleet.webhook("acme", WebhookPatch::default()).await;
    let (caller, id) = (owner("acme"), webhook.id.as_str());
    fleet.webhooks.pause(&caller, id, None).await.unwrap();
    let _router = fleet.router();
    fleet.write("acme", 1, 30);
    sleep(Duration::from_secs(60)).await;
    let cut = fleet.clock.now();
    let events = fleet.write("acme", 1, 30);
    while fleet.memory.prune_feed(cut, 500).await.unwrap() > 0 {}
    fleet.webhooks.resume(&caller, id, None).await.unwrap();
    assert_eq!(fleet.wait_for(&webhook, 30).await, events);
    sleep(Duration::from_secs(1)).await;
    let state = fleet.state(&webhook).await;
    assert_eq!(state.report.progress.gaps, 1);
    assert!(state.report.progress.position > FeedPosition::START);
    let events = fleet.memory.events();
    assert_eq!(events.iter().filter(|one| one.name() == EventName::WebhookGap).count(), 1);
}

#[tokio::test(start_paused = true)]
async fn receiver_that_changes_its_webhook_during_a_request_gets_the_later_events_as_changed() {
    let fleet = Fleet::new();
    let webhook = fleet.webhook("acme", secret(0)).await;
    let (webhooks, id) = (fleet.webhooks.clone(), webhook.id.to_string());
    let rotated = std::sync::atomic::AtomicBool::new(false);
    fleet.receiver.answer(move |_| {
        if !rotated.swap(true, std::sync::atomic::Ordering::SeqCst) {
            let (webhooks, id) = (webhooks.clone(), id.clone());
            tokio::spawn(async move {
                webhooks.update(&owner("acme"), &id, None, secret(1)).await.unwrap();
            });
        }
        (Duration::from_secs(2), taken().1)
    });
    let _router = fleet.router();
    let events = fleet.write("acme", 1, 3);
    assert_eq!(fleet.wait_for(&webhook, 3).await, events);
    let secrets: Vec<_> = fleet
        .receiver
        .received()
        .into_iter()
        .map(|one| (one.credentials.secret.unwrap(), one.credentials.previous.is_some()))
        .collect();
    let [first, second] = SECRETS.map(str::to_owned);
    assert_eq!(secrets, [(first, false), (second.clone(), true), (second, true)]);
}
