//! Commits one mutation with its events.

use domain::ports::{PortResult, Written};

use crate::{
    Database,
    batch::mutation::{Mutation, SessionCommit},
    database::pools::Pools,
    engine::sqlite::writer::WriterConnection,
    rows::event::EventRow,
};

impl Database {
    /// Changes a row; says whether there was one to change. No task of its own is needed: what was
    /// asked for is carried out whoever loses interest.
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
