//! Linking by QR: what makes a device, and what does not.

use crate::client::{Keys, text};
use crate::{ANN, come, link, linked, network, refused, waiting};
use std::time::Duration;
use whatsapp_sim::{Config, PhoneError};

#[tokio::test]
async fn a_scanned_client_becomes_a_device_and_is_told_to_start_anew() {
    let (simulator, phone) = network(Config::default()).await;
    for (n, prefix) in [(1, ""), (2, "https://wa.me/settings/linked_devices#")] {
        let keys = Keys::new();
        let (mut client, refs) = waiting(&simulator, &keys).await;
        // Any of the references will do, not only the first.
        let qr = format!("{prefix}{}", keys.qr(&refs[n]));
        let (device, success) = tokio::join!(phone.scan(&qr), client.sign(&keys));
        let (device, success) = (device.unwrap(), success.unwrap());
        let named = success.get_optional_child("device").unwrap();
        assert_eq!(text(named, "jid"), device.jid);
        assert_eq!(text(named, "lid"), format!("{}:{}@lid", phone.lid(), device.id));
        assert_eq!(text(success.get_optional_child("biz").unwrap(), "name"), "Ann");
        assert_eq!((device.platform.as_str(), device.os.as_str()), ("firefox", "Test OS"));
        assert_eq!(text(&client.farewell().await.unwrap(), "code"), "515");
        assert_eq!(phone.devices().len(), n);
    }
}

#[tokio::test]
async fn a_qr_that_nobody_shows_is_refused() {
    let (simulator, phone) = network(Config::default()).await;
    let keys = Keys::new();
    assert_eq!(refused(phone.scan(&keys.qr("2@nobody")).await), PhoneError::QrExpired);
    let (client, refs) = waiting(&simulator, &keys).await;
    drop(client);
    assert!(simulator.wait_for(crate::client::PATIENCE, |s| s.waiting_clients() == 0).await);
    assert_eq!(refused(phone.scan(&keys.qr(&refs[0])).await), PhoneError::QrExpired);
}

#[tokio::test]
async fn a_qr_whose_time_is_over_is_refused_and_the_next_one_is_not() {
    let config = Config { first_ref_lifetime: Duration::ZERO, ..Config::default() };
    let (simulator, phone) = network(config).await;
    let keys = Keys::new();
    let (mut client, refs) = waiting(&simulator, &keys).await;
    assert_eq!(refused(phone.scan(&keys.qr(&refs[0])).await), PhoneError::QrExpired);
    let qr = keys.qr(&refs[1]);
    let (device, signed) = tokio::join!(phone.scan(&qr), client.sign(&keys));
    assert!(device.is_ok() && signed.is_ok());
}

#[tokio::test]
async fn a_qr_with_another_clients_key_is_refused() {
    let (simulator, phone) = network(Config::default()).await;
    let (keys, other) = (Keys::new(), Keys::new());
    let (_client, refs) = waiting(&simulator, &keys).await;
    assert_eq!(refused(phone.scan(&other.qr(&refs[0])).await), PhoneError::QrMismatch);
}

#[tokio::test]
async fn a_forged_secret_is_found_out_by_the_client_and_the_qr_stays_good() {
    let (simulator, phone) = network(Config::default()).await;
    let (keys, mut forged) = (Keys::new(), Keys::new());
    let (mut client, refs) = waiting(&simulator, &keys).await;
    forged.state.noise_key = keys.state.noise_key.clone();
    forged.state.identity_key = keys.state.identity_key.clone();
    let qr = forged.qr(&refs[0]);
    let (device, signed) = tokio::join!(phone.scan(&qr), client.sign(&keys));
    assert_eq!(refused(device), PhoneError::Refused("401 hmac-mismatch".into()));
    assert_eq!(signed.unwrap_err(), "hmac-mismatch");
    let qr = keys.qr(&refs[0]);
    let (device, signed) = tokio::join!(phone.scan(&qr), client.sign(&keys));
    assert!(device.is_ok() && signed.is_ok());
}

#[tokio::test]
async fn a_signature_of_another_identity_makes_no_device() {
    let (simulator, phone) = network(Config::default()).await;
    let (keys, other) = (Keys::new(), Keys::new());
    let (mut client, refs) = waiting(&simulator, &keys).await;
    // The QR names an identity that the client does not have: it signs with its own.
    let mut named = Keys::new();
    named.state.noise_key = keys.state.noise_key.clone();
    named.state.adv_secret_key = keys.state.adv_secret_key;
    let qr = named.qr(&refs[0]);
    let sign = async {
        let order = client.hear_a("iq").await;
        let junk = wacore::pair::PairUtils::build_pair_success_response(
            &text(&order, "id"),
            other.state.adv_secret_key.to_vec(),
            1,
        );
        client.say(junk).await;
    };
    let (device, ()) = tokio::join!(phone.scan(&qr), sign);
    assert!(matches!(refused(device), PhoneError::Refused(_)));
    assert!(phone.devices().is_empty());
}

#[tokio::test]
async fn a_client_that_never_signs_does_not_keep_the_phone_waiting() {
    let config = Config { companion_deadline: Duration::from_millis(50), ..Config::default() };
    let (simulator, phone) = network(config).await;
    let keys = Keys::new();
    let (client, refs) = waiting(&simulator, &keys).await;
    let qr = keys.qr(&refs[0]);
    assert_eq!(refused(phone.scan(&qr).await), PhoneError::Silent);
    drop(client);
}

#[tokio::test]
async fn two_phones_cannot_approve_one_client_at_once() {
    let (simulator, phone) = network(Config::default()).await;
    let bob = simulator.add_phone("15550000002", "Bob").unwrap();
    let keys = Keys::new();
    let (mut client, refs) = waiting(&simulator, &keys).await;
    let qr = keys.qr(&refs[0]);
    let (first, second, signed) =
        tokio::join!(biased; phone.scan(&qr), bob.scan(&qr), client.sign(&keys));
    assert!(first.is_ok() && signed.is_ok());
    assert_eq!(refused(second), PhoneError::Busy);
}

#[tokio::test]
async fn a_phone_links_so_many_devices_and_no_more() {
    let (simulator, phone) = network(Config { max_devices: 1, ..Config::default() }).await;
    let device = link(&simulator, &phone, &Keys::new()).await;
    let keys = Keys::new();
    let (_client, refs) = waiting(&simulator, &keys).await;
    assert_eq!(refused(phone.scan(&keys.qr(&refs[0])).await), PhoneError::TooManyDevices);
    phone.unlink(device.id).unwrap();
    assert_ne!(link(&simulator, &phone, &Keys::new()).await.id, device.id);
}

#[tokio::test]
async fn a_client_that_links_again_with_its_old_key_is_the_old_device_no_more() {
    let (simulator, phone) = network(Config::default()).await;
    let (keys, old, client) = linked(&simulator, &phone).await;
    drop(client);
    let new = link(&simulator, &phone, &keys).await;
    let ids: Vec<_> = phone.devices().iter().map(|device| device.id).collect();
    assert_eq!(ids, [new.id]);
    let mut client = come(&simulator, &keys, ANN, old.id).await;
    assert_eq!(text(&client.farewell().await.unwrap(), "reason"), "401");
}

#[tokio::test]
async fn a_hosted_account_says_so_outside_its_signature_only() {
    let (simulator, phone) = network(Config::default()).await;
    phone.set_hosted(true);
    let keys = Keys::new();
    let (mut client, refs) = waiting(&simulator, &keys).await;
    let qr = keys.qr(&refs[0]);
    // The engine's own check does not take such accounts yet; the seal itself must hold all the
    // same.
    let (device, signed) = tokio::join!(phone.scan(&qr), client.sign(&keys));
    assert_eq!(signed.unwrap_err(), "signature-mismatch");
    assert!(matches!(refused(device), PhoneError::Refused(_)));
}

#[tokio::test]
async fn a_new_simulator_with_the_old_file_is_the_old_network() {
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
    let mut client = come(&simulator, &keys, ANN, device.id).await;
    client.hear_a("success").await;
    assert_eq!(client.server, server);
}

#[tokio::test]
async fn a_state_file_that_cannot_be_used_is_said_and_not_overwritten() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state.json");
    std::fs::write(&path, "not mine").unwrap();
    let config = Config { state: Some(path.clone()), ..Config::default() };
    assert!(whatsapp_sim::Simulator::start(config).await.is_err());
    assert_eq!(std::fs::read_to_string(path).unwrap(), "not mine");
    let config = Config { state: Some(folder.path().join("no/such/place")), ..Config::default() };
    assert!(whatsapp_sim::Simulator::start(config).await.is_err());
}
