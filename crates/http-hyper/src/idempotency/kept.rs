//! The clerk of one request: shows what is about to be written as the answer that will tell of it.

use std::sync::Arc;

use domain::{IdempotencyRecord, RecordResponse};

use super::Once;
use crate::{
    problem::{Problem, Result},
    reply::Reply,
};

/// Keeps a change to a `T`, shown by `S`.
pub(crate) struct Kept<S> {
    once: Arc<Once>,
    show: S,
}

impl<S> Kept<S> {
    pub(crate) fn new(once: Arc<Once>, show: S) -> Self {
        Self { once, show }
    }
}

impl<T, S: Fn(&T) -> Result<Reply> + Send + Sync> RecordResponse<T> for Kept<S> {
    fn record(&self, thing: &T) -> domain::Result<IdempotencyRecord> {
        let reply = (self.show)(thing).map_err(|problem| match problem {
            Problem::Domain(error) => error,
            other => domain::Error::Internal(other.into()),
        })?;
        self.once.record(&reply)
    }

    fn committed(&self) {
        self.once.written();
    }
}
