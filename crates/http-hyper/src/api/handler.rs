//! The life of a request to the API, from its route to its response.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use domain::{
    BrowserSession, BrowserSessionDigest, Caller, Error,
    ports::{Authenticator, Refused},
};
use http_listener::{
    Handler, NoPermit, PermitHolder, Rejection, RequestContext, ResponseBody,
    with_permit_if_pending,
};
use hyper::{Method, Response, header, http::request::Parts};

use super::{
    context::{AuthorizedCaller, OperationContext},
    credential::{self, RequestCredential},
    input::Input,
    link_holder,
    operation::{IdempotencyMode, Operation},
    output::OperationOutput,
    requires::Requires,
    throttle::Throttle,
};
use crate::{
    browser::same_origin,
    idempotency::{IdempotencyLayer, IdempotentRequest, RequestIdentity},
    request::conditions::IfNoneMatch,
    request_log::{RequestLog, RouteLabels},
    resources::Resources,
    response::{
        problem::{Problem, Result},
        reply::Reply,
    },
    routes::{RouteMatch, Routes},
    streams::ticket::Ticket,
    trace::{trace_of, within_trace},
};

/// Answers the operations of one listener.
pub(super) struct ApiHandler {
    pub(super) routes: Routes<&'static Operation>,
    pub(super) authenticator: Arc<dyn Authenticator>,
    pub(super) throttle: Arc<Throttle>,
    pub(super) idempotency: Arc<IdempotencyLayer>,
    pub(super) resources: Arc<Resources>,
}

#[async_trait]
impl Handler for ApiHandler {
    type Log = RequestLog;

    fn start_log(&self) -> RequestLog {
        RequestLog::default()
    }

    async fn handle(&self, request: &mut RequestContext<RequestLog>) -> Response<ResponseBody> {
        let trace = trace_of(&request.head.headers);
        if let Some(trace) = &trace {
            request.log.set_trace(trace);
        }
        let work = within_trace(trace, self.respond(request)).await;
        let output = work.unwrap_or_else(|problem| {
            request.log.set_problem(&problem);
            problem.reply().into()
        });
        match output {
            OperationOutput::Reply(reply) => reply.into_response().map(ResponseBody::Whole),
            OperationOutput::Stream { head, body, permit } => {
                match permit {
                    Some(permit) => request.hold(permit),
                    None => request.release(),
                }
                head.into_response().map(|_| body)
            }
        }
    }

    fn reject(&self, rejection: &Rejection) -> Response<Bytes> {
        Problem::from(rejection).reply().into_response()
    }
}

impl ApiHandler {
    async fn respond(&self, request: &mut RequestContext<RequestLog>) -> Result<OperationOutput> {
        let matched = self.routes.find(&request.head.method, request.head.uri.path())?; // 404, 405
        let (row, path) = match matched {
            RouteMatch::Row(row, path) => (row, path),
            RouteMatch::Options(allow) => {
                return Ok(Reply::no_content().with(header::ALLOW, allow).into());
            }
        };
        let routine = row.requires == Requires::Nothing && !row.waits;
        request.log.set_route(RouteLabels { template: row.path, operation: row.name, routine });
        let authorized = self.authorize(row, request).await?; // 401, 403, 429
        let (head, mut input) = read_input(row, request, authorized.holder).await?;
        let caller = authorized.caller.as_ref();
        let idempotent = self.idempotent_request(row, &head, caller, &mut input)?;
        let if_none_match = IfNoneMatch::read(&head.headers);
        let work = row.handler.call(OperationContext {
            resources: self.resources.clone(),
            headers: head.headers,
            input,
            authorized,
            path,
            idempotent_request: idempotent.clone(),
            cancelled: request.cancelled.clone(),
            connection: request.connection.clone(),
            can_upgrade: request.can_upgrade(),
            permits: request.permits.clone(),
        });
        if let Some(idempotent) =
            idempotent.filter(|_| row.idempotency == IdempotencyMode::Recorded)
        {
            let work = async { work.await?.into_reply() };
            return Ok(self.idempotency.respond(&idempotent, work).await?.into()); // 409
        }
        Ok(match work.await? {
            OperationOutput::Reply(it) if row.method == Method::GET => {
                if_none_match.apply(it).into()
            }
            output => output,
        })
    }

    /// Returns the caller of an operation.
    ///
    /// # Errors
    /// 401, 404 and 503 as [`Self::authenticate`] and [`Self::authenticate_holder`]; 429 above the request rate; 403 without the
    /// permission.
    async fn authorize(
        &self,
        row: &Operation,
        request: &RequestContext<RequestLog>,
    ) -> Result<AuthorizedCaller> {
        let (mut ticket, mut browser_session) = (None, None);
        let caller = match row.requires {
            Requires::Nothing
            | Requires::SameOrigin
            | Requires::HandoverOrigin
            | Requires::LinkSecret => {
                return self.admit_without_caller(row, request);
            }
            Requires::Link => self.authenticate_holder(request).await?,
            Requires::Ticket => {
                let (caller, found) = self.authenticate_ticket(request).await?;
                ticket = Some(found);
                caller
            }
            Requires::BrowserSession => {
                let (caller, session) = self.authenticate_browser(request).await?;
                browser_session = Some(session);
                caller
            }
            _ => self.authenticate(request).await?,
        };
        request.log.set_caller(&caller);
        let holder = self.throttle.count(&caller)?;
        row.requires.authorize(&caller)?;
        request.connection.mark_authenticated();
        Ok(AuthorizedCaller { caller: Some(caller), holder: Some(holder), ticket, browser_session })
    }

    /// Returns the caller of a request. A permit is held while the credential is looked up.
    ///
    /// # Errors
    /// 401, the same for every cause; 503 when the credential cannot be checked now, or without a
    /// permit.
    async fn authenticate(&self, request: &RequestContext<RequestLog>) -> Result<Caller> {
        let credential = credential::read(&request.head.headers, &self.resources.browser);
        match credential.map_err(|cause| refuse(request, cause))? {
            RequestCredential::Header(credential) => {
                admit(request, self.authenticator.authenticate(&credential)).await
            }
            RequestCredential::Cookie(digest) => {
                self.find_browser_session(request, digest).await.map(|(caller, _)| caller)
            }
        }
    }

    /// Returns the caller of a browser session, and the session.
    ///
    /// # Errors
    /// As [`Self::authenticate`].
    async fn authenticate_browser(
        &self,
        request: &RequestContext<RequestLog>,
    ) -> Result<(Caller, BrowserSession)> {
        let digest = credential::read_cookie(&request.head.headers, &self.resources.browser);
        let digest = digest.map_err(|cause| refuse(request, cause))?;
        self.find_browser_session(request, digest).await
    }

    async fn find_browser_session(
        &self,
        request: &RequestContext<RequestLog>,
        digest: BrowserSessionDigest,
    ) -> Result<(Caller, BrowserSession)> {
        admit(request, self.resources.browser.sessions.authenticate(digest)).await
    }

    /// Admits a request of an operation without a caller. A request that reads a body or waits holds a
    /// permit of its connection.
    ///
    /// # Errors
    /// 401 for a request of a page of another origin, if the operation requires a certain one.
    fn admit_without_caller(
        &self,
        row: &Operation,
        request: &RequestContext<RequestLog>,
    ) -> Result<AuthorizedCaller> {
        let (browser, headers) = (&self.resources.browser, &request.head.headers);
        let checked = match row.requires {
            Requires::LinkSecret => {
                link_holder::check_origin(request, &self.resources)?;
                Ok(())
            }
            Requires::SameOrigin => same_origin::check(headers, &browser.public_url),
            Requires::HandoverOrigin => {
                same_origin::check_listed(headers, &browser.handover_origins)
            }
            _ => Ok(()),
        };
        checked.map_err(|cause| refuse(request, cause))?;
        let holds_permit = row.requires != Requires::Nothing || row.waits;
        let holder = holds_permit.then(|| request.connection.permit_holder());
        Ok(AuthorizedCaller { holder, ..AuthorizedCaller::default() })
    }

    /// Returns the holder of the share link that the browser of a request opened.
    ///
    /// # Errors
    /// 404, the same for every cause; 503 when the link cannot be looked up now, or without a permit.
    async fn authenticate_holder(&self, request: &RequestContext<RequestLog>) -> Result<Caller> {
        link_holder::check_origin(request, &self.resources)?;
        let browser = link_holder::read_cookie(request, &self.resources)?;
        let permit = || request.permits.authentication(request.connection.permit_holder());
        let found = link_holder::find(&self.resources, browser);
        Ok(with_permit_if_pending(found, permit).await??)
    }

    /// Returns the caller that made the ticket of a request, and the ticket.
    ///
    /// # Errors
    /// As [`Self::authenticate`].
    async fn authenticate_ticket(
        &self,
        request: &RequestContext<RequestLog>,
    ) -> Result<(Caller, Ticket)> {
        let ticket = credential::read_ticket(request.head.uri.query().unwrap_or_default());
        admit(request, self.resources.streams.tickets.authenticate(&ticket)).await
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
        let identity = RequestIdentity {
            route: row.name,
            target,
            body: &body,
            browser_session: caller.browser_session,
        };
        let now = self.resources.environment.now();
        Ok(Some(Arc::new(IdempotentRequest::new(scope, &key, &identity, now)?)))
    }
}

/// Returns the response of a request without an accepted credential, whose cause the log states.
fn refuse(request: &RequestContext<RequestLog>, cause: &'static str) -> Error {
    request.log.set_refused(cause);
    Error::Unauthorized
}

/// Reads the input of a request, and takes the permit that the request holds.
///
/// # Errors
/// 400, 408, 413 and 415 for the body; 429 and 503 without a permit.
async fn read_input(
    row: &Operation,
    request: &mut RequestContext<RequestLog>,
    holder: Option<PermitHolder>,
) -> Result<(Parts, Input)> {
    let (head, permits) = (request.take_head(), request.permits.clone());
    let permit = || holder.map_or(Err(NoPermit::AllTaken), |holder| permits.waiting(holder));
    let input = Input::read(&row.input_spec(), &head, &mut request.body, permit).await?;
    let take = |holder| if row.waits { permits.waiting(holder) } else { permits.work(holder) };
    if let Some(permit) = holder.map(take).transpose()? {
        request.hold(permit);
    }
    Ok((head, input))
}

/// Waits for an authentication. A permit is held while the credential is looked up.
async fn admit<T>(
    request: &RequestContext<RequestLog>,
    authentication: impl Future<Output = Result<T, Refused>>,
) -> Result<T> {
    let permit = || request.permits.authentication(request.connection.permit_holder());
    match with_permit_if_pending(authentication, permit).await? {
        Ok(admitted) => Ok(admitted),
        Err(Refused::Denied(cause)) => Err(refuse(request, cause).into()),
        Err(Refused::Unavailable(source)) => Err(Error::unavailable(source).into()),
    }
}
