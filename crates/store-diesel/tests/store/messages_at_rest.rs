//! Tests: with a sealer, the content of messages is in no row and no file of the database as plain
//! text; old content is removed from rows.

use std::{sync::Arc, time::Duration};

use diesel::{Connection, QueryableByName, RunQueryDsl, sql_types::BigInt};
use domain::{
    EventPayload, JournalFact, MediaInfo, MessageKind, MessageRetention, NewMessage,
    testing::{
        OutboxFixture, PlainSealer, TestEnvironment, TestNotifier,
        messaging_fixture::{alone, phone},
        outbox_fixture::{request, texts},
    },
};
use store_diesel::Database;

use crate::{both_databases::on_both, test_database::TestDatabase};

/// A word in all content.
const CANARY: &str = "canary-of-content";
const ADA: &str = "15551230001";
const BOB: &str = "15551230002";

async fn sealing(test_db: &TestDatabase) -> Arc<Database> {
    Arc::new(test_db.open().await.with_sealer(Arc::new(PlainSealer::default())))
}

/// Returns all that the database stores: the bytes of its files, or the rows of its tables.
async fn stored(test_db: &TestDatabase) -> Vec<u8> {
    if let TestDatabase::Sqlite { .. } = test_db {
        let file = test_db.file();
        let folder = file.parent().expect("a folder").to_owned();
        let files =
            std::fs::read_dir(folder).expect("the folder").map(|entry| entry.expect("a file"));
        return files.flat_map(|entry| std::fs::read(entry.path()).expect("a file")).collect();
    }
    let client = test_db.client().await;
    let tables =
        "SELECT table_name::text FROM information_schema.tables WHERE table_schema = 'public'";
    let mut all = String::new();
    for table in client.query(tables, &[]).await.expect("tables") {
        let table: String = table.get(0);
        let rows = format!("SELECT coalesce(string_agg(it::text, ' '), '') FROM \"{table}\" AS it");
        all.push_str(client.query_one(&rows, &[]).await.expect("rows").get(0));
    }
    all.into_bytes()
}

/// Returns whether bytes contain the canary, as text or as the digits of a binary column.
fn contains_canary(stored: &[u8]) -> bool {
    let digits: Vec<_> = CANARY.bytes().map(|byte| format!("{byte:02x}")).collect();
    let contains = |word: &str| stored.windows(word.len()).any(|part| part == word.as_bytes());
    contains(CANARY) || contains(&digits.concat())
}

/// Stores content by every way: received, received as media, sent from the phone, and accepted.
async fn fill(store: Arc<Database>) -> OutboxFixture<Database> {
    let fixture = OutboxFixture::new(store, TestEnvironment::new()).await;
    let inbound = &fixture.inbound;
    let with_content = |fact: JournalFact, kind: MessageKind| {
        let JournalFact::Message(mut message) = fact else { panic!("a message") };
        message.kind = kind;
        message.content = Some(format!("encoded {CANARY}").into_bytes());
        if kind == MessageKind::Document {
            let file_name = Some(format!("{CANARY}.pdf"));
            message.details.media = Some(MediaInfo { file_name, ..MediaInfo::default() });
        }
        JournalFact::Message(message)
    };
    let text = format!("text {CANARY}");
    let facts = [
        with_content(inbound.text(alone(phone(ADA)), "A1", &text), MessageKind::Text),
        with_content(inbound.text(alone(phone(ADA)), "A2", &text), MessageKind::Document),
        with_content(inbound.own_text(alone(phone(ADA)), "A3", &text), MessageKind::Text),
    ];
    inbound.deliver_facts(facts).await;
    let message = NewMessage { reference: None, ..request(BOB, &text) };
    fixture.try_accept(&message, None).await.expect("accepted");
    fixture
}

async fn sealed_content_is_in_no_row(test_db: TestDatabase) {
    let fixture = fill(sealing(&test_db).await).await;
    assert!(!contains_canary(&stored(&test_db).await));

    let expected = Some(format!("text {CANARY}"));
    let shown = fixture.all().await;
    let bodies: Vec<_> = shown.iter().map(|shown| shown.message.body()).collect();
    assert_eq!(bodies, vec![expected.as_deref(); 4]);
    let document = shown.iter().find(|shown| shown.message.kind == MessageKind::Document);
    let details = document.and_then(|shown| shown.message.details.clone()).expect("details");
    let file_name = details.media.and_then(|media| media.file_name);
    assert_eq!(file_name, Some(format!("{CANARY}.pdf")));
    let told = fixture.inbound.payloads().await;
    let told: Vec<_> = told
        .iter()
        .filter_map(|payload| match payload {
            EventPayload::Message { body, .. } => Some(body.clone()),
            _ => None,
        })
        .collect();
    assert_eq!(told, vec![expected; 3]);
    assert_eq!(texts(&fixture.dispatch().await), [format!("text {CANARY}")]);
    assert!(!contains_canary(&stored(&test_db).await), "after the reads and the hand-over");
}

async fn content_is_plain_without_a_sealer(test_db: TestDatabase) {
    let fixture = fill(Arc::new(test_db.open().await)).await;
    assert!(contains_canary(&stored(&test_db).await));
    assert_eq!(fixture.all().await.len(), 4);
}

async fn sealed_content_without_the_sealer_is_absent(test_db: TestDatabase) {
    let fixture = fill(sealing(&test_db).await).await;
    let caller = &fixture.inbound.caller;
    let messages = domain::Messages::new(Arc::new(test_db.open().await));
    let query =
        domain::MessageQuery { filter: domain::MessageFilter::default(), after: None, limit: 9 };
    let listed = messages.list(caller, fixture.id().as_str(), &query).await.expect("a list");
    let bodies: Vec<_> = listed.iter().map(|shown| shown.message.body()).collect();
    assert_eq!(bodies, [None; 4]);
}

#[derive(QueryableByName)]
struct CountRow {
    #[diesel(sql_type = BigInt)]
    count: i64,
}

/// Returns the result of a statement that counts.
async fn count(test_db: &TestDatabase, statement: &'static str) -> i64 {
    if let TestDatabase::Postgres { .. } = test_db {
        return test_db.client().await.query_one(statement, &[]).await.expect("a count").get(0);
    }
    let url = test_db.file().display().to_string();
    let counted = tokio::task::spawn_blocking(move || {
        let mut conn = diesel::SqliteConnection::establish(&url).expect("opens");
        diesel::sql_query(statement).get_result::<CountRow>(&mut conn).expect("a count").count
    });
    counted.await.expect("no panic")
}

async fn encoded_content_is_removed_after_two_weeks(test_db: TestDatabase) {
    const ENCODED: &str = "SELECT count(*) AS count FROM messages WHERE content IS NOT NULL";
    let store = sealing(&test_db).await;
    let fixture = fill(store.clone()).await;
    let (caller, session) = (&fixture.inbound.caller, fixture.id().as_str());
    let waits = fixture.all().await[0].message.wa_id.to_string();
    fixture.outbox.cancel(caller, session, &waits).await.expect("a cancellation");
    let environment = fixture.inbound.environment.clone();
    let notifier = TestNotifier::new(environment.clone());
    let retention = MessageRetention::new(store, environment.clone(), notifier);
    let day = Duration::from_secs(24 * 60 * 60);
    environment.advance(13 * day);
    assert!(retention.remove_old(2).await.expect("removed"));
    assert_eq!(count(&test_db, ENCODED).await, 3);
    environment.advance(2 * day);
    assert!(retention.remove_old(2).await.expect("removed"));
    assert_eq!(count(&test_db, ENCODED).await, 1, "two messages at a time");
    assert!(retention.remove_old(2).await.expect("removed"));
    assert_eq!(count(&test_db, ENCODED).await, 0);
    let shown = fixture.all().await;
    assert!(shown.iter().all(|shown| shown.message.body().is_some()), "the bodies stay");
}

on_both!(
    sealed_content_is_in_no_row,
    content_is_plain_without_a_sealer,
    sealed_content_without_the_sealer_is_absent,
    encoded_content_is_removed_after_two_weeks,
);
