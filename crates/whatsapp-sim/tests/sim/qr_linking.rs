//! Linking by QR code.

use crate::client::{ClientKeys, text};
use crate::{ANN, connect_unlinked, expect_refusal, link, linked, log_in, network};
use std::time::Duration;
use whatsapp_sim::{Config, PhoneError};

#[tokio::test]
async fn scanned_client_becomes_a_device_and_is_restarted() {
    let (simulator, phone) = network(Config::default()).await;
    for (n, prefix) in [(1, ""), (2, "https://wa.me/settings/linked_devices#")] {
        let keys = ClientKeys::new();
        let (mut client, refs) = connect_unlinked(&simulator, &keys).await;
        // Every reference is valid, not only the first.
        let qr = format!("{prefix}{}", keys.qr(&refs[n]));
        let (device, success) = tokio::join!(phone.scan(&qr), client.sign(&keys));
        let (device, success) = (device.unwrap(), success.unwrap());
        let named = success.get_optional_child("device").unwrap();
        assert_eq!(text(named, "jid"), device.jid);
        assert_eq!(text(named, "lid"), format!("{}:{}@lid", phone.lid(), device.id));
        assert_eq!(text(success.get_optional_child("biz").unwrap(), "name"), "Ann");
        assert_eq!((device.platform.as_str(), device.os.as_str()), ("firefox", "Test OS"));
        assert_eq!(text(&client.wait_for_close().await.unwrap(), "code"), "515");
        assert_eq!(phone.devices().len(), n);
    }
}

#[tokio::test]
async fn qr_of_no_client_is_refused() {
    let (simulator, phone) = network(Config::default()).await;
    let keys = ClientKeys::new();
    assert_eq!(expect_refusal(phone.scan(&keys.qr("2@nobody")).await), PhoneError::QrExpired);
    let (client, refs) = connect_unlinked(&simulator, &keys).await;
    drop(client);
    assert!(simulator.wait_for(crate::client::PATIENCE, |s| s.unlinked_client_count() == 0).await);
    assert_eq!(expect_refusal(phone.scan(&keys.qr(&refs[0])).await), PhoneError::QrExpired);
}

#[tokio::test]
async fn expired_qr_is_refused_and_the_next_is_accepted() {
    let config = Config { first_ref_lifetime: Duration::ZERO, ..Config::default() };
    let (simulator, phone) = network(config).await;
    let keys = ClientKeys::new();
    let (mut client, refs) = connect_unlinked(&simulator, &keys).await;
    assert_eq!(expect_refusal(phone.scan(&keys.qr(&refs[0])).await), PhoneError::QrExpired);
    let qr = keys.qr(&refs[1]);
    let (device, signed) = tokio::join!(phone.scan(&qr), client.sign(&keys));
    assert!(device.is_ok() && signed.is_ok());
}

#[tokio::test]
async fn qr_with_the_key_of_another_client_is_refused() {
    let (simulator, phone) = network(Config::default()).await;
    let (keys, other) = (ClientKeys::new(), ClientKeys::new());
    let (_client, refs) = connect_unlinked(&simulator, &keys).await;
    assert_eq!(expect_refusal(phone.scan(&other.qr(&refs[0])).await), PhoneError::QrMismatch);
}

#[tokio::test]
async fn client_rejects_a_forged_secret_and_the_qr_stays_valid() {
    let (simulator, phone) = network(Config::default()).await;
    let (keys, mut forged) = (ClientKeys::new(), ClientKeys::new());
    let (mut client, refs) = connect_unlinked(&simulator, &keys).await;
    forged.state.noise_key = keys.state.noise_key.clone();
    forged.state.identity_key = keys.state.identity_key.clone();
    let qr = forged.qr(&refs[0]);
    let (device, signed) = tokio::join!(phone.scan(&qr), client.sign(&keys));
    assert_eq!(expect_refusal(device), PhoneError::Refused("401 hmac-mismatch".into()));
    assert_eq!(signed.unwrap_err(), "hmac-mismatch");
    let qr = keys.qr(&refs[0]);
    let (device, signed) = tokio::join!(phone.scan(&qr), client.sign(&keys));
    assert!(device.is_ok() && signed.is_ok());
}

#[tokio::test]
async fn signature_of_another_identity_is_rejected() {
    let (simulator, phone) = network(Config::default()).await;
    let (keys, other) = (ClientKeys::new(), ClientKeys::new());
    let (mut client, refs) = connect_unlinked(&simulator, &keys).await;
    // The QR code names an identity that the client does not have; the client signs with its own.
    let mut named = ClientKeys::new();
    named.state.noise_key = keys.state.noise_key.clone();
    named.state.adv_secret_key = keys.state.adv_secret_key;
    let qr = named.qr(&refs[0]);
    let sign = async {
        let order = client.receive_tag("iq").await;
        let junk = wacore::pair::PairUtils::build_pair_success_response(
            &text(&order, "id"),
            other.state.adv_secret_key.to_vec(),
            1,
        );
        client.send(junk).await;
    };
    let (device, ()) = tokio::join!(phone.scan(&qr), sign);
    assert!(matches!(expect_refusal(device), PhoneError::Refused(_)));
    assert!(phone.devices().is_empty());
}

#[tokio::test]
async fn scan_times_out_without_a_signature() {
    let config = Config { companion_timeout: Duration::from_millis(50), ..Config::default() };
    let (simulator, phone) = network(config).await;
    let keys = ClientKeys::new();
    let (client, refs) = connect_unlinked(&simulator, &keys).await;
    let qr = keys.qr(&refs[0]);
    assert_eq!(expect_refusal(phone.scan(&qr).await), PhoneError::ClientTimeout);
    drop(client);
}

#[tokio::test]
async fn second_approval_of_a_client_is_refused() {
    let (simulator, phone) = network(Config::default()).await;
    let bob = simulator.add_phone("15550000002", "Bob").unwrap();
    let keys = ClientKeys::new();
    let (mut client, refs) = connect_unlinked(&simulator, &keys).await;
    let qr = keys.qr(&refs[0]);
    let (first, second, signed) =
        tokio::join!(biased; phone.scan(&qr), bob.scan(&qr), client.sign(&keys));
    assert!(first.is_ok() && signed.is_ok());
    assert_eq!(expect_refusal(second), PhoneError::LinkInProgress);
}

#[tokio::test]
async fn linked_devices_are_limited() {
    let (simulator, phone) = network(Config { max_devices: 1, ..Config::default() }).await;
    let device = link(&simulator, &phone, &ClientKeys::new()).await;
    let keys = ClientKeys::new();
    let (_client, refs) = connect_unlinked(&simulator, &keys).await;
    assert_eq!(expect_refusal(phone.scan(&keys.qr(&refs[0])).await), PhoneError::TooManyDevices);
    phone.unlink(device.id).unwrap();
    assert_ne!(link(&simulator, &phone, &ClientKeys::new()).await.id, device.id);
}

#[tokio::test]
async fn relinked_client_replaces_its_old_device() {
    let (simulator, phone) = network(Config::default()).await;
    let (keys, old, client) = linked(&simulator, &phone).await;
    drop(client);
    let new = link(&simulator, &phone, &keys).await;
    let ids: Vec<_> = phone.devices().iter().map(|device| device.id).collect();
    assert_eq!(ids, [new.id]);
    let mut client = log_in(&simulator, &keys, ANN, old.id).await;
    assert_eq!(text(&client.wait_for_close().await.unwrap(), "reason"), "401");
}

#[tokio::test]
async fn hosted_account_is_marked_outside_the_signature() {
    let (simulator, phone) = network(Config::default()).await;
    phone.set_hosted(true);
    let keys = ClientKeys::new();
    let (mut client, refs) = connect_unlinked(&simulator, &keys).await;
    let qr = keys.qr(&refs[0]);
    // The engine's check does not accept such accounts yet; the HMAC must be valid.
    let (device, signed) = tokio::join!(phone.scan(&qr), client.sign(&keys));
    assert_eq!(signed.unwrap_err(), "signature-mismatch");
    assert!(matches!(expect_refusal(device), PhoneError::Refused(_)));
}

#[tokio::test]
async fn state_file_restores_the_network() {
    let folder = tempfile::tempdir().unwrap();
    let config = Config { state: Some(folder.path().join("state.json")), ..Config::default() };
    let (simulator, phone) = network(config.clone()).await;
    let (keys, device, client) = linked(&simulator, &phone).await;
    let (anchor, server, lid) = (simulator.trust_anchor(), client.server, phone.lid());
    simulator.stop().await;
    drop((simulator, client));

    let (simulator, phone) = network(config).await;
    assert_eq!((simulator.trust_anchor(), phone.lid()), (anchor, lid));
    assert_eq!(
        phone.devices(),
        [whatsapp_sim::LinkedDevice { connected: false, ..device.clone() }]
    );
    let mut client = log_in(&simulator, &keys, ANN, device.id).await;
    client.receive_tag("success").await;
    assert_eq!(client.server, server);
}

#[tokio::test]
async fn unusable_state_file_is_an_error_and_not_overwritten() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state.json");
    std::fs::write(&path, "not mine").unwrap();
    let config = Config { state: Some(path.clone()), ..Config::default() };
    assert!(whatsapp_sim::Simulator::start(config).await.is_err());
    assert_eq!(std::fs::read_to_string(path).unwrap(), "not mine");
    let config = Config { state: Some(folder.path().join("no/such/place")), ..Config::default() };
    assert!(whatsapp_sim::Simulator::start(config).await.is_err());
}
