//! The way to WhatsApp, and the promise made on it: a link is on disk before WhatsApp hears that it
//! was accepted.
//!
//! The engine confirms a link first and saves it in the background, so a crash in between would
//! leave a device on the phone that nobody has keys for.
//!
//! Decision: ADR 0008.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use tokio::sync::Mutex;
use wacore::net::{Transport, TransportEvent, TransportFactory};
use whatsapp_rust::{
    store::persistence_manager::PersistenceManager, transport::TokioWebSocketTransportFactory,
};

use crate::engine_runtime::EngineRuntime;

/// How long the word of a link may take to leave, on a network that takes nothing.
const SEND_TIMEOUT: Duration = Duration::from_secs(5);

type OpenTransport = (Arc<dyn Transport>, whatsapp_rust::async_channel::Receiver<TransportEvent>);

/// How sessions reach WhatsApp.
pub trait TransportProvider: Send + Sync {
    /// Makes the sockets of this session.
    fn transport_factory(&self, session: &str) -> Arc<dyn TransportFactory>;
}

/// Sockets to one address; `None` is the real WhatsApp.
#[derive(Clone, Debug)]
pub struct WebSocketProvider(pub Option<String>);

impl TransportProvider for WebSocketProvider {
    fn transport_factory(&self, _session: &str) -> Arc<dyn TransportFactory> {
        let factory = TokioWebSocketTransportFactory::new();
        Arc::new(match &self.0 {
            Some(url) => factory.with_url(url.clone()),
            None => factory,
        })
    }
}

/// Sockets that keep the promise.
pub(crate) struct PersistingTransportFactory {
    pub(crate) inner: Arc<dyn TransportFactory>,
    pub(crate) persistence: Arc<PersistBeforeSend>,
    /// Where the promise is kept to the end.
    pub(crate) runtime: EngineRuntime,
}

#[async_trait]
impl TransportFactory for PersistingTransportFactory {
    async fn create_transport(&self) -> anyhow::Result<OpenTransport> {
        let (inner, events) = self.inner.create_transport().await?;
        let (persistence, runtime) = (self.persistence.clone(), self.runtime.clone());
        Ok((
            Arc::new(PersistingTransport { inner, persistence, runtime, closed: Arc::default() }),
            events,
        ))
    }
}

struct PersistingTransport {
    inner: Arc<dyn Transport>,
    persistence: Arc<PersistBeforeSend>,
    runtime: EngineRuntime,
    /// Held while something is saved and sent that may be the word of a link; whether this side has
    /// closed the socket, so that nothing could be sent any more.
    closed: Arc<Mutex<bool>>,
}

#[async_trait]
impl Transport for PersistingTransport {
    async fn send(&self, data: Bytes) -> anyhow::Result<()> {
        if self.persistence.is_persisted() {
            return self.inner.send(data).await;
        }
        // To the end, also when the connection is closed meanwhile: were a link on disk and WhatsApp
        // never heard of it, the phone would show no device and berth would show one.
        let (inner, persistence) = (self.inner.clone(), self.persistence.clone());
        let closed = self.closed.clone();
        let sent = self.runtime.spawn_to_completion(async move {
            let closed = closed.lock().await;
            anyhow::ensure!(!*closed, "the connection was closed");
            persistence.persist_link().await?;
            if persistence.is_persisted() {
                // Before it is: of what was about to leave nobody knows how far it came.
                persistence.may_be_linked.store(true, Ordering::Release);
            }
            tokio::time::timeout(SEND_TIMEOUT, inner.send(data)).await?
        });
        sent.await?
    }

    async fn disconnect(&self) {
        // Not in the middle of that, and nothing of the kind afterwards.
        *self.closed.lock().await = true;
        self.inner.disconnect().await;
    }
}

/// Saves the device once it is linked, before another byte leaves.
pub(crate) struct PersistBeforeSend {
    device: Arc<PersistenceManager>,
    persisted: AtomicBool,
    /// Whether WhatsApp may have heard that the link was accepted. A link that is on disk and was never
    /// told is none.
    may_be_linked: Arc<AtomicBool>,
}

impl PersistBeforeSend {
    pub(crate) fn new(
        device: Arc<PersistenceManager>,
        may_be_linked: Arc<AtomicBool>,
    ) -> Arc<Self> {
        let persisted = AtomicBool::new(device.get_device_snapshot().pn.is_some());
        Arc::new(Self { device, persisted, may_be_linked })
    }

    fn is_persisted(&self) -> bool {
        self.persisted.load(Ordering::Acquire)
    }

    async fn persist_link(&self) -> anyhow::Result<()> {
        if self.is_persisted() {
            return Ok(());
        }
        let device = self.device.get_device_snapshot();
        if device.pn.is_some() && device.account.is_some() {
            // Not `flush`: it returns at once while the background saver is in the middle of it.
            self.device.backend().save(&device.to_serializable()).await?;
            self.persisted.store(true, Ordering::Release);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wacore::store::InMemoryBackend;
    use whatsapp_rust::store::DeviceStore as _;

    struct FakeTransport;

    #[async_trait]
    impl Transport for FakeTransport {
        async fn send(&self, _data: Bytes) -> anyhow::Result<()> {
            Ok(())
        }
        async fn disconnect(&self) {}
    }

    #[tokio::test]
    async fn link_is_persisted_before_the_next_send() {
        let backend = Arc::new(InMemoryBackend::new());
        let device = Arc::new(PersistenceManager::new(backend.clone()).await.unwrap());
        let transport = PersistingTransport {
            inner: Arc::new(FakeTransport),
            persistence: PersistBeforeSend::new(device.clone(), Arc::default()),
            runtime: EngineRuntime::new(Arc::new(tokio::sync::Semaphore::new(1)), "s1"),
            closed: Arc::default(),
        };
        device.modify_device(|d| d.pn = "15550001:7@s.whatsapp.net".parse().ok()).await;
        device.modify_device(|d| d.account = Some(Arc::default())).await;
        // No background saver runs here: what is on disk, the socket put there.
        assert!(backend.load().await.unwrap().is_none_or(|d| d.pn.is_none()));
        transport.send(Bytes::new()).await.unwrap();
        let saved = backend.load().await.unwrap().unwrap();
        assert!(saved.pn.is_some() && saved.account.is_some());
    }
}
