//! Tests: readers get every selected event once, in order, from memory or from the store.

use std::{sync::Arc, time::Duration};

use domain::{EventName, EventPattern, FeedFilter, FeedPosition, FeedRights, Reach};
use event_feed::FeedReader;
use tokio::time::{sleep, timeout};

use crate::fixture::{INTERVAL, World, assert_silent, manager, read, rights};

#[tokio::test(start_paused = true)]
async fn own_commit_reaches_a_waiting_reader_at_once() {
    let world = World::new();
    let mut reader = world.live_reader("acme").await;
    assert_silent(&mut reader).await;
    let (_, event) = world.write("acme").await;
    world.feed.committed();
    let events = timeout(INTERVAL / 4, reader.next()).await.expect("within 25 ms");
    let events = events.expect("readable");
    assert_eq!(events.iter().map(|it| &it.id).collect::<Vec<_>>(), [&event.id]);
    assert_eq!(world.store.pages(), 0, "from memory");
}

#[tokio::test(start_paused = true)]
async fn commit_of_another_process_arrives_within_the_interval() {
    let world = World::new();
    let mut reader = world.live_reader("acme").await;
    assert_silent(&mut reader).await;
    let (_, event) = world.write("acme").await;
    let events = timeout(INTERVAL * 2, reader.next()).await.expect("within two intervals");
    assert_eq!(events.expect("readable")[0].id, event.id);
}

#[tokio::test(start_paused = true)]
async fn reader_begins_after_its_position_whoever_listened_before() {
    let world = World::new();
    let before = world.write_many("acme", 3).await;
    let from_start = world.reader("acme", FeedPosition::START);
    let mut live = world.live_reader("acme").await;
    let mut from_start = from_start;
    assert_eq!(read(&mut from_start, 3).await, before);
    let after = world.write_many("acme", 2).await;
    assert_eq!(read(&mut live, 2).await, after);
    assert_eq!(read(&mut from_start, 2).await, after);
    let first = world.feed.position_of(&rights("acme"), &before[0]).await.expect("a look-up");
    let mut resumed = world.reader("acme", first.expect("stored"));
    assert_eq!(read(&mut resumed, 4).await, [&before[1..], &after].concat());
}

#[tokio::test(start_paused = true)]
async fn slow_reader_reads_the_store_and_loses_nothing() {
    let world = World::new();
    let mut slow = world.live_reader("acme").await;
    let mut fast = world.live_reader("acme").await;
    assert_silent(&mut fast).await;
    let mut written = Vec::new();
    for _ in 0..6 {
        let some = world.write_many("acme", 300).await;
        assert_eq!(read(&mut fast, 300).await, some);
        written.extend(some);
    }
    assert_eq!(world.store.pages(), 0, "the fast reader reads memory");
    // 1,800 events are more than memory keeps. New ones arrive while the reader catches up.
    assert_eq!(read(&mut slow, 500).await, written[..500]);
    assert!(world.store.pages() > 0);
    written.extend(world.write_many("acme", 100).await);
    assert_eq!(read(&mut slow, 1_400).await, written[500..]);
    let pages = world.store.pages();
    let last = world.write_many("acme", 10).await;
    assert_eq!(read(&mut slow, 10).await, last);
    assert_eq!(world.store.pages(), pages, "a reader that caught up reads memory");
}

#[tokio::test(start_paused = true)]
async fn dropped_wait_loses_no_event() {
    let world = World::new();
    let mut reader = world.live_reader("acme").await;
    let mut read = Vec::new();
    let mut written = Vec::new();
    for turn in 0..40 {
        written.extend(world.write_many("acme", 7).await);
        if let Ok(events) = timeout(Duration::from_millis(turn * 7), reader.next()).await {
            read.extend(events.expect("readable").iter().map(|event| event.id.clone()));
        }
    }
    sleep(INTERVAL).await;
    read.extend(reader.read_available().await.expect("readable").iter().map(|it| it.id.clone()));
    assert_eq!(read, written);
}

#[tokio::test(start_paused = true)]
async fn reader_gets_the_selected_events_within_its_rights_alone() {
    let world = World::new();
    let (mine, first) = world.write("acme").await;
    let first = [first.id];
    let mut confined = manager("acme");
    confined.reach = Reach::Only([mine.clone()].into());
    let confined = FeedRights::of(&confined).expect("may manage");
    let mut confined = world.feed.subscribe(confined, FeedFilter::default(), FeedPosition::START);
    let other_kind =
        FeedFilter { events: vec![EventPattern::Name(EventName::AuthQr)], ..FeedFilter::default() };
    let mut other_kind = world.feed.subscribe(rights("acme"), other_kind, FeedPosition::START);
    let of_session = FeedFilter { sessions: [mine].into(), ..FeedFilter::default() };
    let mut of_session = world.feed.subscribe(rights("acme"), of_session, FeedPosition::START);
    let mut foreign = world.reader("zeta", FeedPosition::START);
    let from_store = [&mut confined, &mut of_session];
    for reader in from_store {
        assert_eq!(read(reader, 1).await, first);
    }
    world.write_many("acme", 20).await;
    for reader in [&mut confined, &mut other_kind, &mut of_session, &mut foreign] {
        assert_silent(reader).await;
    }
}

#[tokio::test(start_paused = true)]
async fn bookmark_passes_events_that_are_not_selected_and_no_others() {
    let world = World::new();
    let none =
        FeedFilter { events: vec![EventPattern::Name(EventName::AuthQr)], ..FeedFilter::default() };
    let start = world.feed.horizon().await.expect("the horizon");
    let mut filtered = world.feed.subscribe(rights("acme"), none, start);
    let mut all = world.live_reader("acme").await;
    assert_silent(&mut all).await;
    let written = world.write_many("acme", 5).await;
    world.write_many("zeta", 5).await;
    sleep(INTERVAL * 2).await;
    let newest = world.feed.horizon().await.expect("the horizon");
    assert_eq!(filtered.bookmark(), newest, "also past the events of other organizations");
    assert_eq!(all.bookmark(), start, "not past an event that was not returned");
    assert_eq!(read(&mut all, 5).await, written);
    assert_eq!(all.bookmark(), newest);
    let mut resumed = world.reader("acme", newest);
    let more = world.write_many("acme", 1).await;
    assert_eq!(read(&mut resumed, 1).await, more);
}

#[tokio::test(start_paused = true)]
async fn many_readers_of_one_organization_do_not_delay_another_organization() {
    let world = World::new();
    world.write_many("acme", 2_000).await;
    world.write_many("zeta", 1_000).await;
    let world = Arc::new(world);
    let read_all = |mut reader: FeedReader, count| async move { read(&mut reader, count).await };
    let many: Vec<_> = (0..50)
        .map(|_| tokio::spawn(read_all(world.reader("acme", FeedPosition::START), 2_000)))
        .collect();
    let other = tokio::spawn(read_all(world.reader("zeta", FeedPosition::START), 1_000));
    assert_eq!(other.await.expect("no panic").len(), 1_000);
    for reader in many {
        assert_eq!(reader.await.expect("no panic").len(), 2_000);
    }
}
