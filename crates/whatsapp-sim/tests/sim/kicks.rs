//! Kicks, unlinks and log-outs, with their effects on the connection and on the next login.

use crate::client::{PATIENCE, text};
use crate::{ANN, linked, log_in, network};
use std::time::Duration;
use wacore_binary::Node;
use wacore_binary::builder::NodeBuilder;
use whatsapp_sim::{Config, Fault, Kick, PhoneError};

fn conflict(node: &Node) -> (String, String) {
    let conflict = node.get_optional_child("conflict").unwrap();
    (text(node, "code"), text(conflict, "type"))
}

fn removal_query(jid: &str) -> Node {
    NodeBuilder::new("remove-companion-device")
        .attr("jid", jid)
        .attr("reason", "user_initiated")
        .build()
}

#[tokio::test]
async fn replaced_and_closed_devices_log_in_again() {
    let (simulator, phone) = network(Config::default()).await;
    let (keys, device, mut client) = linked(&simulator, &phone).await;
    phone.kick(device.id, Kick::Replaced).unwrap();
    let last = client.wait_for_close().await.unwrap();
    assert_eq!(conflict(&last), (String::new(), "replaced".into()));
    let mut client = log_in(&simulator, &keys, ANN, device.id).await;
    client.receive_tag("success").await;
    phone.kick(device.id, Kick::Close).unwrap();
    assert_eq!(client.wait_for_close().await, None);
    log_in(&simulator, &keys, ANN, device.id).await.receive_tag("success").await;
}

#[tokio::test]
async fn banned_device_gets_the_expiry_and_logs_in_when_cleared() {
    let (simulator, phone) = network(Config::default()).await;
    let (keys, device, mut client) = linked(&simulator, &phone).await;
    phone.kick(device.id, Kick::Banned).unwrap();
    assert_eq!(client.wait_for_close().await.unwrap().tag, "xmlstreamend");
    assert!(!phone.devices()[0].connected);
    for _ in 0..2 {
        let failure =
            log_in(&simulator, &keys, ANN, device.id).await.wait_for_close().await.unwrap();
        assert_eq!((failure.tag.as_ref(), text(&failure, "reason").as_str()), ("failure", "402"));
        assert!((1..=3600).contains(&text(&failure, "expire").parse::<u32>().unwrap()));
    }
    phone.clear_login_refusal(device.id).unwrap();
    log_in(&simulator, &keys, ANN, device.id).await.receive_tag("success").await;
}

#[tokio::test]
async fn outdated_client_logs_in_with_a_newer_version() {
    let (simulator, phone) = network(Config::default()).await;
    let (mut keys, device, mut client) = linked(&simulator, &phone).await;
    phone.kick(device.id, Kick::Outdated).unwrap();
    client.wait_for_close().await;
    let failure = log_in(&simulator, &keys, ANN, device.id).await.wait_for_close().await.unwrap();
    assert_eq!(text(&failure, "reason"), "405");
    keys.version += 1;
    log_in(&simulator, &keys, ANN, device.id).await.receive_tag("success").await;
}

#[tokio::test]
async fn unavailable_network_refuses_the_configured_number_of_logins() {
    let (simulator, phone) = network(Config { unavailable_logins: 2, ..Config::default() }).await;
    let (keys, device, mut client) = linked(&simulator, &phone).await;
    phone.kick(device.id, Kick::Unavailable).unwrap();
    assert_eq!(text(&client.wait_for_close().await.unwrap(), "code"), "503");
    for _ in 0..2 {
        let failure =
            log_in(&simulator, &keys, ANN, device.id).await.wait_for_close().await.unwrap();
        assert_eq!(text(&failure, "reason"), "503");
    }
    log_in(&simulator, &keys, ANN, device.id).await.receive_tag("success").await;
}

#[tokio::test]
async fn absent_device_can_be_refused_and_not_disconnected() {
    let (simulator, phone) = network(Config::default()).await;
    let (keys, device, client) = linked(&simulator, &phone).await;
    drop(client);
    assert!(phone.wait_for(PATIENCE, |phone| !phone.devices()[0].connected).await);
    for kick in [Kick::Replaced, Kick::Close] {
        assert_eq!(phone.kick(device.id, kick), Err(PhoneError::NotConnected));
    }
    phone.kick(device.id, Kick::Unavailable).unwrap();
    let failure = log_in(&simulator, &keys, ANN, device.id).await.wait_for_close().await.unwrap();
    assert_eq!(text(&failure, "reason"), "503");
    assert_eq!(phone.kick(99, Kick::Close), Err(PhoneError::NoSuchDevice));
}

#[tokio::test]
async fn second_login_replaces_the_first() {
    let (simulator, phone) = network(Config::default()).await;
    let (keys, device, mut first) = linked(&simulator, &phone).await;
    let mut second = log_in(&simulator, &keys, ANN, device.id).await;
    second.receive_tag("success").await;
    assert_eq!(conflict(&first.wait_for_close().await.unwrap()).1, "replaced");
    assert!(phone.wait_connected(1, PATIENCE).await);
}

#[tokio::test]
async fn removed_device_is_refused_at_once_or_at_its_next_login() {
    let (simulator, phone) = network(Config::default()).await;
    let (keys, device, mut client) = linked(&simulator, &phone).await;
    phone.unlink(device.id).unwrap();
    let last = client.wait_for_close().await.unwrap();
    assert_eq!(conflict(&last), ("401".into(), "device_removed".into()));
    let failure = log_in(&simulator, &keys, ANN, device.id).await.wait_for_close().await.unwrap();
    assert_eq!(text(&failure, "reason"), "401");
    assert_eq!(phone.unlink(device.id), Err(PhoneError::NoSuchDevice));
}

#[tokio::test]
async fn unknown_device_is_refused() {
    let (simulator, phone) = network(Config::default()).await;
    let (keys, device, _client) = linked(&simulator, &phone).await;
    simulator.add_phone("15550000002", "Bob").unwrap();
    for (number, id) in [("15550000002", device.id), (ANN, device.id + 1), ("0", 0)] {
        let failure = log_in(&simulator, &keys, number, id).await.wait_for_close().await.unwrap();
        assert_eq!(text(&failure, "reason"), "401");
    }
}

#[tokio::test]
async fn logged_out_client_leaves_the_phone() {
    let (simulator, phone) = network(Config::default()).await;
    let (keys, device, mut client) = linked(&simulator, &phone).await;
    let answer = client.ask("set", "md", removal_query(&device.jid)).await;
    assert_eq!((text(&answer, "type").as_str(), phone.devices().len()), ("result", 0));
    let failure = log_in(&simulator, &keys, ANN, device.id).await.wait_for_close().await.unwrap();
    assert_eq!(text(&failure, "reason"), "401");
    // A client that stays connected is told in the end.
    assert_eq!(conflict(&client.wait_for_close().await.unwrap()).1, "device_removed");
}

#[tokio::test]
async fn device_removes_devices_of_its_own_account_only() {
    let (simulator, phone) = network(Config::default()).await;
    let (_, _, mut one) = linked(&simulator, &phone).await;
    let (_, sibling, mut two) = linked(&simulator, &phone).await;
    let bob = simulator.add_phone("15550000002", "Bob").unwrap();
    let (_, stranger, _three) = linked(&simulator, &bob).await;
    assert_eq!(text(&one.ask("set", "md", removal_query(&stranger.jid)).await, "type"), "error");
    assert_eq!(text(&one.ask("set", "md", removal_query(&sibling.jid)).await, "type"), "result");
    assert_eq!(conflict(&two.wait_for_close().await.unwrap()).1, "device_removed");
    assert_eq!((phone.devices().len(), bob.devices().len()), (1, 1));
}

#[tokio::test]
async fn logout_faults_apply() {
    let (simulator, phone) = network(Config::default()).await;
    let (_, device, mut client) = linked(&simulator, &phone).await;
    let faults = simulator.faults();
    faults.next_logout(Fault::Refuse(500));
    let answer = client.ask("set", "md", removal_query(&device.jid)).await;
    assert_eq!((text(&answer, "type").as_str(), phone.devices().len()), ("error", 1));

    // The swallowed query gets no answer: the next answer belongs to the next query.
    faults.next_logout(Fault::Swallow);
    client.query("set", "md", removal_query(&device.jid)).await;
    client.ask("get", "w:p", NodeBuilder::new("ping").build()).await;
    assert_eq!(phone.devices().len(), 1);

    faults.next_logout(Fault::Delay(Duration::from_millis(20)));
    faults.next_logout(Fault::LoseAnswer);
    assert_eq!(
        text(
            &client.ask("set", "md", removal_query("15550000001:77@s.whatsapp.net")).await,
            "type"
        ),
        "result"
    );
    client.query("set", "md", removal_query(&device.jid)).await;
    assert!(phone.wait_unlinked(PATIENCE).await);
}
