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

use crate::cage::Cage;

/// How long the word of a link may take to leave, on a network that takes nothing.
const PATIENCE: Duration = Duration::from_secs(5);

type Opened = (Arc<dyn Transport>, whatsapp_rust::async_channel::Receiver<TransportEvent>);

/// How sessions reach WhatsApp.
pub trait Wire: Send + Sync {
    /// Makes the sockets of this session.
    fn sockets(&self, session: &str) -> Arc<dyn TransportFactory>;
}

/// Sockets to one address; `None` is the real WhatsApp.
#[derive(Clone, Debug)]
pub struct WebSockets(pub Option<String>);

impl Wire for WebSockets {
    fn sockets(&self, _session: &str) -> Arc<dyn TransportFactory> {
        let factory = TokioWebSocketTransportFactory::new();
        Arc::new(match &self.0 {
            Some(url) => factory.with_url(url.clone()),
            None => factory,
        })
    }
}

/// Sockets that keep the promise.
pub(crate) struct KeptSockets {
    pub(crate) inner: Arc<dyn TransportFactory>,
    pub(crate) promise: Arc<Promise>,
    /// Where the promise is kept to the end.
    pub(crate) cage: Cage,
}

#[async_trait]
impl TransportFactory for KeptSockets {
    async fn create_transport(&self) -> anyhow::Result<Opened> {
        let (inner, events) = self.inner.create_transport().await?;
        let (promise, cage) = (self.promise.clone(), self.cage.clone());
        Ok((Arc::new(KeptSocket { inner, promise, cage, closed: Arc::default() }), events))
    }
}

struct KeptSocket {
    inner: Arc<dyn Transport>,
    promise: Arc<Promise>,
    cage: Cage,
    /// Held while something is saved and sent that may be the word of a link; whether this side has
    /// closed the socket, so that nothing could be sent any more.
    closed: Arc<Mutex<bool>>,
}

#[async_trait]
impl Transport for KeptSocket {
    async fn send(&self, data: Bytes) -> anyhow::Result<()> {
        if self.promise.is_kept() {
            return self.inner.send(data).await;
        }
        // To the end, also when the connection is closed meanwhile: were a link on disk and WhatsApp
        // never heard of it, the phone would show no device and berth would show one.
        let (inner, promise) = (self.inner.clone(), self.promise.clone());
        let closed = self.closed.clone();
        let sent = self.cage.run_to_end(async move {
            let closed = closed.lock().await;
            anyhow::ensure!(!*closed, "the connection was closed");
            promise.keep().await?;
            if promise.is_kept() {
                // Before it is: of what was about to leave nobody knows how far it came.
                promise.told.store(true, Ordering::Release);
            }
            tokio::time::timeout(PATIENCE, inner.send(data)).await?
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
pub(crate) struct Promise {
    device: Arc<PersistenceManager>,
    kept: AtomicBool,
    /// Whether WhatsApp may have heard that the link was accepted. A link that is on disk and was never
    /// told is none.
    told: Arc<AtomicBool>,
}

impl Promise {
    pub(crate) fn new(device: Arc<PersistenceManager>, told: Arc<AtomicBool>) -> Arc<Self> {
        let kept = AtomicBool::new(device.get_device_snapshot().pn.is_some());
        Arc::new(Self { device, kept, told })
    }

    fn is_kept(&self) -> bool {
        self.kept.load(Ordering::Acquire)
    }

    async fn keep(&self) -> anyhow::Result<()> {
        if self.is_kept() {
            return Ok(());
        }
        let device = self.device.get_device_snapshot();
        if device.pn.is_some() && device.account.is_some() {
            // Not `flush`: it returns at once while the background saver is in the middle of it.
            self.device.backend().save(&device.to_serializable()).await?;
            self.kept.store(true, Ordering::Release);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wacore::store::InMemoryBackend;
    use whatsapp_rust::store::DeviceStore as _;

    struct Socket;

    #[async_trait]
    impl Transport for Socket {
        async fn send(&self, _data: Bytes) -> anyhow::Result<()> {
            Ok(())
        }
        async fn disconnect(&self) {}
    }

    #[tokio::test]
    async fn nothing_leaves_before_the_link_is_on_disk() {
        let backend = Arc::new(InMemoryBackend::new());
        let device = Arc::new(PersistenceManager::new(backend.clone()).await.unwrap());
        let socket = KeptSocket {
            inner: Arc::new(Socket),
            promise: Promise::new(device.clone(), Arc::default()),
            cage: Cage::new(Arc::new(tokio::sync::Semaphore::new(1)), "s1"),
            closed: Arc::default(),
        };
        device.modify_device(|d| d.pn = "15550001:7@s.whatsapp.net".parse().ok()).await;
        device.modify_device(|d| d.account = Some(Arc::default())).await;
        // No background saver runs here: what is on disk, the socket put there.
        assert!(backend.load().await.unwrap().is_none_or(|d| d.pn.is_none()));
        socket.send(Bytes::new()).await.unwrap();
        let saved = backend.load().await.unwrap().unwrap();
        assert!(saved.pn.is_some() && saved.account.is_some());
    }
}
