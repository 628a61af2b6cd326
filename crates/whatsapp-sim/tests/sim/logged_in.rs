//! The queries of logged-in devices, and the delivery of messages.

use crate::client::{Client, ClientKeys, PATIENCE, public, text};
use crate::{ANN, linked, log_in, network};
use wacore_binary::Node;
use wacore_binary::builder::NodeBuilder;
use whatsapp_sim::Config;

fn node(tag: &'static str) -> Node {
    NodeBuilder::new(tag).build()
}

fn leaf(tag: &'static str, bytes: impl Into<Vec<u8>>) -> Node {
    NodeBuilder::new(tag).bytes(bytes).build()
}

/// Uploads keys, as every client does after its first login.
async fn upload_keys(client: &mut Client, keys: &ClientKeys, ids: std::ops::Range<u8>) {
    let identity = &keys.state.identity_key;
    let signed = crate::client::pair();
    let signature = identity
        .private_key
        .calculate_signature(&signed.public_key.serialize(), &mut rand::rng())
        .unwrap();
    let one_time = ids.map(|id| {
        let key = public(&crate::client::pair());
        NodeBuilder::new("key").children([leaf("id", [0, 0, id]), leaf("value", key)]).build()
    });
    let upload = NodeBuilder::new("iq")
        .attr("id", "upload")
        .attr("to", "s.whatsapp.net")
        .attr("type", "set")
        .attr("xmlns", "encrypt")
        .children([
            leaf("registration", [0, 0, 0, 9]),
            leaf("type", [5]),
            leaf("identity", public(identity)),
            NodeBuilder::new("list").children(one_time).build(),
            NodeBuilder::new("skey")
                .children([
                    leaf("id", [0, 0, 1]),
                    leaf("value", public(&signed)),
                    leaf("signature", signature.to_vec()),
                ])
                .build(),
        ]);
    client.send(upload.build()).await;
    let answer = client.receive_tag("iq").await;
    assert_eq!(
        (text(&answer, "id").as_str(), text(&answer, "type").as_str()),
        ("upload", "result")
    );
}

async fn count(client: &mut Client) -> String {
    let answer = client.ask("get", "encrypt", node("count")).await;
    text(answer.get_optional_child("count").unwrap(), "value")
}

fn receipt(message: &Node, kind: &str) -> Node {
    let receipt = NodeBuilder::new("receipt").attr("id", text(message, "id"));
    let receipt = receipt.attr("to", text(message, "from"));
    if kind.is_empty() { receipt.build() } else { receipt.attr("type", kind).build() }
}

#[tokio::test]
async fn uploaded_keys_are_counted_digested_and_handed_out_once() {
    let (simulator, phone) = network(Config::default()).await;
    let (keys, device, mut client) = linked(&simulator, &phone).await;
    assert_eq!(count(&mut client).await, "0");
    assert_eq!(text(&client.ask("get", "encrypt", node("digest")).await, "type"), "error");
    upload_keys(&mut client, &keys, 1..4).await;
    // The phone takes a key for its first message.
    let digest = client.ask("get", "encrypt", node("digest")).await;
    let digest = digest.get_optional_child("digest").unwrap();
    assert_eq!(digest.get_optional_child("list").unwrap().children().unwrap().len(), 2);

    let (_, _, mut other) = linked(&simulator, &phone).await;
    for left in ["1", "0", "0"] {
        let user = NodeBuilder::new("user").attr("jid", device.jid.as_str()).build();
        let asked = NodeBuilder::new("key").children([user]).build();
        let answer = other.ask("get", "encrypt", asked).await;
        let given = answer.get_optional_child("list").unwrap().children().unwrap();
        assert_eq!(text(&given[0], "jid"), device.jid);
        assert_eq!(count(&mut client).await, left);
    }
}

#[tokio::test]
async fn active_device_with_keys_gets_the_initial_sync() {
    let (simulator, phone) = network(Config::default()).await;
    let (keys, _, mut client) = linked(&simulator, &phone).await;
    upload_keys(&mut client, &keys, 1..4).await;
    client.activate().await;
    let greeting = client.receive_tag("message").await;
    assert_eq!(
        (text(&greeting, "category").as_str(), text(&greeting, "from")),
        ("peer", format!("{ANN}@s.whatsapp.net"))
    );
    let offline = client.receive_tag("ib").await;
    assert_eq!(text(offline.get_optional_child("offline").unwrap(), "count"), "1");
}

#[tokio::test]
async fn unconfirmed_messages_are_sent_again() {
    let (simulator, phone) = network(Config::default()).await;
    let (keys, device, mut client) = linked(&simulator, &phone).await;
    upload_keys(&mut client, &keys, 1..9).await;
    client.activate().await;
    let greeting = client.receive_tag("message").await;
    client.send(receipt(&greeting, "")).await;
    assert_eq!(text(&client.receive_tag("ack").await, "class"), "receipt");
    phone.send_text(device.id, "one").unwrap();
    let lost = client.receive_tag("message").await;
    drop(client);
    assert!(phone.wait_for(PATIENCE, |phone| !phone.devices()[0].connected).await);
    phone.send_text(device.id, "two").unwrap();

    let mut client = log_in(&simulator, &keys, ANN, device.id).await;
    client.activate().await;
    let (again, new) = (client.receive_tag("message").await, client.receive_tag("message").await);
    assert_eq!(text(&again, "id"), text(&lost, "id"));
    let offline = client.receive_tag("ib").await;
    assert_eq!(text(offline.get_optional_child("offline").unwrap(), "count"), "2");

    // A message that the device cannot decrypt is encrypted again under the same id.
    client.send(receipt(&new, "retry")).await;
    let resealed = client.receive_tag("message").await;
    assert_eq!(text(&resealed, "id"), text(&new, "id"));
    assert_ne!(resealed.get_optional_child("enc"), new.get_optional_child("enc"));
}

#[tokio::test]
async fn directory_lists_accounts_and_devices() {
    let (simulator, phone) = network(Config::default()).await;
    let (_, device, mut client) = linked(&simulator, &phone).await;
    let asked = [
        NodeBuilder::new("user").attr("jid", format!("{ANN}@s.whatsapp.net")).build(),
        NodeBuilder::new("user").children([leaf("contact", *b"+15559999999")]).build(),
    ];
    let query = NodeBuilder::new("query").children([node("contact"), node("devices"), node("lid")]);
    let usync = NodeBuilder::new("usync")
        .attr("sid", "7")
        .children([query.build(), NodeBuilder::new("list").children(asked).build()])
        .build();
    let answer = client.ask("get", "usync", usync).await;
    let users = answer.get_optional_child("usync").unwrap().get_optional_child("list").unwrap();
    let [ann, nobody] = users.children().unwrap() else { panic!("expected two users") };
    let child = |user: &Node, tag: &str| user.get_optional_child(tag).cloned();
    assert_eq!(text(&child(ann, "contact").unwrap(), "type"), "in");
    assert_eq!(text(&child(ann, "lid").unwrap(), "val"), format!("{}@lid", phone.lid()));
    let devices = child(&child(ann, "devices").unwrap(), "device-list").unwrap();
    let ids: Vec<_> = devices.children().unwrap().iter().map(|d| text(d, "id")).collect();
    assert_eq!(ids, ["0".to_owned(), device.id.to_string()]);
    assert_eq!(text(&child(nobody, "contact").unwrap(), "type"), "out");
    assert_eq!(child(nobody, "devices"), None);
}

#[tokio::test]
async fn unlinked_client_gets_errors() {
    let (simulator, _) = network(Config::default()).await;
    let (mut client, _) = crate::connect_unlinked(&simulator, &ClientKeys::new()).await;
    assert_eq!(text(&client.ask("get", "w:p", node("ping")).await, "type"), "result");
    for namespace in ["encrypt", "usync", "md", "w:sync:app:state", "anything"] {
        assert_eq!(text(&client.ask("get", namespace, node("count")).await, "type"), "error");
    }
}

#[tokio::test]
async fn unreadable_message_is_acknowledged() {
    let (simulator, phone) = network(Config::default()).await;
    let (_, _, mut client) = linked(&simulator, &phone).await;
    let enc = NodeBuilder::new("enc").attr("type", "msg").bytes([1, 2, 3]).build();
    let message =
        NodeBuilder::new("message").attr("id", "m1").attr("to", format!("{ANN}@s.whatsapp.net"));
    client.send(message.children([enc]).build()).await;
    let ack = client.receive_tag("ack").await;
    assert_eq!((text(&ack, "class").as_str(), text(&ack, "id").as_str()), ("message", "m1"));
    assert!(phone.texts().is_empty());
}

#[tokio::test]
async fn slow_client_gets_all_messages_in_order() {
    let (simulator, phone) = network(Config::default()).await;
    let (keys, device, mut client) = linked(&simulator, &phone).await;
    upload_keys(&mut client, &keys, 1..4).await;
    client.activate().await;
    assert!(phone.wait_connected(1, PATIENCE).await);
    // More than the queue of the writer holds.
    for n in 0..3000 {
        phone.send_text(device.id, &n.to_string()).unwrap();
    }
    let mut ids = Vec::new();
    while ids.len() < 3001 {
        let message = client.receive_tag("message").await;
        ids.push(text(&message, "id"));
        client.send(receipt(&message, "")).await;
    }
    assert!(ids.is_sorted(), "the ids ascend");
}
