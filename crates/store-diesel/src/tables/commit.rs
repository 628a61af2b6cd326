//! Commits one mutation with its events on either engine.

use domain::ports::{PortResult, Written};

use crate::{
    Database,
    batch::mutation::{Mutation, SessionCommit},
    database::pools::Pools,
    engine::sqlite::writer::WriterConnection,
    rows::event::EventRow,
};

impl Database {
    /// Commits a mutation and returns whether a row was changed. The commit completes even if the
    /// caller is dropped, without a task of its own.
    pub(crate) async fn commit(
        &self,
        mutation: Mutation,
        events: Vec<EventRow>,
    ) -> PortResult<bool> {
        let commit = SessionCommit { mutation, events };
        match &self.pools {
            Pools::Postgres(pool) => self.within_deadline(pool.group_commit.commit(commit)).await,
            Pools::Sqlite(pools) => {
                let work = async move |conn: &mut WriterConnection| commit.write(conn).await;
                self.within_deadline(pools.writer.write(work)).await
            }
        }
    }
}

pub(crate) fn done_or_raced(done: bool) -> Written {
    if done { Written::Done } else { Written::Raced }
}
