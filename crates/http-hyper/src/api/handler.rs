//! The life of a request to the API, from its route to its response.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use domain::Caller;
use http_listener::{Handler, NoPermit, PermitHolder, Rejection, RequestContext};
use hyper::{Method, Response, header, http::request::Parts};

use super::{
    authorize::Authorizer, context::OperationContext, input::Input, operation::Operation,
    requires::Requires,
};
use crate::{
    idempotency::{IdempotencyLayer, IdempotentRequest, RequestIdentity},
    request::conditions::IfNoneMatch,
    request_log::{RequestLog, RouteLabels},
    request_metrics::RequestMetrics,
    resources::Resources,
    response::{
        problem::{Problem, Result},
        reply::Reply,
    },
    routes::{RouteMatch, Routes},
};

/// Answers the operations of one listener.
pub(super) struct ApiHandler {
    pub(super) routes: Routes<&'static Operation>,
    pub(super) authorizer: Arc<Authorizer>,
    pub(super) idempotency: Arc<IdempotencyLayer>,
    pub(super) resources: Arc<Resources>,
    pub(super) metrics: Arc<RequestMetrics>,
}

#[async_trait]
impl Handler for ApiHandler {
    type Log = RequestLog;

    fn start_log(&self) -> RequestLog {
        RequestLog::new(self.metrics.clone())
    }

    async fn handle(&self, request: &mut RequestContext<RequestLog>) -> Response<Bytes> {
        let reply = self.respond(request).await.unwrap_or_else(|problem| {
            request.log.set_problem(&problem);
            problem.reply()
        });
        reply.into_response()
    }

    fn reject(&self, rejection: &Rejection) -> Response<Bytes> {
        Problem::from(rejection).reply().into_response()
    }
}

impl ApiHandler {
    async fn respond(&self, request: &mut RequestContext<RequestLog>) -> Result<Reply> {
        let matched = self.routes.find(&request.head.method, request.head.uri.path())?; // 404, 405
        let (row, path) = match matched {
            RouteMatch::Row(row, path) => (row, path),
            RouteMatch::Options(allow) => return Ok(Reply::no_content().with(header::ALLOW, allow)),
        };
        let routine = row.requires == Requires::Nothing;
        request.log.set_route(RouteLabels { template: row.path, operation: row.name, routine });
        let (caller, holder) = self.authorize(row, request).await?; // 401, 403, 429
        let (head, permits) = (request.take_head(), request.permits.clone());
        let permit = || holder.map_or(Err(NoPermit::AllTaken), |holder| permits.waiting(holder));
        // 400, 408, 413, 415, 429
        let mut input = Input::read(&row.input_spec(), &head, &mut request.body, permit).await?;
        let take = |holder| if row.waits { permits.waiting(holder) } else { permits.work(holder) };
        if let Some(permit) = holder.map(take).transpose()? {
            // 429
            request.hold(permit);
        }
        let idempotent = self.idempotent_request(row, &head, caller.as_ref(), &mut input)?;
        let if_none_match = IfNoneMatch::read(&head.headers);
        let work = row.handler.call(OperationContext {
            resources: self.resources.clone(),
            headers: head.headers,
            input,
            caller,
            path,
            idempotent_request: idempotent.clone(),
            cancelled: request.cancelled.clone(),
        });
        let reply = match idempotent {
            Some(idempotent) => self.idempotency.respond(&idempotent, work).await?, // 409
            None => work.await?,
        };
        Ok(if row.method == Method::GET { if_none_match.apply(reply) } else { reply })
    }

    /// Returns the caller and the holder of its permits; `None` for an operation that requires
    /// nothing.
    async fn authorize(
        &self,
        row: &Operation,
        request: &RequestContext<RequestLog>,
    ) -> Result<(Option<Caller>, Option<PermitHolder>)> {
        let permit = || request.permits.authentication(request.connection.permit_holder());
        let (headers, log) = (&request.head.headers, &request.log);
        let admitted = self.authorizer.authorize(row.requires, headers, log, permit).await?;
        if admitted.is_some() {
            request.connection.mark_authenticated();
        }
        Ok(admitted.unzip())
    }

    /// Returns the identity of a request with an `Idempotency-Key`; `None` without a key, and for
    /// operations without an organization.
    fn idempotent_request(
        &self,
        row: &Operation,
        head: &Parts,
        caller: Option<&Caller>,
        input: &mut Input,
    ) -> Result<Option<Arc<IdempotentRequest>>> {
        let (Some((key, body)), Some(caller)) = (input.idempotency_key.take(), caller) else {
            return Ok(None);
        };
        let Some(scope) = row.requires.authorize(caller)? else { return Ok(None) };
        let target = head.uri.path_and_query().map_or("", |target| target.as_str());
        let identity = RequestIdentity { route: row.name, target, body: &body };
        let now = self.resources.environment.now();
        Ok(Some(Arc::new(IdempotentRequest::new(scope, &key, &identity, now)?)))
    }
}
