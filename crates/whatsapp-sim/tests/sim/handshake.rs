//! Meeting the server: by the long way, by the short way, by the way back to the long one, and not
//! at all.

use crate::client::{Client, Keys, Wire, pair, public};
use crate::{ANN, linked, network};
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use whatsapp_sim::{Config, Simulator, StartError};

#[tokio::test]
async fn a_client_that_trusts_the_root_verifies_the_server() {
    let (simulator, _) = network(Config::default()).await;
    let keys = Keys::new();
    // Meeting includes the check of the whole chain.
    let anchor = simulator.trust_anchor();
    let mut client = Client::meet(&simulator.url(), anchor, &keys, keys.registration()).await;
    assert_eq!(client.refs().await.len(), 6);
}

#[tokio::test]
async fn who_knows_the_server_takes_the_short_way() {
    let (simulator, phone) = network(Config::default()).await;
    let (keys, device, client) = linked(&simulator, &phone).await;
    let known = (simulator.trust_anchor(), client.server);
    let payload = keys.login(ANN, device.id);
    let mut again = Client::return_to(&simulator.url(), known, &keys, payload).await;
    assert!(again.short);
    again.hear_a("success").await;
}

#[tokio::test]
async fn who_knows_a_server_that_is_no_more_learns_the_new_one() {
    let (simulator, phone) = network(Config::default()).await;
    let (keys, device, client) = linked(&simulator, &phone).await;
    let stale = (simulator.trust_anchor(), public(&pair()));
    let payload = keys.login(ANN, device.id);
    let mut again = Client::return_to(&simulator.url(), stale, &keys, payload).await;
    assert!(!again.short);
    assert_eq!(again.server, client.server);
    again.hear_a("success").await;
}

#[tokio::test]
async fn one_seed_is_one_root() {
    let config = Config { trust_anchor_seed: Some("seed".into()), ..Config::default() };
    let (one, _) = network(config.clone()).await;
    let (two, _) = network(config).await;
    let (other, _) = network(Config::default()).await;
    assert_eq!(one.trust_anchor(), two.trust_anchor());
    assert_ne!(one.trust_anchor(), other.trust_anchor());
}

#[tokio::test]
async fn garbage_ends_the_connection_and_nothing_else() {
    let (simulator, phone) = network(Config { max_frame: 4096, ..Config::default() }).await;
    let mut flood = b"WA\x06\x03".to_vec();
    flood.extend([0xff; 6000]);
    for garbage in [b"nonsense".to_vec(), b"WA\x06\x03\0\0\x04abcd".to_vec(), flood] {
        let mut wire = Wire::open(&simulator.url()).await;
        wire.raw(garbage).await;
        assert!(wire.next().await.is_none());
    }
    linked(&simulator, &phone).await;
}

#[tokio::test]
async fn a_client_that_does_not_finish_the_handshake_is_hung_up_on() {
    let deadline = std::time::Duration::from_millis(50);
    let (simulator, _) =
        network(Config { handshake_deadline: deadline, ..Config::default() }).await;
    let mut stream = TcpStream::connect(simulator.address()).await.unwrap();
    assert_eq!(stream.read(&mut [0; 16]).await.unwrap(), 0);
}

#[tokio::test]
async fn there_is_room_for_so_many_and_no_more() {
    let (simulator, _) = network(Config { max_connections: 1, ..Config::default() }).await;
    let keys = Keys::new();
    let anchor = simulator.trust_anchor();
    let first = Client::meet(&simulator.url(), anchor, &keys, keys.registration()).await;
    assert!(tokio_tungstenite::connect_async(simulator.url()).await.is_err());
    drop(first);
    assert!(simulator.wait_for(crate::client::PATIENCE, |s| s.waiting_clients() == 0).await);
}

#[tokio::test]
async fn only_loopback_is_listened_on() {
    let config = Config { listen: "0.0.0.0:0".parse().unwrap(), ..Config::default() };
    assert!(matches!(Simulator::start(config).await, Err(StartError::NotLoopback(_))));
}
