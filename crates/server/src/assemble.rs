//! Connects the parts of the router. Only this file knows which adapter implements which port.

use std::{sync::Arc, time::Duration};

use anyhow::{Context, Result};
use auth::{Chain, JwtVerifier, KeyCache, RandomKeyGenerator, RandomLinkSecrets};
use domain::{
    ApiKeys, Audit, BrowserSessionLimits, BrowserSessionPorts, BrowserSessions, Chats, Deadlines,
    JournalPorts, Journals, Leases, MessageRetention, Messages, MessagingTurns, Nodes, Operators,
    Outbox, OutboxLimits, OutboxPorts, ReturnOrigins, SessionPorts, Sessions, ShareLinkPorts,
    ShareLinks, WebhookPorts, Webhooks,
};
use event_feed::{EventFeed, FeedPorts};
use gateway_client::Client;
use http_client::RootCertStore;
use http_hyper::{
    Api, ApiDependencies, BrowserDependencies, LoginFlow, NodeApi, PublicUrl, Rates,
    StreamDependencies, render_event,
};
use sealing::Sealer;
use secrecy::ExposeSecret;
use store_diesel::{Database, DatabaseKind};
use tokio_util::sync::CancellationToken;
use webhook_dispatcher::{Dispatcher, DispatcherPorts};
use worker::{MessageRemover, OutboxDispatcher, Worker};

use crate::{
    config::{Browsers, GatewayTokens},
    environment::SystemEnvironment,
    message_metrics::MeteredMessaging,
    metrics::Metrics,
    notifier::RouterNotifier,
    organization_tags::HmacOrganizationTags,
    readiness::RouterReadiness,
    webhook_sender::RouterWebhookSender,
};

/// The configured and opened resources from which [`assemble`] builds the router.
pub(crate) struct Dependencies {
    pub(crate) database: Database,
    pub(crate) environment: Arc<SystemEnvironment>,
    /// `None` when no key set is configured.
    pub(crate) login: Option<Arc<JwtVerifier>>,
    pub(crate) gateways: GatewayTokens,
    /// The authorities of nodes with TLS; `None` for those of the system.
    pub(crate) node_authorities: Option<RootCertStore>,
    pub(crate) deadlines: Deadlines,
    pub(crate) outbox_limits: OutboxLimits,
    pub(crate) rates: Rates,
    pub(crate) return_origins: ReturnOrigins,
    pub(crate) secrets: Secrets,
    pub(crate) sealer: Arc<Sealer>,
    pub(crate) webhook_sender: Arc<RouterWebhookSender>,
    pub(crate) metrics: Arc<Metrics>,
    /// Cancelled when the process is told to stop.
    pub(crate) shutting_down: CancellationToken,
    pub(crate) browsers: Browsers,
    /// The URL at which browsers reach the service.
    pub(crate) public_url: PublicUrl,
    /// The issuer of logins; `None` without one.
    pub(crate) login_flow: Option<Arc<dyn LoginFlow>>,
}

/// Secrets that all routers over the database share.
pub(crate) struct Secrets {
    /// Signs cursors.
    pub(crate) cursor: [u8; 32],
    /// Creates organization tags.
    pub(crate) tag: [u8; 32],
    /// Encrypts bookmarks of event streams.
    pub(crate) bookmark: [u8; 32],
    /// Encrypts tickets.
    pub(crate) ticket: [u8; 32],
    /// Encrypts logins in progress.
    pub(crate) login: [u8; 32],
}

/// Interval in which a router reads new events of others while it has readers.
const POSTGRES_FEED_INTERVAL: Duration = Duration::from_millis(100);
/// The same on SQLite, where another process may write.
const SQLITE_FEED_INTERVAL: Duration = Duration::from_millis(50);

/// The parts of the router, ready to run.
pub(crate) struct Parts {
    pub(crate) api: Api,
    pub(crate) nodes: NodeApi,
    pub(crate) worker: Worker,
    pub(crate) outbox: OutboxDispatcher,
    pub(crate) remover: MessageRemover,
    pub(crate) webhooks: Dispatcher,
    pub(crate) feed: EventFeed,
    pub(crate) readiness: Arc<RouterReadiness>,
}

/// Builds the parts of the router.
pub(crate) fn assemble(dependencies: Dependencies) -> Result<Parts> {
    let Dependencies {
        database,
        environment,
        login,
        gateways: GatewayTokens { tokens, fleet },
        node_authorities,
        deadlines,
        outbox_limits,
        rates,
        return_origins,
        secrets,
        sealer,
        webhook_sender,
        metrics,
        shutting_down,
        browsers,
        public_url,
        login_flow,
    } = dependencies;
    let node_tokens =
        tokens.iter().map(|(id, token)| (id.clone(), token.expose_secret().to_owned()));
    let node_tokens = http_hyper::NodeTokens::new(node_tokens).with_fleet(fleet.clone());
    let tokens = tokens.into_iter().collect::<gateway_client::NodeTokens>().with_fleet(fleet);
    let gateway = Client::new(gateway_client::Config {
        trace: http_hyper::current_trace_parent,
        authorities: node_authorities,
        ..gateway_client::Config::new(tokens)
    });
    let store = Arc::new(database.clone().with_sealer(sealer.clone()));
    let feed = feed(&store);
    let adapters = Adapters {
        key_cache: Arc::new(KeyCache::new(store.clone(), environment.clone())),
        notifier: Arc::new(RouterNotifier::new(
            store.clone(),
            store.messaging_versions(),
            feed.clone(),
        )),
        store,
        gateway: Arc::new(gateway.context("TLS to the gateways cannot be set up")?),
        environment: environment.clone(),
        leases: Arc::default(),
        organization_tags: Arc::new(HmacOrganizationTags::new(&secrets.tag)),
        sealer,
        webhook_sender,
        deadlines,
        outbox_limits,
        turns: MessagingTurns::default(),
    };
    let authenticator =
        Arc::new(Chain::new(login.clone(), adapters.key_cache.clone(), environment.clone()));
    let readiness = Arc::new(RouterReadiness {
        database,
        login,
        shutting_down,
        environment: environment.clone(),
        last_write: tokio::sync::Mutex::default(),
    });
    Ok(Parts {
        api: Api::new(ApiDependencies {
            sessions: adapters.sessions(),
            links: adapters.links(return_origins),
            chats: Chats::new(adapters.store.clone()),
            messages: Messages::new(adapters.store.clone()),
            outbox: adapters.outbox(),
            keys: adapters.keys(),
            webhooks: adapters.webhooks(),
            audit: Audit::new(adapters.store.clone()),
            operators: adapters.operators(),
            authenticator,
            idempotency_records: adapters.store.clone(),
            environment: environment.clone(),
            readiness: readiness.clone(),
            metrics,
            cursor_secret: secrets.cursor,
            rates,
            streams: StreamDependencies {
                feed: feed.clone(),
                store: adapters.store.clone(),
                keys: adapters.store.clone(),
                tickets: adapters.store.clone(),
                bookmark_secret: secrets.bookmark,
                ticket_secret: secrets.ticket,
            },
            browser: BrowserDependencies {
                enabled: browsers.enabled,
                sessions: adapters.browser_sessions(browsers.limits),
                public_url,
                handover_origins: browsers.handover_origins,
                login_flow,
                login_secret: secrets.login,
            },
        }),
        nodes: NodeApi::new(adapters.nodes(), adapters.journals(), node_tokens, environment),
        worker: adapters.worker(),
        outbox: adapters.outbox_dispatcher(),
        remover: adapters.message_remover(),
        webhooks: adapters.dispatcher(feed.clone()),
        feed,
        readiness,
    })
}

/// Returns the event feed of this router.
fn feed(store: &Arc<Database>) -> EventFeed {
    let interval = match store.kind() {
        DatabaseKind::Postgres => POSTGRES_FEED_INTERVAL,
        DatabaseKind::Sqlite => SQLITE_FEED_INTERVAL,
    };
    EventFeed::new(FeedPorts {
        all: store.clone(),
        organizations: store.clone(),
        render: Arc::new(render_event),
        interval,
    })
}

/// The adapters that implement the domain's ports.
struct Adapters {
    store: Arc<Database>,
    /// Authenticates callers; a revocation invalidates the entry of a key.
    key_cache: Arc<KeyCache>,
    gateway: Arc<Client>,
    environment: Arc<SystemEnvironment>,
    notifier: Arc<RouterNotifier>,
    leases: Arc<Leases>,
    organization_tags: Arc<HmacOrganizationTags>,
    sealer: Arc<Sealer>,
    webhook_sender: Arc<RouterWebhookSender>,
    deadlines: Deadlines,
    outbox_limits: OutboxLimits,
    turns: MessagingTurns,
}

impl Adapters {
    /// Returns the use cases of sessions.
    fn sessions(&self) -> Sessions {
        let ports = SessionPorts {
            store: self.store.clone(),
            nodes: self.store.clone(),
            session_control: self.gateway.clone(),
            environment: self.environment.clone(),
            notifier: self.notifier.clone(),
            leases: self.leases.clone(),
        };
        Sessions::new(ports, self.deadlines.clone())
    }

    /// Returns the use cases of share links.
    fn links(&self, return_origins: ReturnOrigins) -> ShareLinks {
        let ports = ShareLinkPorts {
            store: self.store.clone(),
            directory: self.store.clone(),
            secrets: Arc::new(RandomLinkSecrets::default()),
            environment: self.environment.clone(),
            notifier: self.notifier.clone(),
        };
        ShareLinks::new(ports, self.sessions(), return_origins)
    }

    /// Returns the use cases of browser sessions.
    fn browser_sessions(&self, limits: BrowserSessionLimits) -> BrowserSessions {
        let ports = BrowserSessionPorts {
            store: self.store.clone(),
            keys: self.store.clone(),
            directory: self.store.clone(),
            environment: self.environment.clone(),
        };
        BrowserSessions::new(ports, limits)
    }

    /// Returns the use cases of webhooks.
    fn webhooks(&self) -> Webhooks {
        Webhooks::new(WebhookPorts {
            store: self.store.clone(),
            sessions: self.store.clone(),
            feed: self.store.clone(),
            organization_feed: self.store.clone(),
            sealer: self.sealer.clone(),
            sender: self.webhook_sender.clone(),
            render: Arc::new(|event| render_event(event).to_vec()),
            environment: self.environment.clone(),
            notifier: self.notifier.clone(),
        })
    }

    /// Returns the use cases of operators.
    fn operators(&self) -> Operators {
        let (environment, leases) = (self.environment.clone(), self.leases.clone());
        let (store, lease) = (self.store.clone(), self.deadlines.lease);
        Operators::new(store.clone(), store, environment, leases, lease)
    }

    /// Returns the use cases of API keys.
    fn keys(&self) -> ApiKeys {
        let (store, directory) = (self.store.clone(), self.key_cache.clone());
        ApiKeys::new(
            store,
            directory,
            Arc::new(RandomKeyGenerator::default()),
            self.environment.clone(),
        )
    }

    /// Returns the use cases of nodes.
    fn nodes(&self) -> Nodes {
        Nodes::new(
            self.store.clone(),
            self.store.clone(),
            self.environment.clone(),
            self.notifier.clone(),
            self.deadlines.clone(),
        )
    }

    /// Returns the use cases of the journals of nodes.
    fn journals(&self) -> Journals {
        Journals::new(JournalPorts {
            store: self.messaging(),
            environment: self.environment.clone(),
            notifier: self.notifier.clone(),
            turns: self.turns.clone(),
        })
    }

    /// Returns the store of messages, which counts them.
    fn messaging(&self) -> Arc<MeteredMessaging<Database>> {
        Arc::new(MeteredMessaging(self.store.clone()))
    }

    /// Returns the use cases of messages to send.
    fn outbox(&self) -> Outbox {
        let ports = OutboxPorts {
            sessions: self.store.clone(),
            nodes: self.store.clone(),
            messages: self.store.clone(),
            messaging: self.messaging(),
            outbox: self.store.clone(),
            control: self.gateway.clone(),
            environment: self.environment.clone(),
            notifier: self.notifier.clone(),
            leases: self.leases.clone(),
            turns: self.turns.clone(),
        };
        Outbox::new(ports, self.deadlines.clone(), self.outbox_limits.clone())
    }

    /// Returns the dispatcher of messages to nodes.
    fn outbox_dispatcher(&self) -> OutboxDispatcher {
        OutboxDispatcher::new(self.outbox(), self.environment.clone(), self.notifier.clone())
    }

    /// Returns the worker that removes messages.
    fn message_remover(&self) -> MessageRemover {
        let (store, environment) = (self.store.clone(), self.environment.clone());
        let retention = MessageRetention::new(store, environment.clone(), self.notifier.clone());
        MessageRemover::new(retention, environment)
    }

    /// Returns the dispatcher of webhooks.
    fn dispatcher(&self, feed: EventFeed) -> Dispatcher {
        Dispatcher::new(DispatcherPorts {
            store: self.store.clone(),
            feed,
            render: Arc::new(render_event),
            sealer: self.sealer.clone(),
            sender: self.webhook_sender.clone(),
            notifier: self.notifier.clone(),
            environment: self.environment.clone(),
        })
    }

    /// Returns the background worker.
    fn worker(&self) -> Worker {
        let ports = worker::Ports {
            worker_store: self.store.clone(),
            nodes: self.store.clone(),
            gateway: self.gateway.clone(),
            environment: self.environment.clone(),
            notifier: self.notifier.clone(),
            leases: self.leases.clone(),
            organization_tags: self.organization_tags.clone(),
        };
        Worker::new(ports, self.deadlines.clone())
    }
}
