//! The API put together: which listener answers what, and the life of a request in between.
//!
//! Decision: ADR 0009.

use std::sync::Arc;

use async_trait::async_trait;
use domain::{
    ApiKeys, Audit, Caller, Operators, Sessions,
    ports::{Authenticator, Environment, IdempotencyStore},
};
use hyper::{Method, header, http::request::Parts};

use crate::{
    api::authorize::Authorizer,
    api::context::{Context, Input},
    api::throttle::Rates,
    api::{HEALTH, OPERATIONS, Operation, Requires, operations},
    idempotency::{IdempotencyLayer, IdempotentRequest, RequestIdentity},
    listener::limits::Limits,
    listener::service::{Handler, HttpService, RequestContext},
    listener::shared_permits::PermitHolder,
    readiness::{Exposition, Readiness},
    request::conditions::IfNoneMatch,
    request::cursor::CursorSigner,
    request_log::RouteLabels,
    response::problem::{Problem, Result},
    response::reply::Reply,
    routes::{RouteMatch, Routes},
};

/// What the API stands on.
pub struct ApiDependencies {
    /// The use cases of sessions.
    pub sessions: Sessions,
    /// The use cases of keys.
    pub keys: ApiKeys,
    /// The use cases of the audit trail.
    pub audit: Audit,
    /// The use cases of operators.
    pub operators: Operators,
    /// Says who is asking.
    pub authenticator: Arc<dyn Authenticator>,
    /// Where answers are kept.
    pub idempotency_records: Arc<dyn IdempotencyStore>,
    /// The clock, and new names.
    pub environment: Arc<dyn Environment>,
    /// Says what can be relied on.
    pub readiness: Arc<dyn Readiness>,
    /// Shows what is counted.
    pub metrics: Arc<dyn Exposition>,
    /// What cursors are sealed with; the same at all routers that answer for one another.
    pub cursor_secret: [u8; 32],
    /// How much is let through.
    pub rates: Rates,
}

/// What handlers reach.
pub(crate) struct Resources {
    pub(crate) sessions: Sessions,
    pub(crate) keys: ApiKeys,
    pub(crate) audit: Audit,
    pub(crate) operators: Operators,
    pub(crate) environment: Arc<dyn Environment>,
    pub(crate) readiness: Arc<dyn Readiness>,
    pub(crate) metrics: Arc<dyn Exposition>,
    pub(crate) cursor_signer: CursorSigner,
}

/// The API over the domain's use cases.
#[derive(Clone)]
pub struct Api {
    resources: Arc<Resources>,
    authorizer: Arc<Authorizer>,
    idempotency: Arc<IdempotencyLayer>,
}

impl Api {
    /// The API over these.
    pub fn new(dependencies: ApiDependencies) -> Self {
        let environment = dependencies.environment;
        Self {
            authorizer: Arc::new(Authorizer::new(dependencies.authenticator, dependencies.rates)),
            idempotency: Arc::new(IdempotencyLayer::new(
                dependencies.idempotency_records,
                environment.clone(),
            )),
            resources: Arc::new(Resources {
                sessions: dependencies.sessions,
                keys: dependencies.keys,
                audit: dependencies.audit,
                operators: dependencies.operators,
                environment,
                readiness: dependencies.readiness,
                metrics: dependencies.metrics,
                cursor_signer: CursorSigner::new(&dependencies.cursor_secret),
            }),
        }
    }

    /// The public listener: callers' endpoints, what probes ask, and the API's document.
    pub fn public(&self, limits: Limits) -> HttpService {
        self.service(operations(), limits)
    }

    /// The operator's listener: what probes ask and what is counted, and nothing of any caller.
    pub fn operators(&self, limits: Limits) -> HttpService {
        self.service(HEALTH.iter().chain(OPERATIONS), limits)
    }

    fn service(
        &self,
        rows: impl Iterator<Item = &'static Operation>,
        limits: Limits,
    ) -> HttpService {
        let rows = rows.map(|row| (row.method.clone(), row.path, row));
        let routes = Routes::of(rows);
        let (authorizer, idempotency) = (self.authorizer.clone(), self.idempotency.clone());
        let handler =
            ApiHandler { routes, authorizer, idempotency, resources: self.resources.clone() };
        HttpService::new(Arc::new(handler), self.resources.environment.clone(), limits)
    }
}

/// The part of the table that one listener answers.
struct ApiHandler {
    routes: Routes<&'static Operation>,
    authorizer: Arc<Authorizer>,
    idempotency: Arc<IdempotencyLayer>,
    resources: Arc<Resources>,
}

#[async_trait]
impl Handler for ApiHandler {
    async fn handle(&self, request: &mut RequestContext) -> Result<Reply> {
        let matched = self.routes.find(&request.head.method, request.head.uri.path())?; // 404, 405
        let (row, path) = match matched {
            RouteMatch::Row(row, path) => (row, path),
            RouteMatch::Options(allow) => return Ok(Reply::no_content().with(header::ALLOW, allow)),
        };
        let routine = row.requires == Requires::Nothing;
        request.log.set_route(RouteLabels { template: row.path, operation: row.name, routine });
        let (caller, holder) = self.authorize(row, request).await?; // 401, 403, 429
        let (head, permits) = (request.take_head(), request.permits.clone());
        let permit = || holder.map_or(Err(Problem::Overloaded), |holder| permits.waiting(holder));
        let mut input = Input::of(row, &head, &mut request.body, permit).await?; // 400, 408, 413, 415, 429
        let take = |holder| if row.waits { permits.waiting(holder) } else { permits.work(holder) };
        let _permit = holder.map(take).transpose()?; // 429
        let idempotent_request =
            self.idempotent_request(row, &head, caller.as_ref(), &mut input)?;
        let (cancelled, known) = (request.cancelled.clone(), IfNoneMatch::read(&head.headers));
        let resources = self.resources.clone();
        let context = Context::new(
            resources,
            head,
            caller,
            path,
            input,
            idempotent_request.clone(),
            cancelled,
        );
        let work = row.handler.call(context);
        let reply = match idempotent_request {
            Some(idempotent_request) => self.idempotency.respond(&idempotent_request, work).await?, // 409
            None => work.await?,
        };
        Ok(if row.method == Method::GET { known.apply(reply) } else { reply })
    }
}

impl ApiHandler {
    /// The caller, if the operation asks for one, and whom the request is counted for.
    async fn authorize(
        &self,
        row: &Operation,
        request: &RequestContext,
    ) -> Result<(Option<Caller>, Option<PermitHolder>)> {
        let permit = || request.permits.authentication(request.activity.permit_holder());
        let (headers, log) = (&request.head.headers, &request.log);
        let admitted = self.authorizer.authorize(row.requires, headers, log, permit).await?;
        if admitted.is_some() {
            request.activity.mark_authenticated();
        }
        Ok(admitted.unzip())
    }

    /// The request as one that is carried out once, if its caller named it.
    fn idempotent_request(
        &self,
        row: &Operation,
        head: &Parts,
        caller: Option<&Caller>,
        input: &mut Input,
    ) -> Result<Option<Arc<IdempotentRequest>>> {
        let (Some((name, body)), Some(caller)) = (input.idempotency_key.take(), caller) else {
            return Ok(None);
        };
        let Some(scope) = row.requires.authorize(caller)? else { return Ok(None) };
        let target = head.uri.path_and_query().map_or("", |target| target.as_str());
        let asked = RequestIdentity { route: row.name, target, body: &body };
        let now = self.resources.environment.now();
        Ok(Some(Arc::new(IdempotentRequest::new(scope, &name, &asked, now)?)))
    }
}
