//! The handshake: XX, IK, the fallback, and failures.

use crate::client::{Client, ClientKeys, FrameSocket, pair, public};
use crate::{ANN, linked, network};
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use whatsapp_sim::{Config, Simulator, StartError};

#[tokio::test]
async fn server_certificate_is_verified_with_the_root() {
    let (simulator, _) = network(Config::default()).await;
    let keys = ClientKeys::new();
    // `connect` verifies the whole chain.
    let anchor = simulator.trust_anchor();
    let mut client = Client::connect(&simulator.url(), anchor, &keys, keys.registration()).await;
    assert_eq!(client.refs().await.len(), 6);
}

#[tokio::test]
async fn known_server_key_uses_ik() {
    let (simulator, phone) = network(Config::default()).await;
    let (keys, device, client) = linked(&simulator, &phone).await;
    let known = (simulator.trust_anchor(), client.server);
    let payload = keys.login(ANN, device.id);
    let mut again = Client::reconnect(&simulator.url(), known, &keys, payload).await;
    assert!(again.short);
    again.receive_tag("success").await;
}

#[tokio::test]
async fn old_server_key_falls_back_to_xx() {
    let (simulator, phone) = network(Config::default()).await;
    let (keys, device, client) = linked(&simulator, &phone).await;
    let stale = (simulator.trust_anchor(), public(&pair()));
    let payload = keys.login(ANN, device.id);
    let mut again = Client::reconnect(&simulator.url(), stale, &keys, payload).await;
    assert!(!again.short);
    assert_eq!(again.server, client.server);
    again.receive_tag("success").await;
}

#[tokio::test]
async fn seed_determines_the_root() {
    let config = Config { trust_anchor_seed: Some("seed".into()), ..Config::default() };
    let (one, _) = network(config.clone()).await;
    let (two, _) = network(config).await;
    let (other, _) = network(Config::default()).await;
    assert_eq!(one.trust_anchor(), two.trust_anchor());
    assert_ne!(one.trust_anchor(), other.trust_anchor());
}

#[tokio::test]
async fn garbage_ends_its_connection_only() {
    let (simulator, phone) = network(Config { max_frame: 4096, ..Config::default() }).await;
    let mut flood = b"WA\x06\x03".to_vec();
    flood.extend([0xff; 6000]);
    for garbage in [b"nonsense".to_vec(), b"WA\x06\x03\0\0\x04abcd".to_vec(), flood] {
        let mut socket = FrameSocket::open(&simulator.url()).await;
        socket.send_raw(garbage).await;
        assert!(socket.next().await.is_none());
    }
    linked(&simulator, &phone).await;
}

#[tokio::test]
async fn unfinished_handshake_times_out() {
    let deadline = std::time::Duration::from_millis(50);
    let (simulator, _) =
        network(Config { handshake_deadline: deadline, ..Config::default() }).await;
    let mut stream = TcpStream::connect(simulator.address()).await.unwrap();
    assert_eq!(stream.read(&mut [0; 16]).await.unwrap(), 0);
}

#[tokio::test]
async fn connections_are_limited() {
    let (simulator, _) = network(Config { max_connections: 1, ..Config::default() }).await;
    let keys = ClientKeys::new();
    let anchor = simulator.trust_anchor();
    let first = Client::connect(&simulator.url(), anchor, &keys, keys.registration()).await;
    assert!(tokio_tungstenite::connect_async(simulator.url()).await.is_err());
    drop(first);
    assert!(simulator.wait_for(crate::client::PATIENCE, |s| s.unlinked_client_count() == 0).await);
}

#[tokio::test]
async fn simulator_listens_on_loopback_only() {
    let config = Config { listen: "0.0.0.0:0".parse().unwrap(), ..Config::default() };
    assert!(matches!(Simulator::start(config).await, Err(StartError::NotLoopback(_))));
}
