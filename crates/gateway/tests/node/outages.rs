//! Long outages of WhatsApp: sessions do not wait for the engine's next attempt, which may be minutes
//! away.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use gateway::TransportProvider;
use wacore::net::{Transport, TransportEvent, TransportFactory};
use whatsapp_rust::async_channel;
use whatsapp_sim::{Config, Kick};

use crate::{
    fixture::NodeFixture,
    wait::{PATIENCE, until},
};

/// Numbers the factories, and lets those below a number fail for ever.
#[derive(Default)]
struct Network {
    factories: AtomicU32,
    failing_below: AtomicU32,
    failures: AtomicU32,
}

struct AgingProvider {
    inner: Arc<dyn TransportProvider>,
    network: Arc<Network>,
}

struct AgingTransportFactory {
    inner: Arc<dyn TransportFactory>,
    network: Arc<Network>,
    number: u32,
}

impl TransportProvider for AgingProvider {
    fn transport_factory(&self, session: &str) -> Arc<dyn TransportFactory> {
        let (inner, network) = (self.inner.transport_factory(session), self.network.clone());
        let number = network.factories.fetch_add(1, Ordering::SeqCst);
        Arc::new(AgingTransportFactory { inner, network, number })
    }
}

#[async_trait::async_trait]
impl TransportFactory for AgingTransportFactory {
    async fn create_transport(
        &self,
    ) -> anyhow::Result<(Arc<dyn Transport>, async_channel::Receiver<TransportEvent>)> {
        if self.number < self.network.failing_below.load(Ordering::SeqCst) {
            self.network.failures.fetch_add(1, Ordering::SeqCst);
            anyhow::bail!("WhatsApp is away");
        }
        self.inner.create_transport().await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn session_begins_anew_when_another_one_reaches_whatsapp_after_an_outage() {
    let network = Arc::new(Network::default());
    let provided = network.clone();
    let fixture = NodeFixture::with(Config::default(), 100, |inner| {
        Arc::new(AgingProvider { inner, network: provided })
    })
    .await;
    let add = |number, name| fixture.whatsapp.add_phone(number, name).unwrap();
    let [waiting, other] = [add("15550000020", "Waiting"), add("15550000021", "Other")];
    let works = fixture.linked("s1", &waiting).await;
    assert!(waiting.wait_connected(1, PATIENCE).await);
    // The engine of the session never connects again: only a new one can.
    network.failing_below.store(network.factories.load(Ordering::SeqCst), Ordering::SeqCst);
    waiting.kick(works.identity.unwrap().device, Kick::Close).unwrap();
    until("the engine has failed six times", async || {
        (network.failures.load(Ordering::SeqCst) >= 6).then_some(())
    })
    .await;
    assert!(!waiting.wait_connected(1, Duration::ZERO).await);
    fixture.linked("s2", &other).await;
    assert!(waiting.wait_connected(1, PATIENCE).await, "the session waits for its engine");
    assert_eq!(fixture.api.working("s1").await.reason, None);
    fixture.end().await;
}
