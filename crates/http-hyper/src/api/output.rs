//! The result of an operation: a response, or a stream.

use http_listener::{Permit, ResponseBody};

use crate::response::{
    problem::{Problem, Result},
    reply::Reply,
};

/// The result of an operation.
pub(crate) enum OperationOutput {
    /// A response.
    Reply(Reply),
    /// A stream, or another protocol on the connection. Its permit takes the place of the permit of
    /// the request.
    Stream {
        /// Status and headers.
        head: Reply,
        body: ResponseBody,
        /// `None` for a protocol that ends at once.
        permit: Option<Permit>,
    },
}

impl OperationOutput {
    /// Returns the response.
    ///
    /// # Errors
    /// The output is a stream, which cannot be recorded for an `Idempotency-Key`.
    pub(super) fn into_reply(self) -> Result<Reply> {
        match self {
            Self::Reply(reply) => Ok(reply),
            Self::Stream { .. } => Err(Problem::internal("a stream cannot be recorded")),
        }
    }
}

impl From<Reply> for OperationOutput {
    fn from(reply: Reply) -> Self {
        Self::Reply(reply)
    }
}
