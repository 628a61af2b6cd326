//! The life of a request to the API, from its route to its response.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use domain::{
    Caller, Error,
    ports::{Authenticator, Refused},
};
use http_listener::{
    Handler, NoPermit, PermitHolder, Rejection, RequestContext, with_permit_if_pending,
};
use hyper::{Method, Response, header, http::request::Parts};

use super::{
    context::OperationContext, credential, input::Input, operation::Operation, requires::Requires,
    throttle::Throttle,
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
    pub(super) authenticator: Arc<dyn Authenticator>,
    pub(super) throttle: Arc<Throttle>,
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
        // 429
        if let Some(permit) = holder.map(take).transpose()? {
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
    ///
    /// # Errors
    /// 401 and 503 as [`Self::authenticate`]; 429 above the request rate; 403 without the
    /// permission.
    async fn authorize(
        &self,
        row: &Operation,
        request: &RequestContext<RequestLog>,
    ) -> Result<(Option<Caller>, Option<PermitHolder>)> {
        if row.requires == Requires::Nothing {
            return Ok((None, None));
        }
        let caller = self.authenticate(request).await?;
        request.log.set_caller(&caller);
        let holder = self.throttle.count(&caller)?;
        row.requires.authorize(&caller)?;
        request.connection.mark_authenticated();
        Ok((Some(caller), Some(holder)))
    }

    /// Returns the caller of a request. A permit is held while the credential is looked up.
    ///
    /// # Errors
    /// 401, the same for every cause; 503 when the credential cannot be checked now, or without a
    /// permit.
    async fn authenticate(&self, request: &RequestContext<RequestLog>) -> Result<Caller> {
        let refuse = |cause| {
            request.log.set_refused(cause);
            Error::Unauthorized
        };
        let credential = credential::read(&request.head.headers).map_err(refuse)?;
        let permit = || request.permits.authentication(request.connection.permit_holder());
        let authentication = self.authenticator.authenticate(&credential);
        match with_permit_if_pending(authentication, permit).await? {
            Ok(caller) => Ok(caller),
            Err(Refused::Denied(cause)) => Err(refuse(cause).into()),
            Err(Refused::Unavailable(source)) => Err(Error::unavailable(source).into()),
        }
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
