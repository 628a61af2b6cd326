//! Routers with a feed and a dispatcher over one memory store.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicI64, AtomicU64, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use domain::{
    Caller, Event, EventId, EventPayload, OrganizationId, ReasonCode, SessionId, Timestamp,
    Version, Webhook, WebhookPatch, WebhookPorts, WebhookState, Webhooks,
    ports::{Environment, Notification, Notifier, Subscription, Topic},
    testing::{Memory, PlainSealer},
};
use event_feed::{EventFeed, FeedPorts};
use tokio::{
    sync::Notify,
    task::JoinHandle,
    time::{Instant, sleep, timeout},
};
use tokio_util::sync::CancellationToken;
use webhook_dispatcher::{Dispatcher, DispatcherPorts};

use crate::receiver::Receiver;

/// Interval of the feed of a router.
const INTERVAL: Duration = Duration::from_millis(250);

/// A clock that follows the virtual time of the test and can jump, and ids that count up.
pub(crate) struct TokioClock {
    start: Instant,
    /// Time of the start, in milliseconds since 1970.
    base: AtomicI64,
    names: AtomicU64,
}

impl TokioClock {
    /// Changes the time, as the correction of a wrong clock does.
    pub(crate) fn jump(&self, millis: i64) {
        self.base.fetch_add(millis, Ordering::SeqCst);
    }
}

impl Environment for TokioClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.base.load(Ordering::SeqCst)).plus(self.start.elapsed())
    }

    fn ulid(&self) -> u128 {
        let millis = u128::try_from(self.now().millis()).unwrap();
        millis << 80 | u128::from(self.names.fetch_add(1, Ordering::SeqCst))
    }
}

/// Wakes the dispatchers of all routers.
#[derive(Default)]
struct DueNotifier(Notify);

impl Notifier for DueNotifier {
    fn notify(&self, notification: Notification<'_>) {
        if notification == Notification::WebhookDue {
            self.0.notify_waiters();
        }
    }

    fn subscribe(self: Arc<Self>, _: Topic<'_>) -> Box<dyn Subscription> {
        Box::new(DueSubscription(self))
    }
}

struct DueSubscription(Arc<DueNotifier>);

#[async_trait]
impl Subscription for DueSubscription {
    async fn wait(&mut self, _: Option<Version>, at_most: Duration) {
        let _ = timeout(at_most, self.0.0.notified()).await;
    }
}

/// A running router.
pub(crate) struct RunningRouter {
    stop: CancellationToken,
    stop_feed: CancellationToken,
    task: JoinHandle<()>,
}

impl RunningRouter {
    /// Stops the router as a shutdown does.
    pub(crate) async fn stop(self) {
        self.stop.cancel();
        self.task.await.unwrap();
        self.stop_feed.cancel();
    }

    /// Ends the router at once.
    pub(crate) async fn kill(self) {
        self.task.abort();
        let _ = self.task.await;
        self.stop_feed.cancel();
    }
}

/// A memory store with webhooks, for any number of routers.
pub(crate) struct Fleet {
    pub(crate) memory: Memory,
    pub(crate) clock: Arc<TokioClock>,
    pub(crate) receiver: Receiver,
    pub(crate) sealer: PlainSealer,
    pub(crate) webhooks: Webhooks,
    notifier: Arc<DueNotifier>,
    sequences: Mutex<BTreeMap<SessionId, u64>>,
}

impl Fleet {
    pub(crate) fn new() -> Self {
        let memory = Memory::new();
        let clock = Arc::new(TokioClock {
            start: Instant::now(),
            base: AtomicI64::new(1_767_254_400_000),
            names: AtomicU64::new(1),
        });
        let (receiver, sealer) = (Receiver::new(), PlainSealer::default());
        let (store, notifier) = (Arc::new(memory.clone()), Arc::<DueNotifier>::default());
        let webhooks = Webhooks::new(WebhookPorts {
            store: store.clone(),
            sessions: store.clone(),
            feed: store.clone(),
            organization_feed: store,
            sealer: Arc::new(sealer.clone()),
            sender: Arc::new(receiver.clone()),
            render: Arc::new(|event| event.id.to_string().into_bytes()),
            environment: clock.clone(),
            notifier: notifier.clone(),
        });
        let sequences = Mutex::default();
        Self { memory, clock, receiver, sealer, webhooks, notifier, sequences }
    }

    /// Starts a router.
    pub(crate) fn router(&self) -> RunningRouter {
        let store = Arc::new(self.memory.clone());
        let render: event_feed::Renderer = Arc::new(|event| event.id.to_string().into());
        let feed = EventFeed::new(FeedPorts {
            all: store.clone(),
            organizations: store.clone(),
            render: render.clone(),
            interval: INTERVAL,
        });
        let dispatcher = Dispatcher::new(DispatcherPorts {
            store,
            feed: feed.clone(),
            render,
            sealer: Arc::new(self.sealer.clone()),
            sender: Arc::new(self.receiver.clone()),
            notifier: self.notifier.clone(),
            environment: self.clock.clone(),
        });
        let (stop, stop_feed) = (CancellationToken::new(), CancellationToken::new());
        tokio::spawn(feed.run(stop_feed.clone()));
        let task = tokio::spawn(dispatcher.run(stop.clone()));
        RunningRouter { stop, stop_feed, task }
    }

    /// Creates a webhook of an organization that gets the events `auth.*`.
    pub(crate) async fn webhook(&self, organization: &str, patch: WebhookPatch) -> Webhook {
        let patch = WebhookPatch {
            url: Some("https://shop.example/hook".to_owned()),
            events: Some(Some(vec!["auth.*".to_owned()])),
            ..patch
        };
        self.webhooks.create(&owner(organization), patch, None).await.unwrap()
    }

    /// Stores events of a session; returns their ids.
    pub(crate) fn write(&self, organization: &str, session: u128, count: usize) -> Vec<EventId> {
        let organization = OrganizationId::parse(organization).unwrap();
        let session = SessionId::from_bits(session);
        let mut sequences = self.sequences.lock().unwrap();
        let sequence = sequences.entry(session.clone()).or_default();
        let actor = owner(organization.as_str()).actor;
        let events: Vec<_> = (0..count)
            .map(|_| {
                *sequence += 1;
                let payload = EventPayload::AuthExpired { reason: ReasonCode::ConnectFailed };
                let event = Event::of_organization(payload, &organization, &actor, &*self.clock);
                Event { session: Some(session.clone()), sequence: *sequence, ..event }
            })
            .collect();
        self.memory.append_events(&events);
        events.into_iter().map(|event| event.id).collect()
    }

    pub(crate) async fn state(&self, webhook: &Webhook) -> WebhookState {
        let owner = owner(webhook.organization.as_str());
        self.webhooks.state(&owner, webhook.id.as_str()).await.unwrap()
    }

    /// Waits until a webhook took a number of events; returns these.
    pub(crate) async fn wait_for(&self, webhook: &Webhook, count: usize) -> Vec<EventId> {
        let limit = Duration::from_secs(1_200);
        let waited = timeout(limit, async {
            while self.receiver.taken_by(&webhook.id).len() < count {
                sleep(Duration::from_millis(20)).await;
            }
        });
        let ended = waited.await;
        let taken = self.receiver.taken_by(&webhook.id);
        assert!(ended.is_ok(), "{} of {count} events arrived", taken.len());
        taken
    }
}

/// Returns a caller that may do everything in an organization.
pub(crate) fn owner(organization: &str) -> Caller {
    Caller::operator(OrganizationId::parse(organization).unwrap())
}
