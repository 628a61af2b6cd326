//! Tests of the simulator from outside, over its chat socket and its control interface.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "the functions of this crate are parts of tests"
)]

mod accounts;
mod client;
mod control;
mod control_messages;
mod engine;
mod exchange;
mod handshake;
mod kicks;
mod logged_in;
mod outages;
mod pairing_codes;
mod program;
mod qr_linking;

use client::{Client, ClientKeys};
use std::time::Duration;
use whatsapp_sim::{Config, LinkedDevice, Phone, PhoneError, Simulator};

const ANN: &str = "15550000001";
const BOB: &str = "15550000002";

/// Starts a network with one phone.
async fn network(config: Config) -> (Simulator, Phone) {
    let simulator = Simulator::start(config).await.unwrap();
    let phone = simulator.add_phone(ANN, "Ann").unwrap();
    (simulator, phone)
}

/// Starts a network with the phones of Ann and Bob.
async fn two_phones() -> (Simulator, Phone, Phone) {
    let (simulator, ann) = network(Config::default()).await;
    let bob = simulator.add_phone(BOB, "Bob").unwrap();
    (simulator, ann, bob)
}

fn jid(number: &str) -> String {
    format!("{number}@s.whatsapp.net")
}

/// Returns the texts that a phone has received from others, in their order.
fn received(phone: &Phone) -> Vec<String> {
    let all = phone.messages(None).into_iter().filter(|message| !message.from_me);
    all.filter_map(|message| message.text).collect()
}

/// Waits until `is_so` holds, for states that notify nobody.
async fn until(is_so: impl AsyncFn() -> bool) {
    let holds = async {
        while !is_so().await {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(client::PATIENCE, holds).await.expect("the state in time");
}

/// Connects an unlinked client; returns its references for QR codes.
async fn connect_unlinked(simulator: &Simulator, keys: &ClientKeys) -> (Client, Vec<String>) {
    let (url, anchor) = (simulator.url(), simulator.trust_anchor());
    let mut client = Client::connect(&url, anchor, keys, keys.registration()).await;
    let refs = client.refs().await;
    (client, refs)
}

/// Links a client by QR code.
async fn link(simulator: &Simulator, phone: &Phone, keys: &ClientKeys) -> LinkedDevice {
    let (mut client, refs) = connect_unlinked(simulator, keys).await;
    let qr = keys.qr(&refs[0]);
    let (device, signed) = tokio::join!(phone.scan(&qr), client.sign(keys));
    signed.unwrap();
    client.wait_for_close().await;
    device.unwrap()
}

/// Connects a linked client, which logs in.
async fn log_in(simulator: &Simulator, keys: &ClientKeys, number: &str, device: u32) -> Client {
    let payload = keys.login(number, device);
    Client::connect(&simulator.url(), simulator.trust_anchor(), keys, payload).await
}

/// Links a client and logs it in.
async fn linked(simulator: &Simulator, phone: &Phone) -> (ClientKeys, LinkedDevice, Client) {
    let keys = ClientKeys::new();
    let device = link(simulator, phone, &keys).await;
    let mut client = log_in(simulator, &keys, phone.number(), device.id).await;
    client.receive_tag("success").await;
    (keys, device, client)
}

fn expect_refusal(result: Result<LinkedDevice, PhoneError>) -> PhoneError {
    result.expect_err("the phone should have refused")
}
