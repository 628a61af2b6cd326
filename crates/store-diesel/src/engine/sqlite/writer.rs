//! Writes to an SQLite file on one thread that serves all callers.
//!
//! SQLite has one writer at a time, and a commit costs the wait for the disk. Jobs that arrive
//! during that wait share the next transaction and are answered after its commit. Each job has its
//! own savepoint, so a failed job undoes no other job. Readers never wait for the writer.
//!
//! Decision: ADR 0021.

use std::{
    error::Error,
    panic::{AssertUnwindSafe, catch_unwind},
    path::PathBuf,
    sync::{
        Arc,
        mpsc::{Receiver, Sender, channel},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use diesel::{
    ConnectionResult, QueryResult,
    connection::{AnsiTransactionManager, TransactionManager},
};
use diesel_async::sync_connection_wrapper::{SpawnBlocking, SyncConnectionWrapper};
use futures_util::{
    FutureExt,
    future::{BoxFuture, ready},
};
use tokio::sync::oneshot;

use crate::{StoreError, engine::sqlite::connect};

/// A connection whose futures complete at the first poll.
pub(crate) type WriterConnection = SyncConnectionWrapper<diesel::SqliteConnection, OnWriterThread>;

/// Maximum number of jobs in one transaction, so that other processes get the write lock in
/// between.
const MAX_BATCH: usize = 128;

/// Runs blocking work on the calling thread, which is the writer thread.
pub(crate) struct OnWriterThread;

impl SpawnBlocking for OnWriterThread {
    fn spawn_blocking<'a, R: Send + 'static>(
        &mut self,
        task: impl FnOnce() -> R + Send + 'static,
    ) -> BoxFuture<'a, Result<R, Box<dyn Error + Send + Sync>>> {
        Box::pin(ready(Ok(task())))
    }

    fn get_runtime() -> Self {
        Self
    }
}

/// Sends jobs to the writer thread. Dropping the last clone waits for the thread to end, so that
/// the file is closed.
#[derive(Clone)]
pub(crate) struct Writer(Arc<WriterHandle>);

struct WriterHandle {
    jobs: Option<Sender<Job>>,
    thread: Option<JoinHandle<()>>,
}

impl Drop for WriterHandle {
    fn drop(&mut self) {
        drop(self.jobs.take());
        if let Some(thread) = self.thread.take() {
            // The panic was already reported on the thread.
            let _ = thread.join();
        }
    }
}

/// A job's work: gets the connection, or the error that prevents the work.
type Work = Box<dyn FnOnce(Result<&mut WriterConnection, StoreError>) -> Executed + Send>;

/// The outcome of a job's work before the commit.
struct Executed {
    /// Answers the caller with the result of the commit.
    answer: Box<dyn FnOnce(Result<(), StoreError>)>,
    /// Whether the surrounding transaction is still intact.
    sound: bool,
}

struct Job {
    queued_at: Instant,
    work: Work,
}

impl Writer {
    /// Starts the thread that writes to the file. The thread rejects jobs that waited longer than
    /// `max_wait`.
    pub(crate) fn start(file: PathBuf, max_wait: Duration) -> std::io::Result<Self> {
        let (jobs, queue) = channel();
        let writer = WriterThread { file, max_wait, conn: None };
        let thread = thread::Builder::new().name("sqlite-writer".into());
        let thread = thread.spawn(move || writer.serve(&queue))?;
        Ok(Self(Arc::new(WriterHandle { jobs: Some(jobs), thread: Some(thread) })))
    }

    /// Runs `work` in a transaction, and returns after the commit. `work` may await only operations
    /// of the connection. An error rolls back all of the work.
    pub(crate) async fn write<T, W>(&self, work: W) -> Result<T, StoreError>
    where
        T: Send + 'static,
        W: AsyncFnOnce(&mut WriterConnection) -> Result<T, StoreError> + Send + 'static,
    {
        let (answer, answered) = oneshot::channel();
        let work = move |conn: Result<&mut WriterConnection, StoreError>| {
            let (result, sound) = match conn {
                Ok(conn) => in_savepoint(conn, work),
                Err(error) => (Err(error), true),
            };
            let answer = move |committed: Result<(), StoreError>| {
                // The caller may have stopped waiting.
                let _ = answer.send(committed.and(result));
            };
            Executed { answer: Box::new(answer), sound }
        };
        let job = Job { queued_at: Instant::now(), work: Box::new(work) };
        let jobs = self.0.jobs.as_ref().ok_or_else(writer_ended)?;
        jobs.send(job).map_err(|_| writer_ended())?;
        answered.await.map_err(|_| writer_ended())?
    }
}

/// The state of the writer thread.
struct WriterThread {
    file: PathBuf,
    max_wait: Duration,
    conn: Option<WriterConnection>,
}

impl WriterThread {
    fn serve(mut self, jobs: &Receiver<Job>) {
        while let Ok(first) = jobs.recv() {
            let mut batch = Vec::new();
            for job in std::iter::once(first).chain(jobs.try_iter()) {
                if job.queued_at.elapsed() > self.max_wait {
                    reject(
                        [job],
                        &StoreError::Unavailable("the writer was not free in time".into()).into(),
                    );
                    continue;
                }
                batch.push(job);
                if batch.len() == MAX_BATCH {
                    break;
                }
            }
            // After a panic, callers without an answer get "the writer ended", and the work is
            // undone with the connection.
            let _ = catch_unwind(AssertUnwindSafe(|| self.write(batch)));
        }
    }

    /// Runs the jobs in one transaction, and answers the callers.
    fn write(&mut self, jobs: Vec<Job>) {
        let begun = self.begin();
        let wait = metrics::histogram!("berth_store_wait_seconds", "resource" => "writer");
        for job in &jobs {
            wait.record(job.queued_at.elapsed());
        }
        let mut conn = match begun {
            Ok(conn) => conn,
            Err(error) => return reject(jobs, &Arc::new(error)),
        };
        let (mut answers, mut failure) = (Vec::new(), None);
        for job in jobs {
            match &failure {
                None => {
                    let done = (job.work)(Ok(&mut conn));
                    answers.push(done.answer);
                    if !done.sound {
                        let why = "the surrounding transaction was rolled back".into();
                        failure = Some(Arc::new(StoreError::Unavailable(why)));
                    }
                }
                Some(failure) => reject([job], failure),
            }
        }
        if failure.is_none() {
            match on_connection(&mut conn, AnsiTransactionManager::commit_transaction) {
                Ok(()) => {
                    self.conn = Some(conn);
                    self.measure_log();
                }
                // Dropping the connection rolls back the transaction.
                Err(error) => failure = Some(Arc::new(error.into())),
            }
        }
        for answer in answers {
            answer(failure.as_ref().map_or(Ok(()), |error| Err(error.shared())));
        }
    }

    /// Returns the connection in a write transaction: a transaction that starts with a read may
    /// fail to become a writer.
    fn begin(&mut self) -> Result<WriterConnection, StoreError> {
        let mut conn = match self.conn.take() {
            Some(conn) => conn,
            None => self.open().map_err(|error| StoreError::Unavailable(error.into()))?,
        };
        on_connection(&mut conn, |conn| {
            AnsiTransactionManager::begin_transaction_sql(conn, "BEGIN IMMEDIATE")
        })?;
        Ok(conn)
    }

    /// Reports the size of the write-ahead log, which grows while another process reads an old
    /// snapshot.
    fn measure_log(&self) {
        let mut log = self.file.clone().into_os_string();
        log.push("-wal");
        if let Ok(log) = std::fs::metadata(log) {
            #[expect(clippy::cast_precision_loss, reason = "a gauge")]
            metrics::gauge!("berth_sqlite_wal_bytes").set(log.len() as f64);
        }
    }

    fn open(&self) -> ConnectionResult<WriterConnection> {
        let pragmas = format!("{} {}", connect::WRITER_PRAGMAS, connect::SAVEPOINTS_IN_MEMORY);
        let file = self.file.to_string_lossy().into_owned();
        poll_once(connect::open(file, connect::BUSY_TIMEOUT, &pragmas))
    }
}

/// Runs the work in a savepoint, and returns whether the transaction is still intact: SQLite may
/// roll back the whole transaction when the disk is full.
fn in_savepoint<T, W>(conn: &mut WriterConnection, work: W) -> (Result<T, StoreError>, bool)
where
    W: AsyncFnOnce(&mut WriterConnection) -> Result<T, StoreError>,
{
    if let Err(error) = on_connection(conn, AnsiTransactionManager::begin_transaction) {
        return (Err(error.into()), false);
    }
    let result = poll_once(work(conn));
    let end = match result {
        Ok(_) => AnsiTransactionManager::commit_transaction,
        Err(_) => AnsiTransactionManager::rollback_transaction,
    };
    let ended = on_connection(conn, end);
    let sound = ended.is_ok();
    (result.and_then(|value| Ok(ended.map(|()| value)?)), sound)
}

/// Runs a task on the connection itself.
fn on_connection(
    conn: &mut WriterConnection,
    task: impl FnOnce(&mut diesel::SqliteConnection) -> QueryResult<()> + Send + 'static,
) -> QueryResult<()> {
    poll_once(conn.spawn_blocking(task))
}

/// Polls a future that completes at once.
#[expect(clippy::expect_used, reason = "the thread catches the panic and rolls back")]
fn poll_once<T>(work: impl Future<Output = T>) -> T {
    work.now_or_never().expect("work on the writer's connection is never pending")
}

fn reject(jobs: impl IntoIterator<Item = Job>, error: &Arc<StoreError>) {
    for job in jobs {
        ((job.work)(Err(error.shared())).answer)(Ok(()));
    }
}

fn writer_ended() -> StoreError {
    StoreError::Unavailable("the writer ended".into())
}

#[cfg(test)]
mod tests;
