//! Which connections end when there is no room for another one.

use futures_util::FutureExt;

use super::*;
use crate::{activity::UnderWay, answer::Answer};

fn connections(limits: &Limits) -> Arc<Connections> {
    let trusted_proxies = vec!["10.0.0.0/8".parse().unwrap()];
    Connections::new(&Limits { trusted_proxies, ..limits.clone() })
}

fn of_four() -> Arc<Connections> {
    connections(&Limits { connections: 4, ..Limits::default() })
}

/// What happens next happens later, as far as it is told apart.
fn later() {
    let now = Instant::now();
    while now.elapsed() < Duration::from_micros(3) {
        std::hint::spin_loop();
    }
}

fn seat(connections: &Arc<Connections>, address: &str) -> Option<Seat> {
    later();
    connections.seat(address.parse().unwrap()).now_or_never()
}

fn is_evicted(seat: &Seat) -> bool {
    seat.activity.ended().now_or_never().is_some()
}

fn evicted(seats: &[Seat]) -> Vec<usize> {
    seats.iter().enumerate().filter(|(_, seat)| is_evicted(seat)).map(|(at, _)| at).collect()
}

fn seats(connections: &Arc<Connections>, addresses: &[&str]) -> Vec<Seat> {
    addresses.iter().map(|address| seat(connections, address).unwrap()).collect()
}

#[tokio::test]
async fn longest_idle_connection_of_the_address_with_most_ends_first() {
    let connections = of_four();
    let mut seats = seats(&connections, &["192.0.2.1", "192.0.2.2", "192.0.2.2", "192.0.2.3"]);
    seats.push(seat(&connections, "192.0.2.4").unwrap());
    assert_eq!(evicted(&seats), [1]);
    seats.push(seat(&connections, "192.0.2.5").unwrap());
    assert_eq!(evicted(&seats), [0, 1], "all have one: the longest idle");
    later();
    seats[2].activity.moves();
    seats.push(seat(&connections, "192.0.2.6").unwrap());
    assert_eq!(evicted(&seats), [0, 1, 3]);
}

#[tokio::test]
async fn connections_of_a_trusted_proxy_are_judged_by_idleness_alone() {
    let connections = of_four();
    let mut seats = seats(&connections, &["10.0.0.1", "10.0.0.1", "192.0.2.1", "192.0.2.1"]);
    seats.push(seat(&connections, "10.0.0.1").unwrap());
    assert_eq!(evicted(&seats), [2], "two of one stranger before three of a proxy");
    seats.push(seat(&connections, "10.0.0.1").unwrap());
    assert_eq!(evicted(&seats), [0, 2], "then the longest idle");
}

#[tokio::test]
async fn newcomer_waits_while_all_are_at_work() {
    let connections = connections(&Limits { connections: 2, ..Limits::default() });
    let seats = seats(&connections, &["192.0.2.1", "192.0.2.1"]);
    let mut requests: Vec<UnderWay> = seats.iter().map(|seat| seat.activity.begin()).collect();
    assert!(seat(&connections, "192.0.2.2").is_none());
    let expecting = seats[1].activity.expect();
    let newcomer = seat(&connections, "192.0.2.2").unwrap();
    assert_eq!(evicted(&seats), [1], "its peer has not sent the body");
    drop((expecting, requests.remove(0)));
    drop((newcomer, seats));
    let table = connections.table.lock().unwrap();
    assert!(table.open.is_empty() && table.addresses.is_empty());
    assert_eq!(connections.strangers.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn unauthenticated_connections_end_for_each_other() {
    let limits = Limits { connections: 4, unauthenticated_connections: 2, ..Limits::default() };
    let connections = connections(&limits);
    let mut seats = seats(&connections, &["192.0.2.1", "192.0.2.1"]);
    seats[0].activity.authenticate();
    seats.push(seat(&connections, "192.0.2.1").unwrap());
    assert_eq!(evicted(&seats), [0; 0], "one of three is authenticated");
    for _ in 0..3 {
        seats.push(seat(&connections, "192.0.2.1").unwrap());
    }
    assert_eq!(evicted(&seats), [1, 2, 3]);
}

#[tokio::test]
async fn connection_whose_answer_waits_longest_ends_when_too_many_bytes_wait() {
    let connections = connections(&Limits { unwritten_bytes: 25, ..Limits::default() });
    let seats = seats(&connections, &["192.0.2.1", "192.0.2.2", "192.0.2.3", "192.0.2.4"]);
    seats[0].activity.authenticate();
    let mut answers = Vec::new();
    for seat in &seats {
        later();
        answers.push(Answer::new(vec![0; 10].into(), seat.activity.begin()));
        seat.report();
    }
    assert_eq!(evicted(&seats), [1, 2], "those that nobody was admitted on");
    answers.clear();
    seats.iter().for_each(Seat::report);
    assert_eq!(connections.unwritten.load(Ordering::Relaxed), 0);
}

#[tokio::test]
async fn connection_that_was_asked_meanwhile_is_answered_before_it_ends() {
    let connections = of_four();
    let seats = seats(&connections, &["192.0.2.1"]);
    connections.make_room();
    assert!(is_evicted(&seats[0]) && seats[0].activity.ends_at_once());
    let _request = seats[0].activity.begin();
    assert!(!seats[0].activity.ends_at_once());
    seats[0].activity.end(true);
    assert!(seats[0].activity.ends_at_once(), "the listener ends");
}

#[tokio::test]
async fn room_that_the_system_lacks_is_made() {
    let connections = of_four();
    let seats = seats(&connections, &["192.0.2.1", "192.0.2.2"]);
    connections.make_room();
    assert_eq!(evicted(&seats), [0]);
}
