//! Tests: open transactions, outages and a database that lost commits.

use std::time::Duration;

use domain::{
    FeedPosition,
    ports::{Environment as _, WorkerStore as _},
};
use event_feed::FeedError;
use tokio::time::sleep;

use crate::fixture::{INTERVAL, LogLines, World, assert_silent, read, rights};

#[tokio::test(start_paused = true)]
async fn open_transaction_delays_later_events_and_loses_none() {
    let world = World::new();
    let mut reader = world.live_reader("acme").await;
    let first = world.write_many("acme", 2).await;
    assert_eq!(read(&mut reader, 2).await, first);
    // The transaction drew position 3 or 4; other transactions committed 4 to 6.
    world.store.set_horizon(Some((2, 6)));
    let rest = world.write_many("acme", 4).await;
    assert_silent(&mut reader).await;
    world.store.set_horizon(Some((4, 6)));
    assert_eq!(read(&mut reader, 2).await, rest[..2]);
    assert_silent(&mut reader).await;
    world.store.set_horizon(None);
    assert_eq!(read(&mut reader, 2).await, rest[2..]);
}

#[tokio::test(start_paused = true)]
async fn horizon_that_steps_back_for_a_moment_repeats_no_event() {
    let world = World::new();
    let mut reader = world.live_reader("acme").await;
    let first = world.write_many("acme", 6).await;
    assert_eq!(read(&mut reader, 6).await, first);
    let log = LogLines::collect();
    world.store.set_horizon(Some((3, 6)));
    assert_silent(&mut reader).await;
    let mut resumed = world.reader("acme", FeedPosition::from_number(6));
    assert_silent(&mut resumed).await;
    world.store.set_horizon(None);
    let more = world.write_many("acme", 1).await;
    assert_eq!(read(&mut reader, 1).await, more);
    assert_eq!(read(&mut resumed, 1).await, more);
    assert_eq!(log.count("lost"), 0, "no commit was lost");
}

#[tokio::test(start_paused = true)]
async fn delay_of_more_than_two_seconds_is_logged_from_time_to_time() {
    let log = LogLines::collect();
    let world = World::new();
    let mut reader = world.live_reader("acme").await;
    world.store.set_horizon(Some((0, 6)));
    let rest = world.write_many("acme", 6).await;
    let message = "an open transaction holds back the event feed";
    for (seconds, lines) in [(1, 0), (2, 1), (6, 1), (6, 2)] {
        sleep(Duration::from_secs(seconds)).await;
        assert_eq!(log.count(message), lines, "after {seconds} s more");
    }
    world.store.set_horizon(None);
    assert_eq!(read(&mut reader, 6).await, rest);
    sleep(Duration::from_secs(30)).await;
    assert_eq!(log.count(message), 2);
    world.store.memory.set_down(true);
    sleep(Duration::from_secs(4)).await;
    assert_eq!(log.count("event feed waits for the database"), 1);
}

#[tokio::test(start_paused = true)]
async fn readers_ahead_of_a_database_that_lost_commits_go_back() {
    let log = LogLines::collect();
    let world = World::new();
    let mut reader = world.live_reader("acme").await;
    let first = world.write_many("acme", 6).await;
    assert_eq!(read(&mut reader, 6).await, first);
    let mut resumed = world.reader("acme", FeedPosition::from_number(1_000));
    // A standby that had the first four events took over.
    world.store.set_horizon(Some((4, 4)));
    assert_silent(&mut reader).await;
    assert_silent(&mut resumed).await;
    assert_eq!(reader.position(), FeedPosition::from_number(4));
    assert_eq!(resumed.position(), FeedPosition::from_number(4));
    assert_eq!(log.count("database lost committed events"), 1, "by the tail");
    assert_eq!(log.count("event reader is ahead of the database"), 2, "by each reader");
    // The positions after 4 come again.
    world.store.set_horizon(None);
    assert_eq!(read(&mut reader, 2).await, first[4..]);
    assert_eq!(read(&mut resumed, 2).await, first[4..]);
}

#[tokio::test(start_paused = true)]
async fn outage_of_the_database_loses_no_event() {
    let world = World::new();
    let mut reader = world.live_reader("acme").await;
    let mut written = world.write_many("acme", 2).await;
    world.store.memory.set_down(true);
    sleep(Duration::from_secs(3)).await;
    world.store.memory.set_down(false);
    written.extend(world.write_many("acme", 2).await);
    assert_eq!(read(&mut reader, 4).await, written);
}

#[tokio::test(start_paused = true)]
async fn failed_read_of_the_store_is_repeated_at_the_same_position() {
    let world = World::new();
    let written = world.write_many("acme", 3).await;
    let mut reader = world.reader("acme", FeedPosition::START);
    sleep(INTERVAL).await;
    world.store.memory.set_down(true);
    reader.next().await.expect_err("the store is down");
    assert_eq!(reader.position(), FeedPosition::START);
    world.store.memory.set_down(false);
    assert_eq!(read(&mut reader, 3).await, written);
}

#[tokio::test(start_paused = true)]
async fn reader_below_the_floor_is_told_that_events_are_gone() {
    let world = World::new();
    let written = world.write_many("acme", 4).await;
    let mut early = world.reader("acme", FeedPosition::START);
    sleep(INTERVAL).await;
    let later = world.environment.now().plus(Duration::from_secs(1));
    let pruned = world.store.memory.prune_feed(later, 100).await;
    assert_eq!(pruned.expect("pruned"), 3, "the newest event stays");
    for _ in 0..2 {
        let gone = early.next().await.expect_err("events are gone");
        assert!(matches!(gone, FeedError::Gone), "{gone:?}");
    }
    let floor = world.feed.floor(&rights("acme")).await.expect("the floor");
    assert_eq!(floor.oldest.as_ref(), Some(&written[3]));
    let mut again = world.reader("acme", floor.position);
    assert_eq!(read(&mut again, 1).await, written[3..]);
    // No event of this organization was removed.
    assert_silent(&mut world.reader("zeta", FeedPosition::START)).await;
}
