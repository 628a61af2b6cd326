//! The transport to WhatsApp. A link is on disk before WhatsApp receives its confirmation.
//!
//! The engine confirms a link first and saves it in the background. A crash in between would leave
//! a device on the phone without keys on the node.
//!
//! Decision: ADR 0008.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use anyhow::Context as _;
use async_trait::async_trait;
use bytes::Bytes;
use hyper::{
    Uri,
    header::{HeaderValue, ORIGIN},
};
use tokio::{net::TcpStream, sync::Mutex};
use tokio_websockets::ClientBuilder;
use wacore::net::{
    Transport, TransportEvent, TransportFactory, WHATSAPP_WEB_ORIGIN, WHATSAPP_WEB_WS_URL,
};
use whatsapp_rust::{
    store::persistence_manager::PersistenceManager,
    transport::{Connector, default_tls_connector, from_websocket},
};

use crate::{engine_runtime::EngineRuntime, reachability::ConnectAttempts};

/// Time limit for sending a confirmation on a network that accepts no data.
const SEND_TIMEOUT: Duration = Duration::from_secs(5);

pub(crate) type OpenTransport =
    (Arc<dyn Transport>, whatsapp_rust::async_channel::Receiver<TransportEvent>);

/// Creates the connections of sessions to WhatsApp.
pub trait TransportProvider: Send + Sync {
    /// Returns the factory that opens the connections of this session.
    fn transport_factory(&self, session: &str) -> Arc<dyn TransportFactory>;
}

/// WebSocket connections to one address. `None` is the address of WhatsApp itself.
#[derive(Clone, Debug)]
pub struct WebSocketProvider(pub Option<String>);

impl TransportProvider for WebSocketProvider {
    fn transport_factory(&self, _session: &str) -> Arc<dyn TransportFactory> {
        let url = self.0.clone().unwrap_or_else(|| WHATSAPP_WEB_WS_URL.to_owned());
        Arc::new(PromptTransportFactory { url })
    }
}

/// Opens connections that send every message at once.
///
/// The engine's own factory leaves Nagle's algorithm on: a message behind a receipt then waits until
/// the other side has confirmed the receipt, for 40 ms and more.
struct PromptTransportFactory {
    url: String,
}

#[async_trait]
impl TransportFactory for PromptTransportFactory {
    async fn create_transport(&self) -> anyhow::Result<OpenTransport> {
        let address: Uri = self.url.parse()?;
        let is_encrypted = address.scheme_str() == Some("wss");
        let host = address.host().context("the address of WhatsApp has no host")?;
        let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        let port = address.port_u16().unwrap_or(if is_encrypted { 443 } else { 80 });
        let stream = TcpStream::connect((host.as_str(), port)).await?;
        stream.set_nodelay(true)?;
        let connector = if is_encrypted { default_tls_connector() } else { Connector::Plain };
        let stream = connector.wrap(&host, stream).await?;
        let origin = HeaderValue::from_static(WHATSAPP_WEB_ORIGIN);
        let client = ClientBuilder::from_uri(address).add_header(ORIGIN, origin)?;
        let (socket, _) = client.connect_on(stream).await?;
        Ok(from_websocket(socket))
    }
}

/// Opens transports that persist a link before they confirm it.
pub(crate) struct PersistingTransportFactory {
    pub(crate) inner: Arc<dyn TransportFactory>,
    pub(crate) attempts: Arc<ConnectAttempts>,
    pub(crate) persistence: Arc<PersistBeforeSend>,
    /// Completes a confirmation that has started, even when the connection closes.
    pub(crate) runtime: EngineRuntime,
}

#[async_trait]
impl TransportFactory for PersistingTransportFactory {
    async fn create_transport(&self) -> anyhow::Result<OpenTransport> {
        self.attempts.begin(&self.inner);
        let (inner, events) = self.inner.create_transport().await?;
        self.attempts.succeeded();
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
    /// Locked while data is saved and sent that may confirm a link. `true`: this side has closed
    /// the transport, so that no data can be sent.
    closed: Arc<Mutex<bool>>,
}

#[async_trait]
impl Transport for PersistingTransport {
    async fn send(&self, data: Bytes) -> anyhow::Result<()> {
        if self.persistence.is_persisted() {
            return self.inner.send(data).await;
        }
        // The task runs to its end even if the connection closes meanwhile. If a link were on disk
        // and WhatsApp never received its confirmation, berth would show a device that the phone
        // does not have.
        let (inner, persistence) = (self.inner.clone(), self.persistence.clone());
        let closed = self.closed.clone();
        let sent = self.runtime.spawn_to_completion(async move {
            let closed = closed.lock().await;
            anyhow::ensure!(!*closed, "the connection was closed");
            persistence.persist_link().await?;
            if persistence.is_persisted() {
                // Set before the send: of an interrupted send, the part that arrived is unknown.
                persistence.may_be_linked.store(true, Ordering::Release);
            }
            tokio::time::timeout(SEND_TIMEOUT, inner.send(data)).await?
        });
        sent.await?
    }

    async fn disconnect(&self) {
        // Waits for a confirmation in progress; later ones fail.
        *self.closed.lock().await = true;
        self.inner.disconnect().await;
    }
}

/// Saves the device as soon as it is linked, before any further data is sent.
pub(crate) struct PersistBeforeSend {
    device: Arc<PersistenceManager>,
    persisted: AtomicBool,
    /// Whether WhatsApp may have received the confirmation. A saved link that was never confirmed
    /// is void.
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
            // Not `flush`, which returns at once while the background saver is writing.
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
        // No background saver runs in this test: the transport wrote the device.
        assert!(backend.load().await.unwrap().is_none_or(|d| d.pn.is_none()));
        transport.send(Bytes::new()).await.unwrap();
        let saved = backend.load().await.unwrap().unwrap();
        assert!(saved.pn.is_some() && saved.account.is_some());
    }
}
