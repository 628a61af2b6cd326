//! Receivers that fail, beside receivers that work.

use std::{
    hash::{DefaultHasher, Hash as _, Hasher as _},
    time::Duration,
};

use domain::{
    AttemptOutcome, DisabledReason, EventName, MAX_IN_FLIGHT, OutcomeClass, RetryPolicyPatch,
    SessionId, WebhookCondition, WebhookPatch, ports::WebhookPage, testing::outcome,
};
use tokio::time::{Instant, sleep};

use crate::{
    fleet::{Fleet, owner},
    receiver::{hanging, rejected, taken, unreachable},
};

fn attempts(number: u32) -> WebhookPatch {
    let retry_policy = RetryPolicyPatch { attempts: Some(number), ..RetryPolicyPatch::default() };
    WebhookPatch { retry_policy, ..WebhookPatch::default() }
}

#[tokio::test(start_paused = true)]
async fn rejected_event_holds_back_its_session_alone_and_becomes_a_dead_letter() {
    let fleet = Fleet::new();
    let webhook = fleet.webhook("acme", attempts(7)).await;
    let poison = fleet.write("acme", 1, 1).pop().unwrap();
    let bad = poison.clone();
    fleet.receiver.answer(move |one| if one.event == bad { rejected() } else { taken() });
    let _router = fleet.router();
    let behind = fleet.write("acme", 1, 300);
    let healthy = fleet.write("acme", 2, 40);
    assert_eq!(fleet.wait_for(&webhook, 40).await, healthy);
    let state = fleet.state(&webhook).await;
    assert_eq!(state.report.retries.queues, 1);
    assert_eq!(state.condition, WebhookCondition::Retrying);

    let all = fleet.wait_for(&webhook, 340).await;
    assert_eq!(all[40..], behind, "in order");
    let received = fleet.receiver.received();
    let of_poison: Vec<_> = received.iter().filter(|one| one.event == poison).collect();
    let numbers: Vec<_> = of_poison.iter().map(|one| one.number).collect();
    assert_eq!(numbers, [1, 2, 3, 4, 5, 6, 7], "a blocked event costs no attempt");
    for (pair, expected) in of_poison.windows(2).zip([2.0, 4.0, 8.0, 16.0, 32.0, 64.0]) {
        let waited = (pair[1].at - pair[0].at).as_secs_f64();
        assert!((expected * 0.89..expected * 1.11 + 1.1).contains(&waited), "{waited} s");
    }
    sleep(Duration::from_secs(1)).await;
    let (caller, page) = (owner("acme"), WebhookPage { after: None, limit: 9 });
    let dead = fleet.webhooks.dead_letters(&caller, webhook.id.as_str(), &page).await.unwrap();
    assert_eq!((dead.len(), &dead[0].event, dead[0].attempts), (1, &poison, 7));
    assert_eq!(fleet.state(&webhook).await.condition, WebhookCondition::Idle);
    assert_eq!(received.len(), 347);
}

#[tokio::test(start_paused = true)]
async fn dead_receiver_costs_few_requests_and_no_attempts() {
    let fleet = Fleet::new();
    let webhook = fleet.webhook("acme", attempts(2)).await;
    fleet.receiver.answer(|_| unreachable());
    let _router = fleet.router();
    for session in 1..=40 {
        fleet.write("acme", session, 25);
    }
    sleep(Duration::from_secs(1_800)).await;
    let requests = fleet.receiver.count(&webhook.id);
    assert!(requests < 40, "{requests} requests in half an hour");
    let state = fleet.state(&webhook).await;
    assert_eq!(state.condition, WebhookCondition::Failing);
    assert_eq!(state.report.progress.last_error.as_deref(), Some("connect"));
    assert_eq!(state.report.progress.dead, 0);

    fleet.receiver.answer(|_| taken());
    let id = webhook.id.as_str();
    fleet.webhooks.resume(&owner("acme"), id, None).await.unwrap();
    let resumed = Instant::now();
    let all = fleet.wait_for(&webhook, 1_000).await;
    assert!(resumed.elapsed() < Duration::from_secs(20), "{:?}", resumed.elapsed());
    for session in 1..=40 {
        let of_session = fleet
            .memory
            .events()
            .into_iter()
            .filter(|event| event.session == Some(SessionId::from_bits(session)));
        let expected: Vec<_> = of_session.map(|event| event.id).collect();
        let arrived: Vec<_> = all.iter().filter(|id| expected.contains(id)).cloned().collect();
        assert_eq!(arrived, expected, "session {session}");
    }
}

#[tokio::test(start_paused = true)]
async fn receiver_that_comes_back_is_noticed_within_five_minutes() {
    let fleet = Fleet::new();
    let webhook = fleet.webhook("acme", WebhookPatch::default()).await;
    fleet.receiver.answer(|_| unreachable());
    let _router = fleet.router();
    let events = fleet.write("acme", 1, 20);
    sleep(Duration::from_secs(3_600)).await;
    fleet.receiver.answer(|_| taken());
    let back = Instant::now();
    assert_eq!(fleet.wait_for(&webhook, 20).await, events);
    assert!(back.elapsed() < Duration::from_secs(310), "{:?}", back.elapsed());
}

#[tokio::test(start_paused = true)]
async fn hanging_receivers_delay_their_own_organization_alone() {
    let fleet = Fleet::new();
    let mut hanging_ones = Vec::new();
    for _ in 0..20 {
        hanging_ones.push(fleet.webhook("slow", WebhookPatch::default()).await);
    }
    let neighbour = fleet.webhook("acme", WebhookPatch::default()).await;
    fleet.receiver.answer(
        |one| {
            if one.organization.as_str() == "slow" { hanging() } else { taken() }
        },
    );
    let _router = fleet.router();
    for session in 1..=100 {
        fleet.write("slow", session, 10);
    }
    sleep(Duration::from_secs(1)).await;
    for round in 0..50 {
        let written = Instant::now();
        fleet.write("acme", 1_000 + round % 5, 1);
        fleet.wait_for(&neighbour, usize::try_from(round).unwrap() + 1).await;
        assert!(
            written.elapsed() < Duration::from_millis(400),
            "round {round}: {:?}",
            written.elapsed()
        );
    }
    for webhook in &hanging_ones {
        let received = fleet.receiver.received();
        let starts: Vec<_> =
            received.iter().filter(|one| one.webhook == webhook.id).map(|one| one.at).collect();
        for start in &starts {
            let in_flight = starts.iter().filter(|at| (*start..*start + hanging().0).contains(*at));
            assert!(in_flight.count() <= MAX_IN_FLIGHT);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn throttled_receiver_gets_no_request_before_it_asks_for_one() {
    let fleet = Fleet::new();
    let webhook = fleet.webhook("acme", WebhookPatch::default()).await;
    let start = Instant::now();
    fleet.receiver.answer(move |_| {
        if start.elapsed() > Duration::from_secs(60) {
            return taken();
        }
        let retry_after = Some(Duration::from_secs(90));
        let throttled = outcome(OutcomeClass::TooManyRequests, Some(429));
        (Duration::from_millis(5), AttemptOutcome { retry_after, ..throttled })
    });
    let _router = fleet.router();
    for session in 1..=20 {
        fleet.write("acme", session, 1);
    }
    fleet.wait_for(&webhook, 20).await;
    let received = fleet.receiver.received();
    let early = received.iter().filter(|one| one.at < start + Duration::from_secs(90)).count();
    assert!(early <= MAX_IN_FLIGHT, "{early} requests before the time");
}

#[tokio::test(start_paused = true)]
async fn receiver_that_is_gone_gets_nothing_until_its_owner_resumes() {
    let fleet = Fleet::new();
    let webhook = fleet.webhook("acme", WebhookPatch::default()).await;
    let gone = outcome(OutcomeClass::ClientError, Some(410));
    fleet.receiver.answer(move |_| (Duration::from_millis(5), gone.clone()));
    let _router = fleet.router();
    let mut events = fleet.write("acme", 1, 3);
    sleep(Duration::from_secs(60)).await;
    let requests = fleet.receiver.count(&webhook.id);
    assert!(requests <= MAX_IN_FLIGHT, "{requests} requests");
    let state = fleet.state(&webhook).await;
    assert_eq!(state.webhook.disabled, Some(DisabledReason::Gone));
    let names: Vec<_> = fleet.memory.events().iter().map(domain::Event::name).collect();
    assert_eq!(names.iter().filter(|name| **name == EventName::WebhookDisabled).count(), 1);

    events.extend(fleet.write("acme", 1, 3));
    fleet.receiver.answer(|_| taken());
    sleep(Duration::from_secs(600)).await;
    assert_eq!(fleet.receiver.count(&webhook.id), requests);
    fleet.webhooks.resume(&owner("acme"), webhook.id.as_str(), None).await.unwrap();
    assert_eq!(fleet.wait_for(&webhook, 6).await, events);
}

#[tokio::test(start_paused = true)]
async fn unordered_webhook_passes_a_failing_event_by() {
    let fleet = Fleet::new();
    let patch = WebhookPatch { ordered: Some(false), ..attempts(15) };
    let webhook = fleet.webhook("acme", patch).await;
    let events = fleet.write("acme", 1, 20);
    let bad = events[3].clone();
    fleet.receiver.answer(move |one| if one.event == bad { rejected() } else { taken() });
    let _router = fleet.router();
    let mut taken: Vec<_> = fleet.wait_for(&webhook, 19).await;
    taken.sort();
    let expected: Vec<_> = events.iter().filter(|id| **id != events[3]).cloned().collect();
    assert_eq!(taken, expected);
}

#[tokio::test(start_paused = true)]
async fn receiver_that_fails_half_of_the_times_gets_events_in_order() {
    let fleet = Fleet::new();
    let webhook = fleet.webhook("acme", WebhookPatch::default()).await;
    fleet.receiver.answer(|one| {
        let mut hasher = DefaultHasher::new();
        (one.event.as_str(), one.number).hash(&mut hasher);
        if hasher.finish().is_multiple_of(2) { rejected() } else { taken() }
    });
    let _router = fleet.router();
    let mut expected = Vec::new();
    for session in 1..=4 {
        expected.push(fleet.write("acme", session, 40));
    }
    let all = fleet.wait_for(&webhook, 160).await;
    for expected in expected {
        let arrived: Vec<_> = all.iter().filter(|id| expected.contains(id)).cloned().collect();
        assert_eq!(arrived, expected);
    }
}
