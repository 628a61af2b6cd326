//! The simulator from outside: over its socket with a client made for the purpose, and over its
//! control interface.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "the functions here are parts of tests"
)]

mod client;
mod codes;
mod control;
mod handshake;
mod kicks;
mod linking;
mod program;
mod staying;

use client::{Client, Keys};
use whatsapp_sim::{Config, LinkedDevice, Phone, PhoneError, Simulator};

const ANN: &str = "15550000001";

/// A network with one phone.
async fn network(config: Config) -> (Simulator, Phone) {
    let simulator = Simulator::start(config).await.unwrap();
    let phone = simulator.add_phone(ANN, "Ann").unwrap();
    (simulator, phone)
}

/// A client that waits to be linked, with the references it may show.
async fn waiting(simulator: &Simulator, keys: &Keys) -> (Client, Vec<String>) {
    let (url, anchor) = (simulator.url(), simulator.trust_anchor());
    let mut client = Client::meet(&url, anchor, keys, keys.registration()).await;
    let refs = client.refs().await;
    (client, refs)
}

/// A client that signs what the phone approves.
async fn link(simulator: &Simulator, phone: &Phone, keys: &Keys) -> LinkedDevice {
    let (mut client, refs) = waiting(simulator, keys).await;
    let qr = keys.qr(&refs[0]);
    let (device, signed) = tokio::join!(phone.scan(&qr), client.sign(keys));
    signed.unwrap();
    client.farewell().await;
    device.unwrap()
}

/// A linked client that comes to log in.
async fn come(simulator: &Simulator, keys: &Keys, number: &str, device: u32) -> Client {
    let payload = keys.login(number, device);
    Client::meet(&simulator.url(), simulator.trust_anchor(), keys, payload).await
}

/// A linked and logged-in client.
async fn linked(simulator: &Simulator, phone: &Phone) -> (Keys, LinkedDevice, Client) {
    let keys = Keys::new();
    let device = link(simulator, phone, &keys).await;
    let mut client = come(simulator, &keys, phone.number(), device.id).await;
    client.hear_a("success").await;
    (keys, device, client)
}

fn refused(result: Result<LinkedDevice, PhoneError>) -> PhoneError {
    result.expect_err("the phone should have refused")
}
