//! The API put together: which listener answers what, and the life of a request in between.

use std::sync::Arc;

use async_trait::async_trait;
use domain::{
    ApiKeys, Sessions,
    ports::{Authenticator, Environment},
};
use hyper::{Method, header};

use crate::{
    api::{API, HEALTH, Needs, Operation},
    conditions::Known,
    gate::Gate,
    limits::Limits,
    problem::Result,
    readiness::Readiness,
    record::Route,
    reply::Reply,
    request::{Context, Input},
    routes::{Hit, Routes},
    service::{Door, Site, Visit},
};

/// What handlers reach.
pub(crate) struct Resources {
    pub(crate) sessions: Sessions,
    pub(crate) keys: ApiKeys,
    pub(crate) environment: Arc<dyn Environment>,
    pub(crate) readiness: Arc<dyn Readiness>,
}

/// The API over the domain's use cases.
#[derive(Clone)]
pub struct Api {
    resources: Arc<Resources>,
    gate: Arc<Gate>,
    environment: Arc<dyn Environment>,
}

impl Api {
    /// The API over these.
    pub fn new(
        sessions: Sessions,
        keys: ApiKeys,
        authenticator: Arc<dyn Authenticator>,
        environment: Arc<dyn Environment>,
        readiness: Arc<dyn Readiness>,
    ) -> Self {
        Self {
            resources: Arc::new(Resources {
                sessions,
                keys,
                environment: environment.clone(),
                readiness,
            }),
            gate: Arc::new(Gate::new(authenticator)),
            environment,
        }
    }

    /// The public listener: callers' endpoints, and what probes ask.
    pub fn public(&self, limits: Limits) -> Door {
        self.door(API.iter().chain(HEALTH), limits)
    }

    /// The operator's listener: what probes ask, and nothing of any caller.
    pub fn operators(&self, limits: Limits) -> Door {
        self.door(HEALTH.iter(), limits)
    }

    fn door(&self, rows: impl Iterator<Item = &'static Operation>, limits: Limits) -> Door {
        let rows = rows.map(|row| (row.method.clone(), row.path, row));
        let routes = Routes::of(rows);
        let site = ApiSite { routes, gate: self.gate.clone(), resources: self.resources.clone() };
        Door::new(Arc::new(site), self.environment.clone(), limits)
    }
}

/// The part of the table that one listener answers.
struct ApiSite {
    routes: Routes<&'static Operation>,
    gate: Arc<Gate>,
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
        let caller = self.gate.admit(row.needs, &visit.head.headers, &visit.notes).await?; // 401, 403
        let head = visit.take_head();
        let input = Input::of(row, &head, &mut visit.payload).await?; // 400, 408, 413, 415
        let (waiting, known) = (visit.waiting.clone(), Known::read(&head.headers));
        let context = Context::new(self.resources.clone(), head, caller, path, input, waiting);
        let reply = row.handler.call(context).await?;
        Ok(if row.method == Method::GET { known.spare(reply) } else { reply })
    }
}
