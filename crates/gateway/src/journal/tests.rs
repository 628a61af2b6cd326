//! Tests of the journal: durability, repeated items, limits, and the order of deliveries.

use std::{fs, path::Path, time::Duration};

use gateway_protocol::{
    ChatItem, JournalEntry, JournalItem, JournalStats, ReceiptItem, ReceiptLevel,
};

use super::*;

const PATIENCE: Duration = Duration::from_secs(30);

fn source(session: &str, group: Option<&str>) -> Source {
    Source { session: SessionName::parse(session).unwrap(), group: group.map(Into::into) }
}

fn text(number: u32) -> JournalItem {
    JournalItem::Chat(ChatItem {
        chat: "99@lid".to_owned(),
        chat_alt: None,
        ephemeral_seconds: number,
        changed_at: 1,
        sender: None,
    })
}

fn keyed(number: u32) -> NewItem {
    let key = message_key("99@lid", None, &number.to_string());
    NewItem { key: Some(key), item: text(number) }
}

fn receipt() -> NewItem {
    JournalItem::Receipt(ReceiptItem {
        chat: "99@lid".to_owned(),
        chat_alt: None,
        participant: None,
        participant_alt: None,
        ids: vec!["A".to_owned()],
        level: ReceiptLevel::Read,
        received_at: 1,
        offline: false,
    })
    .into()
}

async fn open(data: &Path) -> Arc<Journal> {
    Journal::open(data, JournalLimits::default()).await.unwrap()
}

/// Returns the sessions of the next batch with the numbers of their texts.
async fn claimed(journal: &Journal) -> Vec<(String, Vec<(u64, u32)>)> {
    let batch = tokio::time::timeout(PATIENCE, journal.next_batch()).await.unwrap();
    batch
        .sessions
        .iter()
        .map(|(session, items)| (session.as_str().to_owned(), items.iter().map(number).collect()))
        .collect()
}

fn number(item: &StoredItem) -> (u64, u32) {
    match serde_json::from_str(&item.json).unwrap() {
        JournalItem::Chat(chat) => (item.seq, chat.ephemeral_seconds),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn items_survive_reopening_and_numbers_are_never_reused() {
    let data = tempfile::tempdir().unwrap();
    let journal = open(data.path()).await;
    let name = journal.name().to_owned();
    let (one, two) = (source("one", None), source("two", None));
    journal.append(&one, vec![keyed(1), keyed(2)]).await.unwrap();
    journal.append(&two, vec![keyed(1)]).await.unwrap();
    drop(journal);

    let journal = open(data.path()).await;
    assert_eq!(journal.name(), name);
    let mut batch = claimed(&journal).await;
    batch.sort();
    assert_eq!(batch, [("one".to_owned(), vec![(1, 1), (2, 2)]), ("two".to_owned(), vec![(3, 1)])]);
    journal.settle(&one.session, 2, 2).await;
    journal.settle(&two.session, 3, 1).await;
    assert_eq!(journal.stats().await, JournalStats { delivered: 3, ..JournalStats::default() });
    drop(journal);

    let journal = open(data.path()).await;
    journal.append(&one, vec![keyed(1)]).await.unwrap();
    assert_eq!(claimed(&journal).await, [("one".to_owned(), vec![(4, 1)])]);
}

#[tokio::test]
async fn repeated_message_is_stored_once_and_other_senders_keep_theirs() {
    let data = tempfile::tempdir().unwrap();
    let journal = open(data.path()).await;
    let one = source("one", None);
    journal.append(&one, vec![keyed(1)]).await.unwrap();
    journal.append(&one, vec![keyed(1), keyed(2), keyed(1)]).await.unwrap();
    let key = |chat, sender| Some(message_key(chat, sender, "1"));
    let others = [key("99@lid", Some("5@lid")), key("9", Some("9@lid")), key("99@lid1", None)];
    let items = others.into_iter().map(|key| NewItem { key, item: text(3) });
    journal.append(&one, items.collect()).await.unwrap();
    let numbers: Vec<u32> = claimed(&journal).await[0].1.iter().map(|(_, n)| *n).collect();
    assert_eq!(numbers, [1, 2, 3, 3, 3]);
    let stats = journal.stats().await;
    assert_eq!(stats.items, 5, "what was left out takes no space");
}

#[tokio::test]
async fn session_is_in_one_batch_at_a_time_and_rest_follows_its_acknowledgement() {
    let data = tempfile::tempdir().unwrap();
    let journal = open(data.path()).await;
    let one = source("one", None);
    journal.append(&one, vec![keyed(1), keyed(2), keyed(3)]).await.unwrap();
    assert_eq!(claimed(&journal).await[0].1.len(), 3);
    journal.append(&one, vec![keyed(4)]).await.unwrap();
    journal.append(&source("two", None), vec![keyed(5)]).await.unwrap();
    assert_eq!(claimed(&journal).await, [("two".to_owned(), vec![(5, 5)])]);
    journal.settle(&one.session, 2, 2).await;
    assert_eq!(claimed(&journal).await, [("one".to_owned(), vec![(3, 3), (4, 4)])]);
    journal.put_back([&one.session]);
    assert_eq!(claimed(&journal).await, [("one".to_owned(), vec![(3, 3), (4, 4)])]);
    assert_eq!(journal.stats().await.retried, 1);
}

#[tokio::test]
async fn batch_is_bounded_and_shared_between_the_sessions() {
    let data = tempfile::tempdir().unwrap();
    let journal = open(data.path()).await;
    for session in ["one", "two"] {
        let items = (0..600).map(keyed).collect();
        journal.append(&source(session, None), items).await.unwrap();
    }
    let batch = claimed(&journal).await;
    let counts: Vec<usize> = batch.iter().map(|(_, items)| items.len()).collect();
    assert_eq!(counts, [MAX_DELIVERY_ITEMS / 2; 2]);
}

#[tokio::test]
async fn full_journal_makes_messages_wait_and_takes_events() {
    let data = tempfile::tempdir().unwrap();
    let limits = JournalLimits { items: 8, bytes: 1 << 20 };
    let journal = Journal::open(data.path(), limits).await.unwrap();
    let (one, other) = (source("one", Some("a")), source("two", Some("b")));
    journal.append(&one, vec![keyed(1), keyed(2)]).await.unwrap();
    let waiting = tokio::spawn({
        let (journal, one) = (journal.clone(), one.clone());
        async move { journal.append(&one, vec![keyed(3)]).await }
    });
    journal.append(&other, vec![keyed(4)]).await.unwrap();
    journal.append_event(&one, text(5).into());
    for _ in 0..9 {
        journal.append_receipt(&one, receipt());
    }
    journal.flush().await;
    assert!(!waiting.is_finished(), "a quarter of the journal is the share of a group");
    let stats = journal.stats().await;
    assert_eq!((stats.items, stats.dropped_receipts), (4, 9));

    let batch = claimed(&journal).await;
    assert_eq!(batch[0], ("one".to_owned(), vec![(1, 1), (2, 2), (4, 5)]));
    journal.settle(&one.session, 4, 3).await;
    tokio::time::timeout(PATIENCE, waiting).await.unwrap().unwrap().unwrap();
    assert_eq!(journal.stats().await.items, 2);
}

#[tokio::test]
async fn forgotten_session_leaves_no_item_in_the_files() {
    let data = tempfile::tempdir().unwrap();
    let journal = open(data.path()).await;
    let (one, two) = (source("one", None), source("two", None));
    journal.append(&one, vec![keyed(424_242)]).await.unwrap();
    journal.append_event(&one, text(424_243).into());
    journal.append(&two, vec![keyed(1)]).await.unwrap();
    journal.forget(&one.session).await.unwrap();
    let batch = claimed(&journal).await;
    assert_eq!((batch.len(), batch[0].0.as_str(), batch[0].1[0].1), (1, "two", 1));
    for file in fs::read_dir(data.path()).unwrap() {
        let bytes = fs::read(file.unwrap().path()).unwrap();
        for text in ["424242", "424243"] {
            assert!(!bytes.windows(6).any(|window| window == text.as_bytes()));
        }
    }
    assert_eq!(journal.stats().await.items, 1);
}

#[tokio::test]
async fn log_of_an_empty_journal_is_cleared() {
    let data = tempfile::tempdir().unwrap();
    let journal = open(data.path()).await;
    let one = source("one", None);
    journal.append(&one, vec![keyed(424_242)]).await.unwrap();
    let log = data.path().join("journal.db-wal");
    journal.clear_log_if_empty().await.unwrap();
    assert!(fs::metadata(&log).unwrap().len() > 0, "an item is left");
    claimed(&journal).await;
    journal.settle(&one.session, 1, 1).await;
    journal.clear_log_if_empty().await.unwrap();
    assert_eq!(fs::metadata(&log).unwrap().len(), 0);
    let file = fs::read(data.path().join(FILE_NAME)).unwrap();
    assert!(!file.windows(6).any(|window| window == b"424242"));
}

#[tokio::test]
async fn refused_session_is_sent_again_later() {
    let data = tempfile::tempdir().unwrap();
    let journal = open(data.path()).await;
    let one = source("one", None);
    journal.append(&one, vec![keyed(1)]).await.unwrap();
    claimed(&journal).await;
    journal.put_back_refused(&one.session, 1);
    assert_eq!(claimed(&journal).await, [("one".to_owned(), vec![(1, 1)])]);
    assert_eq!(journal.stats().await.refused, 1);
}

#[tokio::test]
async fn damaged_file_is_moved_aside() {
    let data = tempfile::tempdir().unwrap();
    let file = data.path().join(FILE_NAME);
    fs::write(&file, [b'x'; 8_192]).unwrap();
    let journal = open(data.path()).await;
    journal.append(&source("one", None), vec![keyed(1)]).await.unwrap();
    let names = fs::read_dir(data.path()).unwrap().map(|entry| entry.unwrap().file_name());
    let aside: Vec<_> = names
        .map(|name| name.into_string().unwrap())
        .filter(|name| name.starts_with("journal.damaged-"))
        .collect();
    assert_eq!(aside.len(), 1, "{aside:?}");
}

#[cfg(unix)]
#[tokio::test]
async fn file_is_readable_by_its_owner_only() {
    use std::os::unix::fs::PermissionsExt as _;
    let data = tempfile::tempdir().unwrap();
    let journal = open(data.path()).await;
    journal.append(&source("one", None), vec![keyed(1)]).await.unwrap();
    for file in fs::read_dir(data.path()).unwrap() {
        let file = file.unwrap();
        assert_eq!(file.metadata().unwrap().permissions().mode() & 0o077, 0, "{file:?}");
    }
}

#[test]
fn stored_item_and_its_number_make_the_entry_of_the_protocol() {
    let row = NewItem::from(text(7)).into_row().unwrap();
    let entry: JournalEntry =
        serde_json::from_str(&format!(r#"{{"seq":1,"at":2,{}"#, &row.json[1..])).unwrap();
    assert_eq!(entry, JournalEntry { seq: 1, at: 2, item: text(7) });
}
