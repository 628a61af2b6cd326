//! The file: one writer thread and [`READER_THREADS`] reader threads, whatever the number of
//! sessions.

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
use metrics::{Gauge, gauge, histogram};
use rusqlite::Connection;
use tokio::sync::oneshot;

use super::{
    Result, database_error,
    writer::{self, WriteMetrics, WriteOperation, WriteRequest},
};

/// The tables of a file.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Layout {
    /// Names the threads and the metrics.
    pub(crate) name: &'static str,
    /// The number of the layout, stored in the file as `user_version`; at least 1.
    pub(crate) version: i64,
    /// Creates the tables.
    pub(crate) schema: &'static str,
}

/// Reads are short and mostly served from memory; a second reader continues while the first waits
/// for the disk.
const READER_THREADS: usize = 2;
/// Page caches in KiB, shared by all sessions.
const WRITER_CACHE_KIB: i64 = 4096;
const READER_CACHE_KIB: i64 = 2048;
/// Size in bytes to which the write-ahead log is cut after a burst.
const MAX_WAL_BYTES: i64 = 4 << 20;

type ReadJob = Box<dyn FnOnce(&Connection) + Send>;

/// The queues of the threads.
#[derive(Debug)]
struct WorkQueues {
    writes: Sender<Box<dyn WriteRequest>>,
    reads: Sender<ReadJob>,
}

/// An open file. Dropping the value waits until queued work is done and the file is closed.
#[derive(Debug)]
pub(crate) struct Database {
    /// `None` only during the drop.
    queues: Option<WorkQueues>,
    /// The number of writes without an answer.
    queued: Gauge,
    threads: Vec<JoinHandle<()>>,
}

impl Database {
    /// Opens the file, and creates it readable by its owner only if it does not exist.
    pub(crate) fn open(file: &Path, layout: Layout) -> anyhow::Result<Self> {
        create(file)?;
        let mut connection = connect(file, WRITER_CACHE_KIB)?;
        prepare_file(&mut connection, layout)?;
        // A crash may have interrupted a wipe after its commit; the removed rows are then still in
        // the log.
        ensure!(writer::clear_wal(&connection), "cannot clear the write-ahead log of the file");
        let readers: Vec<_> = (0..READER_THREADS)
            .map(|_| connect(file, READER_CACHE_KIB))
            .collect::<rusqlite::Result<_>>()?;
        let (writes, write_receiver) = channel();
        let (reads, asked) = channel();
        let asked = Arc::new(Mutex::new(asked));
        let queued = gauge!(format!("berth_{}_queue", layout.name));
        queued.set(0.0);
        let commit = histogram!(format!("berth_{}_commit_seconds", layout.name));
        let metrics = WriteMetrics { commit, queued: queued.clone() };
        let name = format!("{}-writer", layout.name);
        let write = move || writer::write(connection, &write_receiver, &metrics);
        let mut threads = vec![start(&name, write)?];
        for reader in readers {
            let asked = asked.clone();
            threads.push(start(&format!("{}-reader", layout.name), move || read(&reader, &asked))?);
        }
        Ok(Self { queues: Some(WorkQueues { writes, reads }), queued, threads })
    }

    /// Runs a read. Completed writes are visible.
    pub(crate) async fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let (reply, answer) = oneshot::channel();
        let read: ReadJob = Box::new(move |connection| drop(reply.send(work(connection))));
        if let Some(queues) = &self.queues {
            let _ = queues.reads.send(read); // if the send fails, the dropped reply reports it
        }
        answer.await.unwrap_or_else(|_| {
            Err(database_error("the read panicked or the reader thread has stopped"))
        })
    }

    /// Runs a write in a transaction, which is on disk on return. `work` may run twice, because the
    /// first transaction may be rolled back, and it runs even if the caller is dropped.
    pub(crate) async fn write<T: Send + 'static>(
        &self,
        work: impl Fn(&Connection) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        self.submit(work, false).await
    }

    /// Runs a write like [`Self::write`]. On return, no file contains the deleted data.
    pub(crate) async fn erase(
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
            self.queued.increment(1.0);
            let _ = queues.writes.send(request); // if the send fails, the dropped reply reports it
        }
        answer.await.unwrap_or_else(|_| {
            Err(database_error("the write panicked or the writer thread has stopped"))
        })
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
        // A panic drops the reply, which the caller sees as an error; the thread continues.
        let _ = catch_unwind(AssertUnwindSafe(|| work(connection)));
    }
}

fn start(name: &str, work: impl FnOnce() + Send + 'static) -> std::io::Result<JoinHandle<()>> {
    std::thread::Builder::new().name(name.into()).spawn(work)
}

/// Creates the file for its owner only, before SQLite would create it readable by others. The log
/// inherits the permissions.
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
    connection.pragma_update(None, "temp_store", "MEMORY")?; // keeps secrets out of temporary files
    connection.set_prepared_statement_cache_capacity(32);
    Ok(connection)
}

/// Configures the connection and checks or creates the layout.
fn prepare_file(connection: &mut Connection, layout: Layout) -> anyhow::Result<()> {
    connection.pragma_update(None, "journal_mode", "WAL")?;
    // A device that is linked at WhatsApp must survive a power failure here.
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "secure_delete", "ON")?;
    connection.pragma_update(None, "foreign_keys", "ON")?;
    connection.pragma_update(None, "journal_size_limit", MAX_WAL_BYTES)?;
    let transaction = connection.transaction()?;
    let Layout { version, schema, .. } = layout;
    let present: i64 = transaction.pragma_query_value(None, "user_version", |row| row.get(0))?;
    match present {
        0 => {
            transaction.execute_batch(schema)?;
            transaction.pragma_update(None, "user_version", version)?;
        }
        known if known == version => {}
        newer => bail!(
            "the file has layout {newer} and this berth-gateway knows layout {version}: a newer \
             berth-gateway wrote the file and must be used"
        ),
    }
    transaction.commit().context("the file cannot be written")
}
