//! `demo`: the life of a session on a simulated WhatsApp. Each request is printed as a `curl`
//! command, and each event of the organization as it arrives over a stream and at a webhook.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a demonstration prints")]

mod event_printer;
mod life;
mod narrator;
mod stay;

use std::process::ExitCode;

use anyhow::Result;
use clap::Parser;
use testbed::{
    interrupt, options::Prebuilt, programs::Programs, stack::Stack, workspace::Workspace,
};

use crate::{event_printer::EventPrinter, narrator::Narrator};

/// Run the life of a session on a simulated WhatsApp, and show its events as they arrive.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask demo", bin_name = "cargo xtask demo")]
struct Demo {
    /// Keep running afterwards; the phone links every session that shows a QR code.
    #[arg(long)]
    stay: bool,
    #[command(flatten)]
    prebuilt: Prebuilt,
}

fn main() -> ExitCode {
    let asked = Demo::parse();
    match interrupt::watch().and_then(|()| run(&asked)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("\n{error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Starts the programs, walks through the life of a session, and stops or stays.
fn run(asked: &Demo) -> Result<()> {
    let workspace = Workspace::find()?;
    let programs = Programs::find(&workspace, &asked.prebuilt)?;
    // The receiver of the webhook is on this machine.
    let settings = [("BERTH_WEBHOOK_ALLOW", "127.0.0.0/8".to_owned())];
    let stack = Stack::start(&programs, "demo", &workspace.scratch("logs")?, None, &settings)?;
    println!(
        "\nberth, a gateway and a simulated WhatsApp run in a temporary folder.\n\
         berth listens on {}; no program connects to the real WhatsApp.",
        stack.api.base()
    );
    let key = stack.key("acme", &["manage", "read", "send"])?;
    let show = Narrator { api: stack.api.with_credential(Some(key.clone())), variable: "KEY" };
    println!(
        "\n$ KEY=$(berth key create --org acme --name demo --capability manage --capability read --capability send)"
    );
    let other = stack.key("zeta", &["manage"])?;
    let other_organization =
        Narrator { api: stack.api.with_credential(Some(other)), variable: "OTHER_KEY" };
    println!("$ OTHER_KEY=$(berth key create --org zeta --name demo --capability manage)");
    // Everything that shows events starts here, before the first change.
    let events = EventPrinter::stream(&show.api)?;
    let (requests, _receiver) = EventPrinter::webhook(&show)?;
    let (phone, contact) = (stack.phones.new_phone("Ada")?, stack.phones.new_phone("Bob")?);
    life::walk(&show, &other_organization, &phone, &contact)?;
    events.until("message")?;
    requests.until("message.status")?;
    events.until("session.retired")?;
    requests.until("session.retired")?;
    if asked.stay { stay::run(&show.api, &key, &phone) } else { Ok(()) }
}
