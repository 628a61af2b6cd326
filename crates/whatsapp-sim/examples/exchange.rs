//! Two simulated accounts, each with the engine as a linked device, exchange texts without berth: a
//! yardstick for measurements of berth. Prints one line of JSON.
//!
//! ```sh
//! cargo run --release -p whatsapp-sim --example exchange -- --texts 1000 --pairs 1
//! ```

#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "the modules of tests are used in part"
)]

#[path = "../tests/sim/client.rs"]
mod client;
#[path = "../tests/sim/engine.rs"]
mod engine;

use clap::Parser;
use client::{Client, ClientKeys};
use engine::Engine;
use futures_util::future::join_all;
use tokio::time::Instant;
use whatsapp_sim::{Config, Simulator};

#[derive(Debug, Parser)]
struct Arguments {
    /// The number of texts that each account of a pair sends.
    #[arg(long, default_value_t = 1000)]
    texts: usize,
    /// The number of pairs that exchange texts at the same time.
    #[arg(long, default_value_t = 1)]
    pairs: usize,
}

#[tokio::main]
async fn main() {
    let Arguments { texts, pairs } = Arguments::parse();
    let simulator = Simulator::start(Config::default()).await.unwrap();
    let mut accounts = Vec::new();
    for n in 0..pairs * 2 {
        let phone = simulator.add_phone(&format!("1555000{n:04}"), "Yardstick").unwrap();
        let engine = Engine::link(&simulator, &phone).await;
        accounts.push((format!("{}@s.whatsapp.net", phone.number()), engine));
    }
    // The first text of a chat opens sessions.
    exchange(&accounts, "first", 1).await;
    let began = Instant::now();
    exchange(&accounts, "text", texts).await;
    let seconds = began.elapsed().as_secs_f64();
    let total = texts * pairs * 2;
    let rate = f64::from(u32::try_from(total).unwrap_or(u32::MAX)) / seconds;
    let line = serde_json::json!({ "texts": total, "seconds": seconds, "perSecond": rate });
    println!("{line}");
}

/// Sends texts both ways within each pair, and waits until all have arrived.
async fn exchange(accounts: &[(String, Engine)], kind: &str, texts: usize) {
    let before: Vec<_> = accounts.iter().map(|(_, engine)| engine.text_count()).collect();
    let sent = accounts.iter().enumerate().map(|(at, (_, engine))| async move {
        let (partner, _) = &accounts[at ^ 1];
        for n in 0..texts {
            engine
                .send(
                    partner,
                    "a text of ordinary length, as people write",
                    &format!("{kind}-{at}-{n}"),
                )
                .await;
        }
    });
    join_all(sent).await;
    let arrived = accounts.iter().zip(before);
    join_all(arrived.map(|((_, engine), before)| engine.wait_text_count(before + texts))).await;
}

/// Connects an unlinked client; returns its references for QR codes.
async fn connect_unlinked(simulator: &Simulator, keys: &ClientKeys) -> (Client, Vec<String>) {
    let (url, anchor) = (simulator.url(), simulator.trust_anchor());
    let mut client = Client::connect(&url, anchor, keys, keys.registration()).await;
    let refs = client.refs().await;
    (client, refs)
}
