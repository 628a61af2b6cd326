//! Laws of the deliveries to a webhook: routers, a receiver and an owner act in any order. No event is
//! lost, events of a session arrive in order, and only a lost lease causes copies.

use std::{collections::BTreeSet, time::Duration};

use domain::{
    AttemptKind, AttemptOutcome, DisabledReason, EventId, EventName, OutcomeClass, ReplaySpec,
    RetryPolicyPatch, WebhookPatch,
    ports::{DeliveryStore, WebhookPage},
    testing::{World, outcome},
};
use proptest::{collection::vec, prelude::*};

use crate::delivery_routers::{DeliveryRouters, FlushResult, ROUTERS};

/// A step of a test case.
#[derive(Clone, Copy, Debug)]
enum Action {
    Append(Option<u8>),
    Claim(usize),
    Read(usize),
    Start(usize, AttemptKind),
    Finish(usize, usize, Answer),
    Flush(usize, FlushResult, bool),
    Reload(usize),
    Crash(usize),
    Advance(u64),
    Pause,
    Resume,
    Skip,
    ReplayDeadLetter,
    Replay(bool),
}

/// The answer of the receiver.
#[derive(Clone, Copy, Debug)]
enum Answer {
    Taken,
    Rejected,
    Unreachable,
    Slow,
    Throttled,
    Gone,
}

impl Answer {
    fn outcome(self) -> AttemptOutcome {
        match self {
            Self::Taken => outcome(OutcomeClass::Success, Some(200)),
            Self::Rejected => outcome(OutcomeClass::ClientError, Some(400)),
            Self::Unreachable => outcome(OutcomeClass::Connect, None),
            Self::Slow => outcome(OutcomeClass::Timeout, None),
            Self::Throttled => AttemptOutcome {
                retry_after: Some(Duration::from_secs(5)),
                ..outcome(OutcomeClass::TooManyRequests, Some(429))
            },
            Self::Gone => outcome(OutcomeClass::ClientError, Some(410)),
        }
    }
}

fn answer() -> impl Strategy<Value = Answer> {
    prop_oneof![
        12 => Just(Answer::Taken),
        4 => Just(Answer::Rejected),
        3 => Just(Answer::Unreachable),
        2 => Just(Answer::Slow),
        1 => Just(Answer::Throttled),
        1 => Just(Answer::Gone),
    ]
}

fn action() -> impl Strategy<Value = Action> {
    let router = || prop_oneof![3 => Just(0), 1 => 0..ROUTERS];
    let kind = prop_oneof![Just(AttemptKind::First), Just(AttemptKind::Repeat)];
    let flush = prop_oneof![
        6 => Just(FlushResult::Written),
        1 => Just(FlushResult::WrittenInSecret),
        1 => Just(FlushResult::NotWritten),
    ];
    prop_oneof![
        10 => proptest::option::weighted(0.9, 0..3_u8).prop_map(Action::Append),
        4 => router().prop_map(Action::Claim),
        8 => router().prop_map(Action::Read),
        12 => (router(), kind).prop_map(|(router, kind)| Action::Start(router, kind)),
        12 => (router(), 0..8_usize, answer()).prop_map(|(router, at, answer)| Action::Finish(router, at, answer)),
        6 => (router(), flush, any::<bool>()).prop_map(|(router, result, release)| Action::Flush(router, result, release)),
        2 => router().prop_map(Action::Reload),
        1 => router().prop_map(Action::Crash),
        6 => prop_oneof![0..4_u64, 0..40_u64].prop_map(Action::Advance),
        1 => Just(Action::Pause),
        2 => Just(Action::Resume),
        1 => Just(Action::Skip),
        1 => Just(Action::ReplayDeadLetter),
        1 => any::<bool>().prop_map(Action::Replay),
    ]
}

/// Returns the events that are dead letters.
async fn dead_letters(routers: &DeliveryRouters) -> Vec<EventId> {
    let page = WebhookPage { after: None, limit: 1_000 };
    let id = routers.webhook.id.as_str();
    let found = routers.world.webhooks.dead_letters(&World::acme(), id, &page).await.unwrap();
    found.into_iter().map(|dead| dead.event).collect()
}

/// Performs a request of the owner. Refusals are allowed, because the laws hold without it.
async fn ask(routers: &DeliveryRouters, action: Action) {
    let (webhooks, acme) = (&routers.world.webhooks, World::acme());
    let id = routers.webhook.id.as_str();
    match action {
        Action::Pause => drop(webhooks.pause(&acme, id, None).await),
        Action::Resume => drop(webhooks.resume(&acme, id, None).await),
        Action::Skip => {
            let stored = routers.world.memory.leased_webhook(&routers.webhook.key()).await;
            if let Some(queue) = stored.unwrap().unwrap().retries.first() {
                webhooks.skip(&acme, id, queue.event.as_str(), None).await.unwrap();
            }
        }
        Action::ReplayDeadLetter => {
            if let Some(event) = dead_letters(routers).await.first() {
                webhooks.replay_dead_letter(&acme, id, event.as_str(), None).await.unwrap();
            }
        }
        Action::Replay(dead_only) => {
            let since = (!dead_only).then_some(routers.webhook.created_at);
            let spec = ReplaySpec { since, dead_only, ..ReplaySpec::default() };
            drop(webhooks.replay(&acme, id, &spec, None).await);
        }
        _ => {}
    }
}

async fn perform(routers: &mut DeliveryRouters, action: Action) {
    match action {
        Action::Append(session) => routers.append(session),
        Action::Claim(router) => routers.claim(router).await,
        Action::Read(router) => routers.read(router).await,
        Action::Start(router, kind) => {
            routers.start(router, kind);
        }
        Action::Finish(router, at, answer) => {
            routers.finish(router, at, answer.outcome());
        }
        Action::Flush(router, result, release) => routers.flush(router, result, release).await,
        Action::Reload(router) => routers.reload(router).await,
        Action::Crash(router) => routers.lose(router),
        Action::Advance(seconds) => routers.advance(seconds),
        Action::Pause
        | Action::Resume
        | Action::Skip
        | Action::ReplayDeadLetter
        | Action::Replay(_) => ask(routers, action).await,
    }
}

async fn check(actions: Vec<Action>, ordered: bool, attempts: u32) {
    let policy = RetryPolicyPatch { attempts: Some(attempts), ..RetryPolicyPatch::default() };
    let ordered = Some(ordered);
    let patch = WebhookPatch { ordered, retry_policy: policy, ..WebhookPatch::default() };
    let mut routers = DeliveryRouters::new(patch).await;
    routers.claim(0).await;
    let mut dead = BTreeSet::new();
    for action in actions {
        perform(&mut routers, action).await;
        dead.extend(dead_letters(&routers).await);
    }
    ask(&routers, Action::Resume).await;
    routers.settle().await;
    dead.extend(dead_letters(&routers).await);
    routers.check_laws(&dead);
}

fn config() -> ProptestConfig {
    let asked = std::env::var_os("PROPTEST_CASES").is_some();
    let (failure_persistence, default) = (None, ProptestConfig::default());
    let cases = if asked { default.cases } else { 128 };
    ProptestConfig { cases, failure_persistence, ..default }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn events_arrive_in_order_and_none_is_lost(
        actions in vec(action(), 0..250),
        ordered in prop::bool::weighted(0.8),
        attempts in 1..6_u32,
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(check(actions, ordered, attempts));
    }
}

#[tokio::test]
async fn receiver_without_a_success_for_five_days_is_disabled() {
    let mut routers = DeliveryRouters::new(WebhookPatch::default()).await;
    let (start, five_days) = (routers.now(), Duration::from_secs(5 * 24 * 60 * 60));
    let disabled = async |routers: &DeliveryRouters| {
        let id = routers.webhook.id.as_str();
        routers.world.webhooks.view(&World::acme(), id).await.unwrap().disabled
    };
    while disabled(&routers).await.is_none() {
        assert!(start.until(routers.now()) < five_days + Duration::from_secs(600));
        // The lease ends between two attempts, so that every attempt is of another lease.
        routers.claim(0).await;
        routers.read(0).await;
        let began = routers.start(0, AttemptKind::Repeat) || routers.start(0, AttemptKind::First);
        if began {
            routers.finish(0, 0, Answer::Unreachable.outcome());
        }
        routers.flush(0, FlushResult::Written, true).await;
        routers.advance(100);
    }
    assert!(start.until(routers.now()) >= five_days);
    assert_eq!(disabled(&routers).await, Some(DisabledReason::Failing));
    let events = routers.world.memory.events();
    assert_eq!(events.last().unwrap().name(), EventName::WebhookDisabled);
    assert_eq!(dead_letters(&routers).await, [], "an outage makes no dead letters");
}
