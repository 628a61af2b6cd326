//! Records the response of a request in the transaction of the change.

use domain::{IdempotencyRecord, RecordResponse};

use super::idempotent_request::IdempotentRequest;
use crate::response::{
    problem::{Problem, Result},
    reply::Reply,
};

/// Renders the response of a changed object by `S`, and makes its idempotency record.
pub(crate) struct ResponseRecorder<'a, S> {
    request: &'a IdempotentRequest,
    show: S,
}

impl<'a, S> ResponseRecorder<'a, S> {
    pub(crate) fn new(request: &'a IdempotentRequest, show: S) -> Self {
        Self { request, show }
    }
}

impl<T, S: Fn(&T) -> Result<Reply> + Send + Sync> RecordResponse<T> for ResponseRecorder<'_, S> {
    fn record(&self, thing: &T) -> domain::Result<IdempotencyRecord> {
        let reply = (self.show)(thing).map_err(|problem| match problem {
            Problem::Domain(error) => error,
            other => domain::Error::Internal(other.into()),
        })?;
        self.request.record(&reply)
    }

    fn committed(&self) {
        self.request.written();
    }
}
