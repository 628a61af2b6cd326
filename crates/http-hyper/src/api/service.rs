//! The API with its dependencies, and the operations of each of its listeners.
//!
//! Decision: ADR 0009.

use std::sync::Arc;

use domain::{
    ApiKeys, Audit, BrowserSessions, Chats, Messages, Operators, Outbox, Sessions, ShareLinks,
    Webhooks,
    ports::{
        Authenticator, Environment, IdempotencyStore, KeyValidity, OrganizationFeed, TicketStore,
    },
};
use event_feed::EventFeed;
use tokio_util::sync::CancellationToken;

use http_listener::{HttpService, Limits};

use super::{
    browser_table::BROWSER,
    handler::ApiHandler,
    link_table::LINK,
    operation::Operation,
    table::{API, DOCUMENT, HEALTH, OPERATIONS, UI},
    throttle::{Rates, Throttle},
};
use crate::{
    browser::dependencies::{Browser, BrowserDependencies},
    idempotency::IdempotencyLayer,
    readiness::{Exposition, Readiness},
    request::cursor::CursorSigner,
    request_log::RequestLog,
    resources::Resources,
    routes::Routes,
    streams::{StreamResources, bookmark::Bookmarks, open_streams::OpenStreams, ticket::Tickets},
};

/// The dependencies of the API.
pub struct ApiDependencies {
    /// The use cases of sessions.
    pub sessions: Sessions,
    /// The use cases of share links.
    pub links: ShareLinks,
    /// The use cases of chats.
    pub chats: Chats,
    /// The use cases of messages.
    pub messages: Messages,
    /// The use cases of messages to send.
    pub outbox: Outbox,
    /// The use cases of API keys.
    pub keys: ApiKeys,
    /// The use cases of webhooks.
    pub webhooks: Webhooks,
    /// The use cases of the audit log.
    pub audit: Audit,
    /// The use cases of operators.
    pub operators: Operators,
    /// Authenticates callers.
    pub authenticator: Arc<dyn Authenticator>,
    /// Stores recorded responses.
    pub idempotency_records: Arc<dyn IdempotencyStore>,
    /// The clock, and the source of new ids.
    pub environment: Arc<dyn Environment>,
    /// The checks behind `GET /readyz`.
    pub readiness: Arc<dyn Readiness>,
    /// The text of `GET /metrics`.
    pub metrics: Arc<dyn Exposition>,
    /// The key that signs cursors; the same on all routers of a deployment.
    pub cursor_secret: [u8; 32],
    /// The request rates of credentials and organizations.
    pub rates: Rates,
    /// The dependencies of event streams.
    pub streams: StreamDependencies,
    /// The dependencies of browser sessions.
    pub browser: BrowserDependencies,
}

/// The dependencies of event streams.
pub struct StreamDependencies {
    /// The events of this process.
    pub feed: EventFeed,
    /// Reads pages of the feed.
    pub store: Arc<dyn OrganizationFeed>,
    /// Looks up the keys of open streams and of tickets.
    pub keys: Arc<dyn KeyValidity>,
    /// Stores the spent tickets.
    pub tickets: Arc<dyn TicketStore>,
    /// The key that encrypts bookmarks; the same on all routers of a deployment.
    pub bookmark_secret: [u8; 32],
    /// The key that encrypts tickets; the same on all routers of a deployment.
    pub ticket_secret: [u8; 32],
}

/// The API over the use cases of the domain.
#[derive(Clone)]
pub struct Api {
    resources: Arc<Resources>,
    authenticator: Arc<dyn Authenticator>,
    throttle: Arc<Throttle>,
    idempotency: Arc<IdempotencyLayer>,
}

impl Api {
    /// Creates the API. Its listeners share request rates and idempotency keys in flight.
    pub fn new(dependencies: ApiDependencies) -> Self {
        let environment = dependencies.environment;
        let idempotency =
            IdempotencyLayer::new(dependencies.idempotency_records, environment.clone());
        Self {
            authenticator: dependencies.authenticator.clone(),
            throttle: Arc::new(Throttle::new(dependencies.rates)),
            idempotency: Arc::new(idempotency),
            resources: Arc::new(Resources {
                sessions: dependencies.sessions,
                links: dependencies.links,
                chats: dependencies.chats,
                messages: dependencies.messages,
                outbox: dependencies.outbox,
                keys: dependencies.keys,
                webhooks: dependencies.webhooks,
                audit: dependencies.audit,
                operators: dependencies.operators,
                readiness: dependencies.readiness,
                metrics: dependencies.metrics,
                cursor_signer: CursorSigner::new(&dependencies.cursor_secret),
                streams: stream_resources(
                    dependencies.streams,
                    &dependencies.browser.sessions,
                    &environment,
                ),
                browser: Browser::new(dependencies.browser, dependencies.authenticator),
                environment,
            }),
        }
    }

    /// Ends streams whose credential has expired or was revoked, until `stop`.
    pub async fn watch_streams(&self, stop: CancellationToken) {
        let streams = &self.resources.streams;
        streams.open.watch(streams.feed.revocations(), &stop).await;
    }

    /// Returns the service of the public listener: the operations of callers and of browsers, the health
    /// probes, the OpenAPI document and the dashboard.
    pub fn public(&self, limits: Limits) -> HttpService<RequestLog> {
        // Without browsers, there is neither a login nor a page to open a share link with.
        let (link, browser, dashboard): (&[_], &[_], &[_]) =
            if self.resources.browser.enabled { (LINK, BROWSER, UI) } else { (&[], &[], &[]) };
        let operations = API.iter().chain(link).chain(HEALTH).chain(DOCUMENT);
        self.service(operations.chain(browser).chain(dashboard), limits)
    }

    /// Returns the service of the operators' listener: the health probes and the metrics.
    pub fn operators(&self, limits: Limits) -> HttpService<RequestLog> {
        self.service(HEALTH.iter().chain(OPERATIONS), limits)
    }

    fn service(
        &self,
        rows: impl Iterator<Item = &'static Operation>,
        limits: Limits,
    ) -> HttpService<RequestLog> {
        let environment = self.resources.environment.clone();
        let handler = ApiHandler {
            routes: Routes::of(rows.map(|row| (row.method.clone(), row.path, row))),
            authenticator: self.authenticator.clone(),
            throttle: self.throttle.clone(),
            idempotency: self.idempotency.clone(),
            resources: self.resources.clone(),
        };
        HttpService::new(Arc::new(handler), limits)
            .with_request_ids(Arc::new(move || environment.ulid()))
    }
}

fn stream_resources(
    dependencies: StreamDependencies,
    sessions: &BrowserSessions,
    environment: &Arc<dyn Environment>,
) -> StreamResources {
    let StreamDependencies { feed, store, keys, tickets, bookmark_secret, ticket_secret } =
        dependencies;
    StreamResources {
        feed,
        store,
        open: OpenStreams::new(keys.clone(), sessions.clone(), environment.clone()),
        bookmarks: Bookmarks::new(&bookmark_secret),
        tickets: Tickets::new(&ticket_secret, tickets, keys, sessions.clone(), environment.clone()),
    }
}
