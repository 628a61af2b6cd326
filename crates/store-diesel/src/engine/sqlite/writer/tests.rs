//! Tests: concurrent writes share a commit, and a failed write undoes no other.

use std::{path::Path, sync::mpsc};

use diesel::{QueryableByName, sql_query, sql_types::BigInt};
use diesel_async::{RunQueryDsl, SimpleAsyncConnection};
use domain::ports::Rejection;
use futures_util::future::join_all;

use super::*;

const LONG: Duration = Duration::from_secs(60);

struct TestWriter {
    _folder: tempfile::TempDir,
    file: PathBuf,
    writer: Writer,
}

impl TestWriter {
    async fn new() -> Self {
        Self::with_max_wait(LONG).await
    }

    async fn with_max_wait(max_wait: Duration) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("berth.db");
        let mut conn = connect::create(&file).await.expect("it is made");
        let tables = "CREATE TABLE mother (id integer PRIMARY KEY);
            CREATE TABLE number (id integer PRIMARY KEY REFERENCES mother (id));
            INSERT INTO mother (id) ";
        conn.batch_execute(&format!("{tables}{}", hundred_rows())).await.expect("tables");
        let writer = Writer::start(file.clone(), max_wait).expect("a thread");
        Self { _folder: folder, file, writer }
    }

    async fn write(&self, number: i64) -> Result<(), StoreError> {
        self.writer.write(async move |conn| insert(conn, number).await).await
    }

    /// Blocks the writer until the returned sender is dropped.
    async fn block(&self) -> mpsc::Sender<()> {
        let (release, released) = mpsc::channel();
        let (blocked, is_blocked) = oneshot::channel();
        let writer = self.writer.clone();
        tokio::spawn(async move {
            let work = async move |_: &mut WriterConnection| {
                let _ = blocked.send(());
                let _: Result<(), _> = released.recv();
                Ok(())
            };
            writer.write(work).await
        });
        is_blocked.await.expect("it is being written");
        release
    }

    /// Returns the numbers in the file as another connection reads them.
    async fn numbers(&self) -> Vec<i64> {
        let file = self.file.to_string_lossy().into_owned();
        let mut conn: crate::engine::sqlite::connect::SqliteConnection =
            connect::open(file, connect::BUSY_TIMEOUT, "").await.expect("a connection");
        let rows: Vec<Number> =
            sql_query("SELECT id FROM number ORDER BY id").load(&mut conn).await.expect("rows");
        rows.into_iter().map(|row| row.id).collect()
    }
}

fn hundred_rows() -> String {
    let values: Vec<_> = (0..100).map(|number| format!("({number})")).collect();
    format!("VALUES {}", values.join(", "))
}

#[derive(QueryableByName)]
struct Number {
    #[diesel(sql_type = BigInt)]
    id: i64,
}

async fn insert(conn: &mut WriterConnection, number: i64) -> Result<(), StoreError> {
    sql_query(format!("INSERT INTO number (id) VALUES ({number})")).execute(conn).await?;
    Ok(())
}

/// Queues all jobs of a future while the writer is blocked.
async fn queue_all(asking: impl Future + Unpin) {
    let answered = tokio::time::timeout(Duration::ZERO, asking).await;
    assert!(answered.is_err(), "answered by a busy writer");
}

/// Returns the number of commits in the write-ahead log: frames with the size of the file after the
/// commit (SQLite's file format, 4.1).
fn count_commits(file: &Path) -> usize {
    let mut log = file.as_os_str().to_owned();
    log.push("-wal");
    let log = std::fs::read(log).expect("the log");
    let number = |at: usize| u32::from_be_bytes(log[at..at + 4].try_into().expect("four bytes"));
    let frame = 24 + number(8) as usize;
    (32..log.len()).step_by(frame).filter(|at| number(at + 4) != 0).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn concurrent_writes_share_one_commit() {
    let test = TestWriter::new().await;
    test.write(0).await.expect("written");
    let before = count_commits(&test.file);
    let blocked = test.block().await;
    let mut writes = Box::pin(join_all((1..51).map(|number| test.write(number))));
    queue_all(&mut writes).await;
    drop(blocked);
    assert!(writes.await.iter().all(Result::is_ok));
    assert_eq!(test.numbers().await, (0..51).collect::<Vec<_>>());
    assert_eq!(
        count_commits(&test.file) - before,
        1,
        "fifty in one; what kept it busy wrote nothing"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn failed_write_rolls_back_only_itself() {
    let test = TestWriter::new().await;
    let blocked = test.block().await;
    let fails = test.writer.write(async |conn| {
        insert(conn, 2).await?;
        insert(conn, 2).await
    });
    let regrets = test.writer.write(async |conn| {
        insert(conn, 3).await?;
        Err::<(), _>(StoreError::Rejected(Rejection::Repeated))
    });
    let mut all = Box::pin(async { tokio::join!(test.write(1), fails, regrets, test.write(4)) });
    queue_all(&mut all).await;
    drop(blocked);
    let (first, fails, regrets, last) = all.await;
    assert!(matches!(fails, Err(StoreError::Query(_))), "{fails:?}");
    assert!(matches!(regrets, Err(StoreError::Rejected(Rejection::Repeated))), "{regrets:?}");
    assert!(first.is_ok() && last.is_ok(), "{first:?} {last:?}");
    assert_eq!(test.numbers().await, [1, 4]);
}

/// Asserts that a write fails together with both of its neighbours, and that the writer continues.
async fn assert_fails_its_batch(
    work: impl AsyncFnOnce(&mut WriterConnection) -> Result<(), StoreError> + Send + 'static,
) {
    let test = TestWriter::new().await;
    let blocked = test.block().await;
    let writes = async { tokio::join!(test.write(1), test.writer.write(work), test.write(2)) };
    let mut all = Box::pin(writes);
    queue_all(&mut all).await;
    drop(blocked);
    let (first, own, last) = all.await;
    for result in [first, own, last] {
        assert!(matches!(result, Err(StoreError::Unavailable(_))), "{result:?}");
    }
    assert_eq!(test.numbers().await, Vec::<i64>::new());
    test.write(3).await.expect("it goes on");
    assert_eq!(test.numbers().await, [3]);
}

#[tokio::test(flavor = "multi_thread")]
async fn failed_commit_fails_every_write_in_it() {
    assert_fails_its_batch(async |conn| {
        conn.batch_execute("PRAGMA defer_foreign_keys = ON").await?;
        insert(conn, 1000).await
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn panic_fails_its_batch_and_the_writer_continues() {
    assert_fails_its_batch(async |_| panic!("on purpose")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn write_that_waited_too_long_is_rejected() {
    let test = TestWriter::with_max_wait(Duration::ZERO).await;
    let result = test.write(1).await;
    assert!(matches!(result, Err(StoreError::Unavailable(_))), "{result:?}");
    assert_eq!(test.numbers().await, Vec::<i64>::new());
}
