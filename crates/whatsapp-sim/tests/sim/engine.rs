//! The WhatsApp engine as a linked device, for tests of messages. The engine is linked by the test
//! client, so that the engine need not skip the check of WhatsApp's certificate.

use crate::client::{ClientKeys, PATIENCE};
use crate::connect_unlinked;
use async_trait::async_trait;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use tokio::sync::Notify;
use tokio::time::timeout;
use wacore::pair::DeviceState;
use wacore::store::InMemoryBackend;
use wacore::store::device::{CachedNoiseCert, CachedServerCertChain, Device};
use wacore::store::traits::DeviceStore;
use wacore::types::events::{Event, EventHandler};
use wacore_binary::Jid;
use waproto::buffa::MessageField;
use waproto::whatsapp::Message;
use waproto::whatsapp::message::ExtendedTextMessage;
use whatsapp_rust::http::{HttpClient, HttpRequest, HttpResponse};
use whatsapp_rust::send::SendOptions;
use whatsapp_rust::transport::TokioWebSocketTransportFactory;
use whatsapp_rust::{Client, TokioRuntime};
use whatsapp_sim::{LinkedDevice, Phone, Simulator};

/// A device with an engine.
pub(crate) struct Engine {
    pub(crate) device: LinkedDevice,
    pub(crate) client: Arc<Client>,
    events: Arc<EventLog>,
    backend: Arc<InMemoryBackend>,
    pub(crate) url: String,
    history: bool,
}

/// A received text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ReceivedText {
    pub(crate) id: String,
    pub(crate) chat: String,
    pub(crate) sender: String,
    pub(crate) text: String,
    pub(crate) from_me: bool,
}

/// The events of an engine in their order.
#[derive(Default)]
struct EventLog {
    events: Mutex<Vec<Arc<Event>>>,
    text_count: AtomicUsize,
    changed: Notify,
}

impl EventHandler for EventLog {
    fn handle_event(&self, event: Arc<Event>) {
        self.text_count.fetch_add(texts(std::slice::from_ref(&event)).len(), Ordering::Release);
        self.events.lock().unwrap().push(event);
        self.changed.notify_waiters();
    }
}

/// Refuses every request: texts need no HTTP.
struct NoHttp;

#[async_trait]
impl HttpClient for NoHttp {
    async fn execute(&self, _: HttpRequest) -> anyhow::Result<HttpResponse> {
        Err(anyhow::anyhow!("no HTTP in tests"))
    }
}

impl Engine {
    /// Links an engine and waits until it is connected.
    pub(crate) async fn link(simulator: &Simulator, phone: &Phone) -> Self {
        Self::link_with(simulator, phone, false).await
    }

    /// Links an engine that processes the history of the phone.
    pub(crate) async fn link_with_history(simulator: &Simulator, phone: &Phone) -> Self {
        Self::link_with(simulator, phone, true).await
    }

    async fn link_with(simulator: &Simulator, phone: &Phone, history: bool) -> Self {
        let mut store = Device::new();
        let state = DeviceState {
            identity_key: store.identity_key.clone(),
            noise_key: store.noise_key.clone(),
            adv_secret_key: store.adv_secret_key,
        };
        let keys = ClientKeys { state, version: 1, inline_history: history };
        let (mut client, refs) = connect_unlinked(simulator, &keys).await;
        let qr = keys.qr(&refs[0]);
        let (device, signed) = tokio::join!(phone.scan(&qr), client.sign_approval(&keys));
        let (device, (_, approval)) = (device.unwrap(), signed.unwrap());
        let server = client.server;
        client.wait_for_close().await;
        let lid = format!("{}:{}@lid", phone.lid(), device.id);
        let approval = waproto::codec::adv_signed_device_identity_decode(&approval).unwrap();
        let certificate = |key| CachedNoiseCert { key, not_before: 0, not_after: 4_000_000_000 };
        store.pn = Some(device.jid.parse().unwrap());
        store.lid = Some(lid.parse().unwrap());
        store.account = Some(Arc::new(approval));
        store.push_name = phone.name();
        store.server_cert_chain = Some(CachedServerCertChain {
            intermediate: certificate([0; 32]),
            leaf: certificate(server),
        });
        let backend = Arc::new(InMemoryBackend::new());
        backend.save(&store).await.unwrap();
        let (client, events) = start(&backend, &simulator.url(), history).await;
        let url = simulator.url();
        let engine = Self { device, client, events, backend, url, history };
        engine.connected().await;
        // The engine uploads its keys after it is connected. Only then can others write to it.
        let greeted = |phone: &Phone| {
            let wire = simulator.wire(phone.number(), engine.device.id);
            wire.stanzas.iter().any(|s| s.stanza_type.as_deref() == Some("peer_msg"))
        };
        assert!(phone.wait_for(PATIENCE, greeted).await);
        engine
    }

    /// Ends the connection and loses everything that the engine has not stored.
    pub(crate) async fn stop(&self) {
        self.client.disconnect().await;
    }

    /// Starts another engine with the same store.
    pub(crate) async fn restart(&mut self) {
        self.stop().await;
        (self.client, self.events) = start(&self.backend, &self.url, self.history).await;
        self.connected().await;
    }

    pub(crate) async fn connected(&self) {
        let is_connected = |event: &Event| matches!(event, Event::Connected(_)).then_some(());
        self.wait("a connection", |events| events.iter().find_map(|event| is_connected(event)))
            .await;
    }

    /// Waits until `look_up` returns a value for the events so far.
    pub(crate) async fn wait<T>(
        &self,
        what: &str,
        look_up: impl Fn(&[Arc<Event>]) -> Option<T>,
    ) -> T {
        let waited = timeout(PATIENCE, async {
            loop {
                let changed = self.events.changed.notified();
                tokio::pin!(changed);
                changed.as_mut().enable();
                if let Some(value) = look_up(&self.events.events.lock().unwrap()) {
                    return value;
                }
                changed.await;
            }
        });
        waited.await.unwrap_or_else(|_| panic!("no {what} in time"))
    }

    /// Sends a text under this id.
    pub(crate) async fn send(&self, to: &str, text: &str, id: &str) {
        let to: Jid = to.parse().unwrap();
        let mut options = SendOptions::default();
        options.message_id = Some(id.to_owned());
        self.client.send_message_with_options(to, text_message(text), options).await.unwrap();
    }

    /// Returns the texts so far, in their order. Protocol messages are left out.
    pub(crate) fn texts(&self) -> Vec<ReceivedText> {
        texts(&self.events.events.lock().unwrap())
    }

    /// Returns the number of texts so far.
    pub(crate) fn text_count(&self) -> usize {
        self.events.text_count.load(Ordering::Acquire)
    }

    /// Waits until the engine has this many texts. Cheaper than to list them.
    pub(crate) async fn wait_text_count(&self, count: usize) {
        let enough = |_: &[Arc<Event>]| (self.text_count() >= count).then_some(());
        self.wait(&format!("{count} texts"), enough).await;
    }

    /// Waits until the engine has this many texts, and returns them.
    pub(crate) async fn wait_texts(&self, count: usize) -> Vec<ReceivedText> {
        self.wait_text_count(count).await;
        self.texts()
    }

    /// Returns the receipts so far: the kind in the engine's words, and the ids.
    pub(crate) fn receipts(&self) -> Vec<(String, Vec<String>)> {
        receipts(&self.events.events.lock().unwrap())
    }

    /// Waits until the engine has a receipt of this kind for the message.
    pub(crate) async fn wait_receipt(&self, kind: &str, id: &str) {
        let is_there = |events: &[Arc<Event>]| {
            let all = receipts(events);
            let is_it =
                |(k, ids): &&(String, Vec<String>)| k == kind && ids.iter().any(|i| i == id);
            all.iter().find(is_it).map(|_| ())
        };
        self.wait(&format!("{kind} receipt for {id}"), is_there).await;
    }

    /// Waits for the server's answer to a message, and returns its error code.
    pub(crate) async fn wait_ack(&self, id: &str) -> Option<String> {
        let answer = |events: &[Arc<Event>]| {
            events.iter().find_map(|event| match &**event {
                Event::ServerAck(ack) if ack.id == id => Some(ack.error.clone()),
                _ => None,
            })
        };
        self.wait(&format!("answer to {id}"), answer).await
    }
}

async fn start(
    backend: &Arc<InMemoryBackend>,
    url: &str,
    history: bool,
) -> (Arc<Client>, Arc<EventLog>) {
    let store: Arc<dyn whatsapp_rust::store::traits::Backend> = backend.clone();
    let device = whatsapp_rust::store::persistence_manager::PersistenceManager::new(store);
    let client = Client::builder()
        .with_runtime(TokioRuntime)
        .with_persistence_manager(Arc::new(device.await.unwrap()))
        .with_transport_factory(TokioWebSocketTransportFactory::new().with_url(url.to_owned()))
        .with_http_client(NoHttp)
        .with_skip_history_sync(!history)
        .with_version_override((2, 3000, 1))
        .build()
        .await
        .unwrap()
        .into_client();
    let events = Arc::new(EventLog::default());
    client.subscribe_handler(events.clone()).detach();
    let running = client.clone();
    tokio::spawn(async move { running.run().await });
    (client, events)
}

/// Builds a text message.
pub(crate) fn text_message(text: &str) -> Message {
    let extended = ExtendedTextMessage { text: Some(text.to_owned()), ..Default::default() };
    Message { extended_text_message: MessageField::some(extended), ..Default::default() }
}

fn texts(events: &[Arc<Event>]) -> Vec<ReceivedText> {
    let batches = events.iter().filter_map(|event| match &**event {
        Event::Messages(batch) => Some(batch),
        _ => None,
    });
    let text = |message: &Message| {
        let extended = message.extended_text_message.as_option().and_then(|m| m.text.clone());
        extended.or_else(|| message.conversation.clone())
    };
    batches
        .flat_map(|batch| batch.iter())
        .filter_map(|inbound| {
            Some(ReceivedText {
                id: inbound.info.id.clone(),
                chat: inbound.info.source.chat.to_string(),
                sender: inbound.info.source.sender.to_string(),
                text: text(&inbound.message)?,
                from_me: inbound.info.source.is_from_me,
            })
        })
        .collect()
}

fn receipts(events: &[Arc<Event>]) -> Vec<(String, Vec<String>)> {
    let receipt = |event: &Arc<Event>| match &**event {
        Event::Receipt(receipt) => {
            let ids = receipt.message_ids.iter().map(ToString::to_string).collect();
            Some((format!("{:?}", receipt.r#type), ids))
        }
        _ => None,
    };
    events.iter().filter_map(receipt).collect()
}
