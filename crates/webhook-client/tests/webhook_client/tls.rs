//! TLS: items 26 and 27 of the list of hostile receivers.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, date_time_ymd};
use rustls::{
    RootCertStore, ServerConfig,
    pki_types::{CertificateDer, PrivateKeyDer},
    server::Acceptor,
};
use tokio::io::AsyncReadExt as _;
use tokio_rustls::LazyConfigAcceptor;
use webhook_client::{Sender, SystemDial};

use crate::{
    receiver::{OK, Peer, Receiver},
    world::{attempt, config, network, send, sender},
};

/// A certificate authority.
struct Authority {
    issuer: Issuer<'static, KeyPair>,
    certificate: CertificateDer<'static>,
}

impl Authority {
    fn new() -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let certificate = params.self_signed(&key).unwrap().der().clone();
        Self { issuer: Issuer::new(params, key), certificate }
    }

    /// Issues a server's certificate for `name`; an expired one ended in 2001.
    fn server(&self, name: &str, expired: bool) -> Arc<ServerConfig> {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new([name.to_owned()]).unwrap();
        if expired {
            params.not_before = date_time_ymd(2000, 1, 1);
            params.not_after = date_time_ymd(2001, 1, 1);
        }
        let certificate = params.signed_by(&key, &self.issuer).unwrap().der().clone();
        server_config(certificate, &key)
    }
}

fn self_signed(name: &str) -> Arc<ServerConfig> {
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new([name.to_owned()]).unwrap();
    let certificate = params.self_signed(&key).unwrap().der().clone();
    server_config(certificate, &key)
}

fn server_config(certificate: CertificateDer<'static>, key: &KeyPair) -> Arc<ServerConfig> {
    let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key);
    Arc::new(config.unwrap())
}

/// Starts a TLS receiver that answers `200 OK`, and records the names that clients ask for.
async fn tls_receiver(config: Arc<ServerConfig>) -> (Receiver, Arc<Mutex<Vec<Option<String>>>>) {
    let names = Arc::<Mutex<Vec<Option<String>>>>::default();
    let recorded = Arc::clone(&names);
    let receiver = Receiver::start(move |peer: Peer| {
        let (config, recorded) = (Arc::clone(&config), Arc::clone(&recorded));
        async move {
            let (stream, peer) = peer.split();
            let Ok(start) = LazyConfigAcceptor::new(Acceptor::default(), stream).await else {
                return;
            };
            let name = start.client_hello().server_name().map(str::to_owned);
            recorded.lock().unwrap().push(name);
            let Ok(stream) = start.into_stream(config).await else { return };
            let mut peer = peer.map(stream);
            while peer.request().await.is_some() {
                peer.write(OK).await;
            }
        }
    })
    .await;
    (receiver, names)
}

/// Returns a sender for which every name is loopback, and which trusts `roots`.
fn trusting(roots: &[&Authority]) -> Sender {
    let address = SocketAddr::from(([127, 0, 0, 1], 0));
    let (network, _) = network(move |_| Ok(vec![address]), SystemDial);
    let mut config = config("127.0.0.0/8");
    config.roots = RootCertStore::empty();
    for root in roots {
        config.roots.add(root.certificate.clone()).unwrap();
    }
    Sender::with_network(config, network).unwrap()
}

fn url(name: &str, receiver: &Receiver) -> String {
    format!("https://{name}:{}/", receiver.address.port())
}

#[tokio::test]
async fn certificate_must_fit_name_time_and_authority() {
    let (trusted, unknown) = (Authority::new(), Authority::new());
    let sender = trusting(&[&trusted]);
    for (server, expected) in [
        (trusted.server("hook.example", false), "2xx"),
        (trusted.server("other.example", false), "tls"),
        (trusted.server("hook.example", true), "tls"),
        (unknown.server("hook.example", false), "tls"),
        (self_signed("hook.example"), "tls"),
    ] {
        let (receiver, names) = tls_receiver(server).await;
        let outcome = send(&sender, &url("hook.example", &receiver)).await;
        assert_eq!(outcome.class.as_str(), expected, "{outcome:?}");
        assert_eq!(*names.lock().unwrap(), [Some("hook.example".to_owned())]);
        assert_eq!(receiver.requests().len(), usize::from(expected == "2xx"));
    }
}

#[tokio::test]
async fn tls_connection_is_used_again() {
    let trusted = Authority::new();
    let sender = trusting(&[&trusted]);
    let (receiver, _) = tls_receiver(trusted.server("hook.example", false)).await;
    for _ in 0..3 {
        assert_eq!(send(&sender, &url("hook.example", &receiver)).await.class.as_str(), "2xx");
    }
    assert_eq!(receiver.accepted(), 1);
}

#[tokio::test]
async fn address_is_checked_against_the_certificate() {
    let trusted = Authority::new();
    let sender = trusting(&[&trusted]);
    for (name, expected) in [("127.0.0.1", "2xx"), ("hook.example", "tls")] {
        let (receiver, names) = tls_receiver(trusted.server(name, false)).await;
        assert_eq!(send(&sender, &url("127.0.0.1", &receiver)).await.class.as_str(), expected);
        assert_eq!(*names.lock().unwrap(), [None]);
    }
}

/// Starts a receiver that reads the first bytes of a client and answers with `bytes`.
async fn raw(bytes: Vec<u8>) -> Receiver {
    Receiver::start(move |mut peer| {
        let bytes = bytes.clone();
        async move {
            let _ = peer.stream.read(&mut [0; 4096]).await;
            peer.write(&bytes).await;
            peer.hold().await;
        }
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn broken_handshake_is_a_tls_failure() {
    let alert = |code: u8| vec![0x15, 3, 3, 0, 2, 2, code];
    let rubbish = [&[0x16, 3, 3, 0x40, 0][..], &[0xaa; 0x4000]].concat();
    let (sender, healthy) = (sender(), Receiver::healthy().await);
    for (name, bytes, expected) in [
        ("TLS 1.1 only: protocol_version", alert(70), "tls"),
        ("CBC only: handshake_failure", alert(40), "tls"),
        ("unrecognized_name", alert(112), "tls"),
        ("no_application_protocol", alert(120), "tls"),
        ("record of 16 kB of rubbish", rubbish, "tls"),
        ("plain HTTP", OK.to_vec(), "tls"),
        ("stalled after ClientHello", Vec::new(), "timeout"),
        ("stalled within ServerHello", vec![0x16, 3, 3, 0, 90, 2], "timeout"),
    ] {
        let receiver = raw(bytes).await;
        let (url, healthy_url) = (url("127.0.0.1", &receiver), healthy.url());
        let neighbour = attempt(&healthy_url, "wh_healthy");
        let (outcome, neighbour) = tokio::join!(send(&sender, &url), sender.send(&neighbour));
        assert_eq!(outcome.class.as_str(), expected, "{name}: {outcome:?}");
        assert_eq!(neighbour.class.as_str(), "2xx", "{name}");
        receiver.wait_until_open(0).await;
    }
}

#[tokio::test]
async fn connection_that_ends_in_the_handshake_is_a_tls_failure() {
    let sender = sender();
    let closing = Receiver::start(|peer| async move { drop(peer) }).await;
    let resetting = Receiver::start(|mut peer| async move {
        let _ = peer.stream.read(&mut [0; 16]).await;
        peer.reset();
    })
    .await;
    for receiver in [closing, resetting] {
        let outcome = send(&sender, &url("127.0.0.1", &receiver)).await;
        assert_eq!(outcome.class.as_str(), "tls", "{outcome:?}");
    }
}

#[tokio::test]
async fn tls_receiver_of_a_plain_url_is_malformed() {
    let (receiver, _) = tls_receiver(self_signed("127.0.0.1")).await;
    let alert = raw(vec![0x15, 3, 1, 0, 2, 2, 10]).await;
    let sender = sender();
    assert_eq!(send(&sender, &alert.url()).await.class.as_str(), "malformed");
    let class = send(&sender, &receiver.url()).await.class;
    assert!(["malformed", "reset"].contains(&class.as_str()), "{class:?}");
}
