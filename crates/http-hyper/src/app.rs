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
    api::{HEALTH, Needs, OPERATIONS, Operation, operations},
    conditions::Known,
    cursor::Sealer,
    gate::Gate,
    idempotency::{Desk, Once, Request},
    limits::Limits,
    problem::{Problem, Result},
    readiness::{Exposition, Readiness},
    record::Route,
    reply::Reply,
    request::{Context, Input},
    routes::{Hit, Routes},
    service::{Door, Site, Visit},
    shares::Holder,
    throttle::Rates,
};

/// What the API stands on.
pub struct Backing {
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
    pub(crate) sealer: Sealer,
}

/// The API over the domain's use cases.
#[derive(Clone)]
pub struct Api {
    resources: Arc<Resources>,
    gate: Arc<Gate>,
    desk: Arc<Desk>,
}

impl Api {
    /// The API over these.
    pub fn new(backing: Backing) -> Self {
        let environment = backing.environment;
        Self {
            gate: Arc::new(Gate::new(backing.authenticator, backing.rates)),
            desk: Arc::new(Desk::new(backing.idempotency_records, environment.clone())),
            resources: Arc::new(Resources {
                sessions: backing.sessions,
                keys: backing.keys,
                audit: backing.audit,
                operators: backing.operators,
                environment,
                readiness: backing.readiness,
                metrics: backing.metrics,
                sealer: Sealer::new(&backing.cursor_secret),
            }),
        }
    }

    /// The public listener: callers' endpoints, what probes ask, and the API's document.
    pub fn public(&self, limits: Limits) -> Door {
        self.door(operations(), limits)
    }

    /// The operator's listener: what probes ask and what is counted, and nothing of any caller.
    pub fn operators(&self, limits: Limits) -> Door {
        self.door(HEALTH.iter().chain(OPERATIONS), limits)
    }

    fn door(&self, rows: impl Iterator<Item = &'static Operation>, limits: Limits) -> Door {
        let rows = rows.map(|row| (row.method.clone(), row.path, row));
        let routes = Routes::of(rows);
        let (gate, desk) = (self.gate.clone(), self.desk.clone());
        let site = ApiSite { routes, gate, desk, resources: self.resources.clone() };
        Door::new(Arc::new(site), self.resources.environment.clone(), limits)
    }
}

/// The part of the table that one listener answers.
struct ApiSite {
    routes: Routes<&'static Operation>,
    gate: Arc<Gate>,
    desk: Arc<Desk>,
    resources: Arc<Resources>,
}

#[async_trait]
impl Site for ApiSite {
    async fn answer(&self, visit: &mut Visit) -> Result<Reply> {
        let hit = self.routes.find(&visit.head.method, visit.head.uri.path())?; // 404, 405
        let (row, path) = match hit {
            Hit::Row(row, path) => (row, path),
            Hit::Options(allow) => return Ok(Reply::no_content().with(header::ALLOW, allow)),
        };
        let routine = row.needs == Needs::Nothing;
        visit.notes.route(Route { template: row.path, operation: row.name, routine });
        let (caller, holder) = self.admit(row, visit).await?; // 401, 403, 429
        let (head, places) = (visit.take_head(), visit.places.clone());
        let place = || holder.map_or(Err(Problem::Overloaded), |holder| places.waiting(holder));
        let mut input = Input::of(row, &head, &mut visit.payload, place).await?; // 400, 408, 413, 415, 429
        let take = |holder| if row.waits { places.waiting(holder) } else { places.work(holder) };
        let _place = holder.map(take).transpose()?; // 429
        let once = self.once(row, &head, caller.as_ref(), &mut input)?;
        let (waiting, known) = (visit.waiting.clone(), Known::read(&head.headers));
        let resources = self.resources.clone();
        let context = Context::new(resources, head, caller, path, input, once.clone(), waiting);
        let work = row.handler.call(context);
        let reply = match once {
            Some(once) => self.desk.answer(&once, work).await?, // 409
            None => work.await?,
        };
        Ok(if row.method == Method::GET { known.spare(reply) } else { reply })
    }
}

impl ApiSite {
    /// The caller, if the operation asks for one, and whom the request is counted for.
    async fn admit(
        &self,
        row: &Operation,
        visit: &Visit,
    ) -> Result<(Option<Caller>, Option<Holder>)> {
        let place = || visit.places.authentication(visit.activity.holder());
        let (headers, notes) = (&visit.head.headers, &visit.notes);
        let admitted = self.gate.admit(row.needs, headers, notes, place).await?;
        if admitted.is_some() {
            visit.activity.authenticate();
        }
        Ok(admitted.unzip())
    }

    /// The request as one that is carried out once, if its caller named it.
    fn once(
        &self,
        row: &Operation,
        head: &Parts,
        caller: Option<&Caller>,
        input: &mut Input,
    ) -> Result<Option<Arc<Once>>> {
        let (Some((name, body)), Some(caller)) = (input.named.take(), caller) else {
            return Ok(None);
        };
        let Some(scope) = row.needs.met_by(caller)? else { return Ok(None) };
        let target = head.uri.path_and_query().map_or("", |target| target.as_str());
        let asked = Request { route: row.name, target, body: &body };
        let now = self.resources.environment.now();
        Ok(Some(Arc::new(Once::new(scope, &name, &asked, now)?)))
    }
}
