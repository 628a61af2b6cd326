//! The type of a row of the operation table: an operation with its permission, input and handler.

use futures_util::{FutureExt as _, TryFutureExt as _, future::BoxFuture};
use hyper::Method;

use super::{
    context::OperationContext,
    input::{InputSpec, RequestBodySpec},
    output::OperationOutput,
    requires::Requires,
};
use crate::{
    openapi::operation_doc::{OperationDoc, UNDOCUMENTED},
    response::problem::Result,
};

/// One operation of the API.
pub struct Operation {
    /// The method. GET implies HEAD; OPTIONS is answered on every path.
    pub method: Method,
    /// The path template, with `{name}` for each variable part.
    pub path: &'static str,
    /// The name in the document, in the access log and in metrics.
    pub name: &'static str,
    /// The permission that the caller needs.
    pub requires: Requires,
    /// The query parameters that the operation accepts. Other parameters are rejected, because a
    /// misspelled filter must not silently match everything. Operations that require nothing and
    /// name no parameters ignore the query.
    pub query: &'static [&'static str],
    /// The body that the operation accepts.
    pub body_spec: RequestBodySpec,
    /// Whether the operation may wait for a change of a session. Such requests hold a waiting
    /// permit instead of a work permit.
    pub waits: bool,
    /// Maximum size of the body in bytes; `None` for the limit of the listener.
    pub body_limit: Option<usize>,
    /// The effect of an `Idempotency-Key` on a POST.
    pub idempotency: IdempotencyMode,
    /// The part of the OpenAPI document that does not follow from the other fields.
    pub doc: &'static OperationDoc,
    pub(crate) handler: &'static dyn OperationHandler,
}

/// The effect of an `Idempotency-Key`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IdempotencyMode {
    /// The header is ignored: the responses are credentials, or facts of the moment.
    Ignored,
    /// The response is recorded, and a repetition gets the recorded response.
    Recorded,
    /// The use case stores the key with its change, and a repetition shows the change as it is now.
    Rendered,
}

/// Performs an operation and returns the response.
pub(crate) trait OperationHandler: Send + Sync {
    fn call(&self, context: OperationContext) -> BoxFuture<'static, Result<OperationOutput>>;
}

impl<F, R, T> OperationHandler for F
where
    F: Fn(OperationContext) -> R + Send + Sync,
    R: Future<Output = Result<T>> + Send + 'static,
    T: Into<OperationOutput> + 'static,
{
    fn call(&self, context: OperationContext) -> BoxFuture<'static, Result<OperationOutput>> {
        // An async block would hold the handler's future twice: as it is captured, and as it is awaited.
        self(context).map_ok(Into::into).boxed()
    }
}

impl Operation {
    /// Returns the part of the operation that decides how its input is read.
    pub(crate) fn input_spec(&self) -> InputSpec<'_> {
        InputSpec {
            method: &self.method,
            query: self.reads_query().then_some(self.query),
            body: self.body_spec,
            body_limit: self.body_limit,
            takes_idempotency_key: self.takes_idempotency_key(),
            is_checked_at_once: self.has_no_input(),
        }
    }

    /// Returns whether a repeated request with the same `Idempotency-Key` has no second effect.
    pub fn takes_idempotency_key(&self) -> bool {
        self.method == Method::POST
            && self.idempotency != IdempotencyMode::Ignored
            && self.requires != Requires::Nothing
    }

    /// Returns whether the query is read. Operations that require nothing ignore the query, unless they
    /// name parameters.
    fn reads_query(&self) -> bool {
        self.requires != Requires::Nothing || !self.query.is_empty()
    }

    /// Returns whether the handler reads neither query parameters nor fields of the body.
    fn has_no_input(&self) -> bool {
        let no_fields = matches!(self.body_spec, RequestBodySpec::Ignored | RequestBodySpec::Empty);
        self.query.is_empty() && no_fields
    }

    pub(super) const fn query(mut self, names: &'static [&'static str]) -> Self {
        self.query = names;
        self
    }

    pub(super) const fn waits(mut self) -> Self {
        self.waits = true;
        self
    }

    pub(super) const fn unrecorded(mut self) -> Self {
        self.idempotency = IdempotencyMode::Ignored;
        self
    }

    pub(super) const fn rendered(mut self) -> Self {
        self.idempotency = IdempotencyMode::Rendered;
        self
    }

    pub(super) const fn body_limit(mut self, bytes: usize) -> Self {
        self.body_limit = Some(bytes);
        self
    }

    pub(super) const fn documented_by(mut self, doc: &'static OperationDoc) -> Self {
        self.doc = doc;
        self
    }

    pub(super) const fn accepts(mut self, body_spec: RequestBodySpec) -> Self {
        self.body_spec = body_spec;
        self
    }
}

impl std::fmt::Debug for Operation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {} {}", self.name, self.method, self.path)
    }
}

pub(super) const fn get(
    path: &'static str,
    name: &'static str,
    requires: Requires,
    handler: &'static dyn OperationHandler,
) -> Operation {
    row(Method::GET, path, name, requires, RequestBodySpec::Ignored, handler)
}

pub(super) const fn post(
    path: &'static str,
    name: &'static str,
    requires: Requires,
    handler: &'static dyn OperationHandler,
) -> Operation {
    row(Method::POST, path, name, requires, RequestBodySpec::Empty, handler)
}

pub(super) const fn patch(
    path: &'static str,
    name: &'static str,
    requires: Requires,
    handler: &'static dyn OperationHandler,
) -> Operation {
    row(Method::PATCH, path, name, requires, RequestBodySpec::Patch, handler)
}

pub(super) const fn delete(
    path: &'static str,
    name: &'static str,
    requires: Requires,
    handler: &'static dyn OperationHandler,
) -> Operation {
    row(Method::DELETE, path, name, requires, RequestBodySpec::Ignored, handler)
}

pub(super) const fn put(
    path: &'static str,
    name: &'static str,
    requires: Requires,
    handler: &'static dyn OperationHandler,
) -> Operation {
    row(Method::PUT, path, name, requires, RequestBodySpec::Json, handler)
}

const fn row(
    method: Method,
    path: &'static str,
    name: &'static str,
    requires: Requires,
    body_spec: RequestBodySpec,
    handler: &'static dyn OperationHandler,
) -> Operation {
    Operation {
        method,
        path,
        name,
        requires,
        query: &[],
        body_spec,
        waits: false,
        body_limit: None,
        idempotency: IdempotencyMode::Recorded,
        doc: &UNDOCUMENTED,
        handler,
    }
}
