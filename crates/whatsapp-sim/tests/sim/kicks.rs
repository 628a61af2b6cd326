//! Every way a device loses its connection or its link, and what its next login hears.

use crate::client::{PATIENCE, text};
use crate::{ANN, come, linked, network};
use std::time::Duration;
use wacore_binary::Node;
use wacore_binary::builder::NodeBuilder;
use whatsapp_sim::{Config, Fault, Kick, PhoneError};

fn conflict(node: &Node) -> (String, String) {
    let conflict = node.get_optional_child("conflict").unwrap();
    (text(node, "code"), text(conflict, "type"))
}

fn leave(jid: &str) -> Node {
    NodeBuilder::new("remove-companion-device")
        .attr("jid", jid)
        .attr("reason", "user_initiated")
        .build()
}

#[tokio::test]
async fn replaced_and_closed_devices_are_let_in_again() {
    let (simulator, phone) = network(Config::default()).await;
    let (keys, device, mut client) = linked(&simulator, &phone).await;
    phone.kick(device.id, Kick::Replaced).unwrap();
    let last = client.farewell().await.unwrap();
    assert_eq!(conflict(&last), (String::new(), "replaced".into()));
    let mut client = come(&simulator, &keys, ANN, device.id).await;
    client.hear_a("success").await;
    phone.kick(device.id, Kick::Close).unwrap();
    assert_eq!(client.farewell().await, None);
    come(&simulator, &keys, ANN, device.id).await.hear_a("success").await;
}

#[tokio::test]
async fn a_banned_device_hears_how_long_and_is_let_in_when_pardoned() {
    let (simulator, phone) = network(Config::default()).await;
    let (keys, device, mut client) = linked(&simulator, &phone).await;
    phone.kick(device.id, Kick::Banned).unwrap();
    assert_eq!(client.farewell().await.unwrap().tag, "xmlstreamend");
    assert!(!phone.devices()[0].connected);
    for _ in 0..2 {
        let failure = come(&simulator, &keys, ANN, device.id).await.farewell().await.unwrap();
        assert_eq!((failure.tag.as_ref(), text(&failure, "reason").as_str()), ("failure", "402"));
        assert!((1..=3600).contains(&text(&failure, "expire").parse::<u32>().unwrap()));
    }
    phone.pardon(device.id).unwrap();
    come(&simulator, &keys, ANN, device.id).await.hear_a("success").await;
}

#[tokio::test]
async fn an_outdated_client_is_let_in_when_it_is_newer() {
    let (simulator, phone) = network(Config::default()).await;
    let (mut keys, device, mut client) = linked(&simulator, &phone).await;
    phone.kick(device.id, Kick::Outdated).unwrap();
    client.farewell().await;
    let failure = come(&simulator, &keys, ANN, device.id).await.farewell().await.unwrap();
    assert_eq!(text(&failure, "reason"), "405");
    keys.version += 1;
    come(&simulator, &keys, ANN, device.id).await.hear_a("success").await;
}

#[tokio::test]
async fn an_unavailable_network_refuses_as_often_as_configured() {
    let (simulator, phone) = network(Config { unavailable_logins: 2, ..Config::default() }).await;
    let (keys, device, mut client) = linked(&simulator, &phone).await;
    phone.kick(device.id, Kick::Unavailable).unwrap();
    assert_eq!(text(&client.farewell().await.unwrap(), "code"), "503");
    for _ in 0..2 {
        let failure = come(&simulator, &keys, ANN, device.id).await.farewell().await.unwrap();
        assert_eq!(text(&failure, "reason"), "503");
    }
    come(&simulator, &keys, ANN, device.id).await.hear_a("success").await;
}

#[tokio::test]
async fn a_device_that_is_away_can_be_barred_but_not_cut_off() {
    let (simulator, phone) = network(Config::default()).await;
    let (keys, device, client) = linked(&simulator, &phone).await;
    drop(client);
    assert!(phone.wait_for(PATIENCE, |phone| !phone.devices()[0].connected).await);
    for kick in [Kick::Replaced, Kick::Close] {
        assert_eq!(phone.kick(device.id, kick), Err(PhoneError::NotConnected));
    }
    phone.kick(device.id, Kick::Unavailable).unwrap();
    let failure = come(&simulator, &keys, ANN, device.id).await.farewell().await.unwrap();
    assert_eq!(text(&failure, "reason"), "503");
    assert_eq!(phone.kick(99, Kick::Close), Err(PhoneError::NoSuchDevice));
}

#[tokio::test]
async fn a_second_login_takes_the_place_of_the_first() {
    let (simulator, phone) = network(Config::default()).await;
    let (keys, device, mut first) = linked(&simulator, &phone).await;
    let mut second = come(&simulator, &keys, ANN, device.id).await;
    second.hear_a("success").await;
    assert_eq!(conflict(&first.farewell().await.unwrap()).1, "replaced");
    assert!(phone.wait_connected(1, PATIENCE).await);
}

#[tokio::test]
async fn a_device_removed_on_the_phone_hears_it_now_or_at_its_next_login() {
    let (simulator, phone) = network(Config::default()).await;
    let (keys, device, mut client) = linked(&simulator, &phone).await;
    phone.unlink(device.id).unwrap();
    let last = client.farewell().await.unwrap();
    assert_eq!(conflict(&last), ("401".into(), "device_removed".into()));
    let failure = come(&simulator, &keys, ANN, device.id).await.farewell().await.unwrap();
    assert_eq!(text(&failure, "reason"), "401");
    assert_eq!(phone.unlink(device.id), Err(PhoneError::NoSuchDevice));
}

#[tokio::test]
async fn a_stranger_is_not_let_in() {
    let (simulator, phone) = network(Config::default()).await;
    let (keys, device, _client) = linked(&simulator, &phone).await;
    simulator.add_phone("15550000002", "Bob").unwrap();
    for (number, id) in [("15550000002", device.id), (ANN, device.id + 1), ("0", 0)] {
        let failure = come(&simulator, &keys, number, id).await.farewell().await.unwrap();
        assert_eq!(text(&failure, "reason"), "401");
    }
}

#[tokio::test]
async fn a_client_that_logs_out_is_gone_from_the_phone() {
    let (simulator, phone) = network(Config::default()).await;
    let (keys, device, mut client) = linked(&simulator, &phone).await;
    let answer = client.ask("set", "md", leave(&device.jid)).await;
    assert_eq!((text(&answer, "type").as_str(), phone.devices().len()), ("result", 0));
    let failure = come(&simulator, &keys, ANN, device.id).await.farewell().await.unwrap();
    assert_eq!(text(&failure, "reason"), "401");
    // One that stays is told, in the end.
    assert_eq!(conflict(&client.farewell().await.unwrap()).1, "device_removed");
}

#[tokio::test]
async fn a_device_may_remove_its_siblings_but_nobody_elses() {
    let (simulator, phone) = network(Config::default()).await;
    let (_, _, mut one) = linked(&simulator, &phone).await;
    let (_, sibling, mut two) = linked(&simulator, &phone).await;
    let bob = simulator.add_phone("15550000002", "Bob").unwrap();
    let (_, stranger, _three) = linked(&simulator, &bob).await;
    assert_eq!(text(&one.ask("set", "md", leave(&stranger.jid)).await, "type"), "error");
    assert_eq!(text(&one.ask("set", "md", leave(&sibling.jid)).await, "type"), "result");
    assert_eq!(conflict(&two.farewell().await.unwrap()).1, "device_removed");
    assert_eq!((phone.devices().len(), bob.devices().len()), (1, 1));
}

#[tokio::test]
async fn log_out_can_be_made_to_fail_in_every_way() {
    let (simulator, phone) = network(Config::default()).await;
    let (_, device, mut client) = linked(&simulator, &phone).await;
    let faults = simulator.faults();
    faults.next_logout(Fault::Refuse(500));
    let answer = client.ask("set", "md", leave(&device.jid)).await;
    assert_eq!((text(&answer, "type").as_str(), phone.devices().len()), ("error", 1));

    // Swallowed: the next answer on the wire is to the question after it.
    faults.next_logout(Fault::Swallow);
    client.query("set", "md", leave(&device.jid)).await;
    client.ask("get", "w:p", NodeBuilder::new("ping").build()).await;
    assert_eq!(phone.devices().len(), 1);

    faults.next_logout(Fault::Delay(Duration::from_millis(20)));
    faults.next_logout(Fault::LoseAnswer);
    assert_eq!(
        text(&client.ask("set", "md", leave("15550000001:77@s.whatsapp.net")).await, "type"),
        "result"
    );
    client.query("set", "md", leave(&device.jid)).await;
    assert!(phone.wait_unlinked(PATIENCE).await);
}
