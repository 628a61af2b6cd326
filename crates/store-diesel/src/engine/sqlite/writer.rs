//! Writing to an SQLite file: one thread does it, for whoever asks.
//!
//! SQLite has one writer at a time, and what a commit costs is the wait for the disk. So what is asked
//! for while the disk is waited for is written together, in one transaction, and everybody is answered
//! when that is on the disk. Each piece of work has a savepoint of its own: one that fails undoes
//! nothing of the others. Readers never wait for any of it.
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

/// A connection whose work is done where it is awaited: nothing of it is ever pending.
pub(crate) type WriterConnection = SyncConnectionWrapper<diesel::SqliteConnection, OnWriterThread>;

/// How much is written together at most. Others who have the file open get a turn in between.
const MAX_BATCH: usize = 128;

/// Where blocking work is done on a thread that is there for nothing else.
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

/// Whoever wants to write asks here. The last of these waits for the thread to end, so that the file
/// is closed then.
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
            // A panic of its own was told where it happened.
            let _ = thread.join();
        }
    }
}

/// Work, which is done on a connection or learns why it is not.
type Work = Box<dyn FnOnce(Result<&mut WriterConnection, StoreError>) -> Executed + Send>;

/// Work that was done.
struct Executed {
    /// Gives the answer, once it is known whether what it tells of is on the disk.
    answer: Box<dyn FnOnce(Result<(), StoreError>)>,
    /// Whether the transaction it was part of is as it was left.
    sound: bool,
}

struct Job {
    queued_at: Instant,
    work: Work,
}

impl Writer {
    /// The thread that writes to this file. Work that waited longer than `max_wait` is refused.
    pub(crate) fn start(file: PathBuf, max_wait: Duration) -> std::io::Result<Self> {
        let (jobs, queue) = channel();
        let writer = WriterThread { file, max_wait, conn: None };
        let thread = thread::Builder::new().name("sqlite-writer".into());
        let thread = thread.spawn(move || writer.serve(&queue))?;
        Ok(Self(Arc::new(WriterHandle { jobs: Some(jobs), thread: Some(thread) })))
    }

    /// Does this in a transaction, and answers when that is committed. What `work` awaits is done on
    /// the connection and nowhere else. An error undoes all of it.
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
                // Nobody may wait for it any more.
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

/// The thread's own.
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
            // Whom a panic leaves without an answer hears that the writer lost it, and what was done
            // is undone with the connection.
            let _ = catch_unwind(AssertUnwindSafe(|| self.write(batch)));
        }
    }

    /// Does all of these in one transaction, and answers.
    fn write(&mut self, jobs: Vec<Job>) {
        let mut conn = match self.begin() {
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
                        let why = "the transaction that this was part of was undone".into();
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
                // What there may be left of it is undone with the connection.
                Err(error) => failure = Some(Arc::new(error.into())),
            }
        }
        for answer in answers {
            answer(failure.as_ref().map_or(Ok(()), |error| Err(error.shared())));
        }
    }

    /// The connection, in a transaction that may write: one that begins by reading cannot be sure to be
    /// let write later.
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

    /// Shows how long the log beside the file is: it grows while somebody reads what is old.
    fn measure_log(&self) {
        let mut log = self.file.clone().into_os_string();
        log.push("-wal");
        if let Ok(log) = std::fs::metadata(log) {
            #[expect(clippy::cast_precision_loss, reason = "a gauge")]
            metrics::gauge!("berth_sqlite_wal_bytes").set(log.len() as f64);
        }
    }

    fn open(&self) -> ConnectionResult<WriterConnection> {
        poll_once(connect::open(
            self.file.to_string_lossy().into_owned(),
            connect::BUSY_TIMEOUT,
            connect::WRITER_PRAGMAS,
        ))
    }
}

/// Runs work whose failure undoes nothing but itself, and says whether that is so: when the disk is
/// full, SQLite may undo the whole transaction.
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

/// Does this with the connection itself.
fn on_connection(
    conn: &mut WriterConnection,
    task: impl FnOnce(&mut diesel::SqliteConnection) -> QueryResult<()> + Send + 'static,
) -> QueryResult<()> {
    poll_once(conn.spawn_blocking(task))
}

/// What this answers, which it does without waiting for anything.
#[expect(clippy::expect_used, reason = "caught where the thread writes, and its work undone")]
fn poll_once<T>(work: impl Future<Output = T>) -> T {
    work.now_or_never().expect("work on the writer's connection waits for nothing")
}

fn reject(jobs: impl IntoIterator<Item = Job>, error: &Arc<StoreError>) {
    for job in jobs {
        ((job.work)(Err(error.shared())).answer)(Ok(()));
    }
}

fn writer_ended() -> StoreError {
    StoreError::Unavailable("the writer is gone".into())
}

#[cfg(test)]
mod tests;
