//! `berth doctor`: checks settings, machine, database, keys, issuers and nodes, and changes nothing.
//!
//! Every check is a function that adds findings to a report. Exit code 0 means that every check
//! passed, 1 that there are warnings, 2 that there are faults.

mod database;
mod issuers;
mod node_tls;
mod nodes;
mod public_url;
mod requests;
mod seal_keys;

use std::{
    io::{Write as _, stdout},
    process::ExitCode,
};

use anyhow::Result;
use program_settings::Variables;
use program_telemetry::ask;
use self_check::{Report, listener, open_files};

use crate::{
    cli::Doctor,
    config::{Config, Gateways, Listeners},
    local_gateway::find_program,
};

/// Connections of three listeners, and files of the database and of the log.
const FILES_BESIDE_STREAMS: u64 = 3 * 4_096 + 500;

/// Runs all checks and prints the findings.
pub(crate) async fn run(command: Doctor) -> Result<ExitCode> {
    let mut report = Report::default();
    let variables = Variables::of_process();
    self_check::variables(&mut report, variables.unknown(), variables.padded());
    match command.flags.gather().and_then(Config::check) {
        Ok(config) => {
            report.ok("settings", "all settings can be used");
            check(&mut report, config).await;
        }
        Err(error) => report.fault("settings", error.to_string()),
    }
    let text = if command.json { report.as_json() } else { report.as_text() };
    write!(stdout(), "{text}")?;
    Ok(ExitCode::from(report.exit_code()))
}

async fn check(report: &mut Report, config: Config) {
    let streams = u64::try_from(config.connections.streams.router).unwrap_or(u64::MAX);
    let files = FILES_BESIDE_STREAMS.saturating_add(streams);
    open_files(report, files, "connections and streams");
    listeners(report, config.listeners);
    node_tls::check(report, &config.node_tls);
    if let Some(database) = database::check(report, &config.database).await {
        seal_keys::check(report, &database, config.seal_keys).await;
        nodes::check(report, &database, &config.gateways, &config.node_tls).await;
    }
    if let Gateways::Local(local) = &config.gateways {
        match find_program(local.program.as_deref()) {
            Ok(program) => {
                report.ok("local_gateway", format!("the program is {}", program.display()));
            }
            Err(error) => {
                report.fault("local_gateway", format!("{error:#}; set BERTH_GATEWAY_BIN"));
            }
        }
        self_check::folder(report, "local_gateway", &local.data);
    }
    issuers::check(report, config.login, &config.browsers).await;
    if let Some(url) = config.browsers.public_url.as_ref().filter(|_| config.browsers.enabled) {
        public_url::check(report, url.origin()).await;
    }
}

fn listeners(report: &mut Report, listeners: Listeners) {
    let Listeners { public, nodes, ops } = listeners;
    let is_running = std::cell::OnceCell::new();
    for (setting, address) in [("listen", public), ("node_listen", nodes), ("ops_listen", ops)] {
        listener(report, setting, address, || {
            *is_running.get_or_init(|| ask(ops, "/livez").is_ok())
        });
    }
}
