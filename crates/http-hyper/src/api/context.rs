//! What a handler gets: who is asking, and what was asked, both already admitted.

use std::sync::Arc;

use bytes::Bytes;
use domain::{ApiKeys, Caller, Error, NewApiKey, Session, Sessions};
use hyper::{HeaderMap, Method, http::request::Parts};
use tokio_util::sync::CancellationToken;

use crate::{
    api::{Operation, RequestBodySpec, Requires},
    idempotency::{IdempotencyKey, IdempotentRequest, ResponseRecorder},
    listener::request_body::{JSON, MERGE_PATCH, RequestBody},
    listener::shared_permits::Permit,
    request::conditions::IfMatch,
    request::cursor::ListIdentity,
    request::fields::Fields,
    request::query::Query,
    response::problem::{Problem, Result},
    response::reply::Reply,
    routes::PathParameters,
    service::Resources,
};

/// One request, as its handler sees it.
pub(crate) struct Context {
    pub(crate) app: Arc<Resources>,
    pub(crate) headers: HeaderMap,
    caller: Option<Caller>,
    /// For handlers that cannot tell every fault by [`Self::read`].
    pub(crate) input: Input,
    path: PathParameters,
    idempotent_request: Option<Arc<IdempotentRequest>>,
    waiting: Arc<CancellationToken>,
}

/// What the caller says beyond the path.
#[derive(Debug, Default)]
pub(crate) struct Input {
    pub(crate) query: Query,
    pub(crate) body: Fields,
    if_match: IfMatch,
    /// What the caller calls this request, and the body as it was sent.
    pub(crate) idempotency_key: Option<(String, Bytes)>,
}

impl Input {
    /// Query and body of a request for this operation. What is wrong inside them is told by
    /// [`Context::read`], all at once.
    pub(crate) async fn of(
        row: &Operation,
        head: &Parts,
        payload: &mut RequestBody,
        permit: impl FnOnce() -> Result<Permit>,
    ) -> Result<Self> {
        let mut query = match row.requires {
            Requires::Nothing => Query::default(),
            _ => Query::parse(head.uri.query().unwrap_or_default(), row.query),
        };
        let if_match = match row.method {
            Method::PATCH | Method::DELETE => IfMatch::read(&head.headers).unwrap_or_else(|| {
                query.fault("If-Match", "must be * or a list of entity tags");
                IfMatch::Any
            }),
            _ => IfMatch::Any,
        };
        let name = match row.method {
            Method::POST => IdempotencyKey::read(&head.headers),
            _ => IdempotencyKey::Absent,
        };
        if name == IdempotencyKey::Malformed {
            query.fault("Idempotency-Key", "must be 1 to 255 visible ASCII characters, once");
        }
        let body = match row.body_spec {
            RequestBodySpec::Ignored => Bytes::new(),
            RequestBodySpec::Empty | RequestBodySpec::Json => {
                payload.read_text(&head.headers, &JSON, permit).await?
            }
            RequestBodySpec::Patch => {
                payload.read_text(&head.headers, &MERGE_PATCH, permit).await?
            }
        };
        let fields = Fields::parse(&body);
        let idempotency_key = match name {
            IdempotencyKey::Given(name) => Some((name, body)),
            IdempotencyKey::Absent | IdempotencyKey::Malformed => None,
        };
        let mut input = Self { query, body: fields, if_match, idempotency_key };
        if row.reads_nothing() {
            input.finish()?;
        }
        Ok(input)
    }

    /// Query and body are read to the end.
    ///
    /// # Errors
    /// 400 with everything that is wrong with them.
    pub(crate) fn finish(&mut self) -> Result<()> {
        let mut faults = std::mem::take(&mut self.query).finish();
        faults.extend(std::mem::take(&mut self.body).finish());
        if faults.is_empty() { Ok(()) } else { Err(Problem::Domain(Error::Validation(faults))) }
    }
}

impl Context {
    pub(crate) fn new(
        app: Arc<Resources>,
        head: Parts,
        caller: Option<Caller>,
        path: PathParameters,
        input: Input,
        idempotent_request: Option<Arc<IdempotentRequest>>,
        waiting: Arc<CancellationToken>,
    ) -> Self {
        Self { app, headers: head.headers, caller, input, path, idempotent_request, waiting }
    }

    /// The use cases of sessions. Where the caller named its request, a change is written with the
    /// answer that `show` makes of it.
    pub(crate) fn sessions(&self, show: fn(&Session) -> Result<Reply>) -> Sessions {
        match &self.idempotent_request {
            None => self.app.sessions.clone(),
            Some(idempotent_request) => self
                .app
                .sessions
                .recording(Arc::new(ResponseRecorder::new(idempotent_request.clone(), show))),
        }
    }

    /// The use cases of keys, in the same way.
    pub(crate) fn keys(&self, show: fn(&ApiKeys, &NewApiKey) -> Result<Reply>) -> ApiKeys {
        let Some(idempotent_request) = &self.idempotent_request else {
            return self.app.keys.clone();
        };
        let keys = self.app.keys.clone();
        let show = move |new: &NewApiKey| show(&keys, new);
        self.app.keys.recording(Arc::new(ResponseRecorder::new(idempotent_request.clone(), show)))
    }

    /// Who is asking.
    ///
    /// # Errors
    /// 401 on an endpoint that needs nothing: nobody was asked there.
    pub(crate) fn caller(&self) -> Result<&Caller> {
        self.caller.as_ref().ok_or(Problem::Domain(Error::Unauthorized))
    }

    /// The caller's list of this name, all of it.
    ///
    /// # Errors
    /// As [`Self::caller`].
    pub(crate) fn list(&self, name: &str) -> Result<ListIdentity> {
        Ok(self.app.cursor_signer.list(name, self.caller()?.organization.as_ref()))
    }

    /// A path parameter.
    pub(crate) fn path(&self, name: &str) -> &str {
        self.path.get(name)
    }

    /// Takes what is wanted out of query and body.
    ///
    /// # Errors
    /// 400 with everything that is wrong with them, also what nobody asked for.
    pub(crate) fn read<T>(&mut self, take: impl FnOnce(&mut Input) -> T) -> Result<T> {
        let taken = take(&mut self.input);
        self.input.finish()?;
        Ok(taken)
    }

    /// What the caller expects the thing to be, by `If-Match`.
    pub(crate) fn if_match(&self) -> &IfMatch {
        &self.input.if_match
    }

    /// Waits for something that may take long, but no longer than the caller does, nor beyond the
    /// service's stop. What was begun before the wait goes on.
    ///
    /// # Errors
    /// 503 when it is cut short.
    pub(crate) async fn wait<T>(&self, what: impl Future<Output = domain::Result<T>>) -> Result<T> {
        tokio::select! {
            biased;
            outcome = what => Ok(outcome?),
            () = self.waiting.cancelled() => {
                Err(Error::unavailable("the service is stopping, or nobody waits any more").into())
            }
        }
    }
}
