//! The file all sessions' keys are in: one thread that writes, a few that read, whatever the number
//! of sessions.

use std::{
    fs,
    panic::{AssertUnwindSafe, catch_unwind},
    path::Path,
    sync::{
        Arc, Mutex, PoisonError,
        mpsc::{Receiver, Sender, channel},
    },
    thread::JoinHandle,
};

use anyhow::{Context as _, bail, ensure};
use rusqlite::Connection;
use tokio::sync::oneshot;

use super::{
    rows::{Result, database_error},
    writer::{self, WriteOperation, WriteRequest},
};

/// The layout below, in the file as its `user_version`.
const LAYOUT_VERSION: i64 = 1;
/// Numbers are never given twice, and a row needs its session's: what still writes for a session that
/// was wiped fails, instead of bringing rows back.
const SCHEMA: &str = "
    CREATE TABLE sessions (
        number INTEGER PRIMARY KEY AUTOINCREMENT,
        name TEXT NOT NULL UNIQUE
    ) STRICT;
    CREATE TABLE entries (
        session INTEGER NOT NULL REFERENCES sessions (number) ON DELETE CASCADE,
        kind INTEGER NOT NULL,
        key BLOB NOT NULL,
        value BLOB NOT NULL,
        also BLOB,
        rank INTEGER,
        PRIMARY KEY (session, kind, key)
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX entries_also ON entries (session, kind, also) WHERE also IS NOT NULL;
    CREATE INDEX entries_rank ON entries (session, kind, rank) WHERE rank IS NOT NULL;
";
/// Reads are short and mostly of pages in memory: a second reader goes on while one waits for the disk.
const READER_THREADS: usize = 2;
/// Pages held in memory, in KiB. They are for all sessions together.
const WRITER_CACHE_KIB: i64 = 4096;
const READER_CACHE_KIB: i64 = 2048;
/// What the log keeps on disk after a burst, in bytes.
const MAX_WAL_BYTES: i64 = 4 << 20;

type ReadJob = Box<dyn FnOnce(&Connection) + Send>;

/// Where those who want something leave it.
#[derive(Debug)]
struct WorkQueues {
    writes: Sender<Box<dyn WriteRequest>>,
    reads: Sender<ReadJob>,
}

/// All sessions' keys. Dropping it waits until what was ordered is done and the file is closed.
#[derive(Debug)]
pub(super) struct Database {
    /// `None` only while it is dropped.
    queues: Option<WorkQueues>,
    threads: Vec<JoinHandle<()>>,
}

impl Database {
    /// Opens the file, made if there is none, for its owner's eyes only.
    pub(super) fn open(file: &Path) -> anyhow::Result<Self> {
        create(file)?;
        let mut connection = connect(file, WRITER_CACHE_KIB)?;
        prepare_file(&mut connection)?;
        // A wipe may have been cut short, its rows gone and what they held still in the log.
        ensure!(writer::clear_wal(&connection), "the log beside it cannot be cleared");
        let readers: Vec<_> = (0..READER_THREADS)
            .map(|_| connect(file, READER_CACHE_KIB))
            .collect::<rusqlite::Result<_>>()?;
        let (writes, write_receiver) = channel();
        let (reads, asked) = channel();
        let asked = Arc::new(Mutex::new(asked));
        let mut threads =
            vec![start("keys-writer", move || writer::write(connection, &write_receiver))?];
        for reader in readers {
            let asked = asked.clone();
            threads.push(start("keys-reader", move || read(&reader, &asked))?);
        }
        Ok(Self { queues: Some(WorkQueues { writes, reads }), threads })
    }

    /// Reads; what was answered as written before is seen.
    pub(super) async fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let (reply, answer) = oneshot::channel();
        let read: ReadJob = Box::new(move |connection| drop(reply.send(work(connection))));
        if let Some(queues) = &self.queues {
            let _ = queues.reads.send(read); // fails as the reply does that is dropped with it
        }
        answer.await.unwrap_or_else(|_| Err(database_error("a read broke down")))
    }

    /// Writes all of it or nothing; on disk when this returns. `work` may run twice, the first time in
    /// vain, and it runs whether or not anybody goes on waiting.
    pub(super) async fn write<T: Send + 'static>(
        &self,
        work: impl Fn(&Connection) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        self.submit(work, false).await
    }

    /// Writes likewise, and what that deleted is in no file any more when this returns.
    pub(super) async fn erase(
        &self,
        work: impl Fn(&Connection) -> Result<()> + Send + 'static,
    ) -> Result<()> {
        self.submit(work, true).await
    }

    async fn submit<T: Send + 'static>(
        &self,
        work: impl Fn(&Connection) -> Result<T> + Send + 'static,
        clears_wal: bool,
    ) -> Result<T> {
        let (reply, answer) = oneshot::channel();
        let request = Box::new(WriteOperation { work, value: None, clears_wal, reply });
        if let Some(queues) = &self.queues {
            let _ = queues.writes.send(request); // fails as the reply does that is dropped with it
        }
        answer.await.unwrap_or_else(|_| Err(database_error("a write broke down")))
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        self.queues = None;
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

fn read(connection: &Connection, asked: &Mutex<Receiver<ReadJob>>) {
    loop {
        let next = asked.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(work) = next else { return };
        // Whoever asked hears of a fault by the reply that is dropped; the thread goes on.
        let _ = catch_unwind(AssertUnwindSafe(|| work(connection)));
    }
}

fn start(name: &str, work: impl FnOnce() + Send + 'static) -> std::io::Result<JoinHandle<()>> {
    std::thread::Builder::new().name(name.into()).spawn(work)
}

/// The file, before SQLite would make one that others may read; its log takes over its rights.
fn create(file: &Path) -> std::io::Result<()> {
    let mut options = fs::OpenOptions::new();
    options.create(true).truncate(false).write(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(file)?.sync_all()?;
    file.parent().map_or(Ok(()), |folder| fs::File::open(folder)?.sync_all())
}

fn connect(file: &Path, cache: i64) -> rusqlite::Result<Connection> {
    let connection = Connection::open(file)?;
    connection.pragma_update(None, "cache_size", -cache)?;
    connection.pragma_update(None, "temp_store", "MEMORY")?; // no key in a file of nobody's
    connection.set_prepared_statement_cache_capacity(32);
    Ok(connection)
}

/// Makes the file what it must be, or says why it cannot be used.
fn prepare_file(connection: &mut Connection) -> anyhow::Result<()> {
    connection.pragma_update(None, "journal_mode", "WAL")?;
    // A device that WhatsApp holds linked must not be unknown here after a power cut.
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "secure_delete", "ON")?;
    connection.pragma_update(None, "foreign_keys", "ON")?;
    connection.pragma_update(None, "journal_size_limit", MAX_WAL_BYTES)?;
    let transaction = connection.transaction()?;
    let layout: i64 = transaction.pragma_query_value(None, "user_version", |row| row.get(0))?;
    match layout {
        0 => {
            transaction.execute_batch(SCHEMA)?;
            transaction.pragma_update(None, "user_version", LAYOUT_VERSION)?;
        }
        LAYOUT_VERSION => {}
        newer => bail!(
            "its layout is number {newer} and this berth-gateway knows {LAYOUT_VERSION}: it was written by a \
             newer one, which must be used"
        ),
    }
    transaction.commit().context("cannot be written")
}
