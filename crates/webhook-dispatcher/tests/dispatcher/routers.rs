//! Routers that share the webhooks, stop, die, and lose the database.

use std::{collections::BTreeSet, time::Duration};

use domain::{EventId, LEASE, MAX_AT_RISK, WebhookPatch, ports::Environment};
use tokio::time::{Instant, sleep};

use crate::{
    fleet::Fleet,
    receiver::{hanging, taken},
};

/// Returns whether first arrivals are in the order of the events.
fn is_in_order(arrived: &[EventId], events: &[EventId]) -> bool {
    let mut seen = BTreeSet::new();
    let first = arrived.iter().filter(|id| events.contains(id) && seen.insert(*id));
    first.eq(events)
}

#[tokio::test(start_paused = true)]
async fn each_organization_gets_its_own_events_once_in_order() {
    let fleet = Fleet::new();
    let (a, b) = (
        fleet.webhook("acme", WebhookPatch::default()).await,
        fleet.webhook("zeta", WebhookPatch::default()).await,
    );
    let _routers = [fleet.router(), fleet.router(), fleet.router()];
    let mut expected = [Vec::new(), Vec::new()];
    for round in 0..40 {
        expected[0].extend(fleet.write("acme", round % 3, 5));
        expected[1].extend(fleet.write("zeta", 10 + round % 3, 5));
        sleep(Duration::from_millis(37)).await;
    }
    for (webhook, expected) in [a, b].iter().zip(&expected) {
        let arrived = fleet.wait_for(webhook, 200).await;
        assert_eq!(arrived.iter().collect::<BTreeSet<_>>(), expected.iter().collect());
    }
    sleep(Duration::from_secs(60)).await;
    let received = fleet.receiver.received();
    assert_eq!(received.len(), 400, "no copies");
    for one in received {
        assert_eq!(one.body, one.event.to_string().into_bytes());
        assert_eq!(one.credentials.secret, None);
        let own = usize::from(one.organization.as_str() == "zeta");
        assert!(expected[own].contains(&one.event));
    }
}

#[tokio::test(start_paused = true)]
async fn lease_without_work_is_given_back() {
    let fleet = Fleet::new();
    let webhook = fleet.webhook("acme", WebhookPatch::default()).await;
    let _router = fleet.router();
    fleet.write("acme", 1, 3);
    fleet.wait_for(&webhook, 3).await;
    sleep(Duration::from_secs(10)).await;
    let lease = fleet.memory.delivery_lease(&webhook.id).unwrap();
    assert!(lease.until <= fleet.clock.now() && lease.due.is_none(), "{lease:?}");
    let fingerprint = fleet.memory.fingerprint();
    sleep(Duration::from_secs(120)).await;
    assert_eq!(fleet.memory.fingerprint(), fingerprint, "an idle webhook writes nothing");
    let written = Instant::now();
    fleet.write("acme", 1, 1);
    fleet.wait_for(&webhook, 4).await;
    assert!(written.elapsed() < Duration::from_millis(400), "{:?}", written.elapsed());
}

#[tokio::test(start_paused = true)]
async fn stopped_router_hands_over_at_once_without_copies() {
    let fleet = Fleet::new();
    let webhook = fleet.webhook("acme", WebhookPatch::default()).await;
    let mut router = fleet.router();
    let mut events = Vec::new();
    for _ in 0..10 {
        events.extend(fleet.write("acme", 1, 60));
        sleep(Duration::from_millis(150)).await;
        let next = fleet.router();
        let stopped = Instant::now();
        std::mem::replace(&mut router, next).stop().await;
        assert!(stopped.elapsed() < Duration::from_secs(4), "{:?}", stopped.elapsed());
    }
    let last = Instant::now();
    assert_eq!(fleet.wait_for(&webhook, 600).await, events);
    assert!(last.elapsed() < Duration::from_secs(10), "{:?}", last.elapsed());
    assert_eq!(fleet.receiver.received().len(), 600);
}

#[tokio::test(start_paused = true)]
async fn webhooks_of_a_killed_router_continue_when_its_leases_end() {
    let fleet = Fleet::new();
    let webhook = fleet.webhook("acme", WebhookPatch::default()).await;
    let mut router = fleet.router();
    let mut events = Vec::new();
    for round in 0..10 {
        events.extend(fleet.write("acme", 1, 100));
        sleep(Duration::from_millis(100 + 13 * round)).await;
        let next = fleet.router();
        std::mem::replace(&mut router, next).kill().await;
        let before = fleet.receiver.count(&webhook.id);
        let killed = Instant::now();
        while fleet.receiver.count(&webhook.id) == before {
            sleep(Duration::from_millis(100)).await;
            assert!(killed.elapsed() < LEASE + Duration::from_secs(2));
        }
    }
    while fleet.receiver.taken_by(&webhook.id).iter().collect::<BTreeSet<_>>().len() < 1_000 {
        sleep(Duration::from_secs(1)).await;
    }
    let arrived: Vec<_> = fleet.receiver.received().into_iter().map(|one| one.event).collect();
    assert!(is_in_order(&arrived, &events));
    // A request takes 5 ms, and outcomes are stored every 100 ms.
    assert!(arrived.len() <= 1_000 + 10 * 64, "{} requests", arrived.len());
}

#[tokio::test(start_paused = true)]
async fn outage_of_the_database_ends_attempts_with_the_lease() {
    let fleet = Fleet::new();
    let webhook = fleet.webhook("acme", WebhookPatch::default()).await;
    fleet.receiver.answer(|one| if one.number == 1 { hanging() } else { taken() });
    let _routers = [fleet.router(), fleet.router()];
    for session in 1..=20 {
        fleet.write("acme", session, 3);
    }
    sleep(Duration::from_secs(1)).await;
    fleet.memory.set_down(true);
    let down = Instant::now();
    sleep(Duration::from_secs(120)).await;
    let received = fleet.receiver.received();
    let late = received.iter().filter(|one| one.at > down + LEASE);
    assert_eq!(late.count(), 0, "an attempt without a lease");
    fleet.memory.set_down(false);
    fleet.receiver.answer(|_| taken());
    while fleet.receiver.taken_by(&webhook.id).iter().collect::<BTreeSet<_>>().len() < 60 {
        sleep(Duration::from_secs(1)).await;
        assert!(down.elapsed() < Duration::from_secs(600));
    }
}

#[tokio::test(start_paused = true)]
async fn clock_that_jumps_changes_neither_order_nor_number() {
    let fleet = Fleet::new();
    let webhook = fleet.webhook("acme", WebhookPatch::default()).await;
    let _routers = [fleet.router(), fleet.router()];
    let mut events = Vec::new();
    for hours in [1, -2, 3, -2] {
        for _ in 0..20 {
            events.extend(fleet.write("acme", 1, 5));
            sleep(Duration::from_millis(300)).await;
        }
        fleet.clock.jump(hours * 3_600_000);
    }
    fleet.wait_for(&webhook, events.len()).await;
    let arrived: Vec<_> = fleet.receiver.received().into_iter().map(|one| one.event).collect();
    assert!(is_in_order(&arrived, &events));
    assert!(arrived.len() <= events.len() + 4 * MAX_AT_RISK);
}

#[tokio::test(start_paused = true)]
async fn crash_repeats_few_deliveries_although_a_request_hangs() {
    let fleet = Fleet::new();
    let webhook = fleet.webhook("acme", WebhookPatch::default()).await;
    let hung = fleet.write("acme", 1, 1).pop().unwrap();
    let slow = hung.clone();
    fleet.receiver.answer(move |one| if one.event == slow { hanging() } else { taken() });
    let router = fleet.router();
    let events = fleet.write("acme", 2, 2_000);
    sleep(Duration::from_secs(14)).await;
    router.kill().await;
    let before = fleet.receiver.received().len();
    assert!(before <= MAX_AT_RISK, "{before} requests while a request hangs");
    fleet.receiver.answer(|_| taken());
    let _router = fleet.router();
    while fleet.receiver.taken_by(&webhook.id).iter().collect::<BTreeSet<_>>().len() < 2_001 {
        sleep(Duration::from_secs(1)).await;
    }
    let arrived: Vec<_> = fleet.receiver.received().into_iter().map(|one| one.event).collect();
    assert!(is_in_order(&arrived, &events) && arrived.contains(&hung));
    assert!(arrived.len() <= 2_001 + MAX_AT_RISK, "{} requests", arrived.len());
}

/// A stop at any step gives the lease back, also one that comes before the answer to the claim.
#[tokio::test(start_paused = true)]
async fn stopped_router_has_no_lease_at_any_step() {
    let mut claimed = 0;
    for steps in 0..60 {
        let fleet = Fleet::new();
        let webhook = fleet.webhook("acme", WebhookPatch::default()).await;
        fleet.write("acme", 1, 1);
        let router = fleet.router();
        for _ in 0..steps {
            tokio::task::yield_now().await;
        }
        router.stop().await;
        let lease = fleet.memory.delivery_lease(&webhook.id).unwrap();
        assert!(lease.until <= fleet.clock.now(), "after {steps} steps: {lease:?}");
        claimed += lease.epoch.min(1);
    }
    assert!((10..60).contains(&claimed), "{claimed} routers claimed the lease");
}
