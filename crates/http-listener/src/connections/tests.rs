//! Tests of the choice of connections that end.

use futures_util::FutureExt;

use super::*;
use crate::{activity::RequestActivity, tracked_body::TrackedBody};

fn connections(limits: &Limits) -> Arc<Connections> {
    let trusted_proxies = vec!["10.0.0.0/8".parse().unwrap()];
    Connections::new(&Limits { trusted_proxies, ..limits.clone() })
}

fn limited_to_four() -> Arc<Connections> {
    connections(&Limits { connections: 4, ..Limits::default() })
}

/// Lets the clock of the activities advance, whose resolution is 1 µs.
fn let_time_pass() {
    let now = Instant::now();
    while now.elapsed() < Duration::from_micros(3) {
        std::hint::spin_loop();
    }
}

fn admit(connections: &Arc<Connections>, address: &str) -> Option<ConnectionGuard> {
    let_time_pass();
    connections.admit(address.parse().unwrap()).now_or_never()
}

fn is_evicted(guard: &ConnectionGuard) -> bool {
    guard.activity.ended().now_or_never().is_some()
}

fn evicted(guards: &[ConnectionGuard]) -> Vec<usize> {
    guards.iter().enumerate().filter(|(_, guard)| is_evicted(guard)).map(|(at, _)| at).collect()
}

fn guards(connections: &Arc<Connections>, addresses: &[&str]) -> Vec<ConnectionGuard> {
    addresses.iter().map(|address| admit(connections, address).unwrap()).collect()
}

#[tokio::test]
async fn longest_idle_connection_of_the_largest_address_ends_first() {
    let connections = limited_to_four();
    let mut guards = guards(&connections, &["192.0.2.1", "192.0.2.2", "192.0.2.2", "192.0.2.3"]);
    guards.push(admit(&connections, "192.0.2.4").unwrap());
    assert_eq!(evicted(&guards), [1]);
    guards.push(admit(&connections, "192.0.2.5").unwrap());
    assert_eq!(evicted(&guards), [0, 1], "each address has one connection: the longest idle ends");
    let_time_pass();
    guards[2].activity.record_progress();
    guards.push(admit(&connections, "192.0.2.6").unwrap());
    assert_eq!(evicted(&guards), [0, 1, 3]);
}

#[tokio::test]
async fn connections_of_a_trusted_proxy_end_by_idle_time_only() {
    let connections = limited_to_four();
    let mut guards = guards(&connections, &["10.0.0.1", "10.0.0.1", "192.0.2.1", "192.0.2.1"]);
    guards.push(admit(&connections, "10.0.0.1").unwrap());
    assert_eq!(evicted(&guards), [2], "two of one address before three of a proxy");
    guards.push(admit(&connections, "10.0.0.1").unwrap());
    assert_eq!(evicted(&guards), [0, 2], "then the longest idle connection");
}

#[tokio::test]
async fn new_connection_waits_while_all_are_at_work() {
    let connections = connections(&Limits { connections: 2, ..Limits::default() });
    let guards = guards(&connections, &["192.0.2.1", "192.0.2.1"]);
    let mut requests: Vec<RequestActivity> =
        guards.iter().map(|guard| guard.activity.begin()).collect();
    assert!(admit(&connections, "192.0.2.2").is_none());
    let awaiting = guards[1].activity.await_peer();
    let new_connection = admit(&connections, "192.0.2.2").unwrap();
    assert_eq!(evicted(&guards), [1], "the peer has not sent the body");
    drop((awaiting, requests.remove(0)));
    drop((new_connection, guards));
    let table = connections.table.lock().unwrap();
    assert!(table.open.is_empty() && table.addresses.is_empty());
    assert_eq!(connections.unauthenticated.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn unauthenticated_connections_replace_each_other() {
    let limits = Limits { connections: 4, unauthenticated_connections: 2, ..Limits::default() };
    let connections = connections(&limits);
    let mut guards = guards(&connections, &["192.0.2.1", "192.0.2.1"]);
    guards[0].activity.mark_authenticated();
    guards.push(admit(&connections, "192.0.2.1").unwrap());
    assert_eq!(evicted(&guards), [0; 0], "one of three is authenticated");
    for _ in 0..3 {
        guards.push(admit(&connections, "192.0.2.1").unwrap());
    }
    assert_eq!(evicted(&guards), [1, 2, 3]);
}

#[tokio::test]
async fn longest_blocked_connection_ends_when_too_many_bytes_are_unwritten() {
    let connections = connections(&Limits { unwritten_bytes: 25, ..Limits::default() });
    let guards = guards(&connections, &["192.0.2.1", "192.0.2.2", "192.0.2.3", "192.0.2.4"]);
    guards[0].activity.mark_authenticated();
    let mut answers = Vec::new();
    for guard in &guards {
        let_time_pass();
        answers.push(TrackedBody::for_test(10, &guard.activity));
        guard.report_unwritten();
    }
    assert_eq!(evicted(&guards), [1, 2], "the unauthenticated connections");
    answers.clear();
    guards.iter().for_each(ConnectionGuard::report_unwritten);
    assert_eq!(connections.unwritten.load(Ordering::Relaxed), 0);
}

#[tokio::test]
async fn evicted_connection_answers_a_request_that_arrived_meanwhile() {
    let connections = limited_to_four();
    let guards = guards(&connections, &["192.0.2.1"]);
    connections.evict_one();
    assert!(is_evicted(&guards[0]) && guards[0].activity.ends_at_once());
    let _request = guards[0].activity.begin();
    assert!(!guards[0].activity.ends_at_once());
    guards[0].activity.end(true);
    assert!(guards[0].activity.ends_at_once(), "the listener stops");
}

#[tokio::test]
async fn stopping_listener_ends_and_awaits_evicted_connections() {
    let connections = limited_to_four();
    let mut guards = guards(&connections, &["192.0.2.1", "192.0.2.2"]);
    connections.evict_one();
    let (evicted, open) = (guards.remove(0), guards.remove(0));
    let request = evicted.activity.begin();
    drop(open);
    let mut end = std::pin::pin!(connections.end_all());
    assert!(end.as_mut().now_or_never().is_none(), "the evicted connection has a request");
    assert!(evicted.activity.ends_at_once());
    drop(request);
    drop(evicted);
    assert!(end.now_or_never().is_some(), "the wait ends with the connection");
}

#[tokio::test]
async fn connection_ends_when_the_system_lacks_resources() {
    let connections = limited_to_four();
    let guards = guards(&connections, &["192.0.2.1", "192.0.2.2"]);
    connections.evict_one();
    assert_eq!(evicted(&guards), [0]);
}
