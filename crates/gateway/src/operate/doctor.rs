//! `berth-gateway doctor`: checks settings, machine, data folder, router and WhatsApp, and changes
//! nothing.

use std::{fs, net::ToSocketAddrs as _, path::Path, time::Duration};

use backup::sqlite;
use bytes::Bytes;
use http_client::{ClientError, HttpClient, bearer};
use hyper::{
    Request, Uri,
    header::{AUTHORIZATION, CONTENT_TYPE},
};
use program_settings::Variables;
use secrecy::ExposeSecret as _;
use self_check::{
    CertificateFacts, Report, certificate, folder, local_ports, open_files, secret_file,
};

use crate::{
    Args, Settings,
    config::tls::{host, invalid},
    data_folder::{RESTORED_FILE, is_in_use},
    journal, keys,
    outgoing_http::{clients, router_client},
    sqlite::Layout,
};

/// Time limit for each request.
const TIMEOUT: Duration = Duration::from_secs(10);
/// Files beside the sockets of sessions: the listener's connections, databases, and requests.
const FILES_BESIDE_SESSIONS: u64 = 512;
/// WhatsApp's host for linked devices.
const WHATSAPP: &str = "https://web.whatsapp.com/";

/// Runs all checks.
pub async fn run(args: Args) -> Report {
    let mut report = Report::default();
    let variables = Variables::of_process();
    self_check::variables(&mut report, variables.unknown(), variables.padded());
    let token = match args.token() {
        Ok(token) => token,
        Err(error) => {
            report.fault("settings", error.to_string());
            return report;
        }
    };
    match args.settings(token) {
        Ok(settings) => {
            report.ok("settings", "all settings can be used");
            check(&mut report, &settings).await;
        }
        Err(error) => report.fault("settings", error.to_string()),
    }
    report
}

async fn check(report: &mut Report, settings: &Settings) {
    let capacity = u64::from(settings.capacity);
    open_files(report, capacity + FILES_BESIDE_SESSIONS, "sessions and calls");
    local_ports(report, capacity);
    data(report, &settings.data, settings);
    tls(report, settings);
    match clients() {
        Ok(clients) => {
            // Authorities that cannot be used are reported above.
            if let Ok(authorities) = settings.tls.authorities() {
                match router_client(&clients.calls, authorities) {
                    Ok(client) => router(report, &client, settings).await,
                    Err(error) => report.fault("tls", error.to_string()),
                }
            }
            whatsapp(report, &clients.calls, settings.whatsapp.as_deref()).await;
        }
        Err(error) => report.fault("tls", error.to_string()),
    }
}

/// Checks the certificate of the listener, whether it names the advertised host, and the authorities
/// of routers.
fn tls(report: &mut Report, settings: &Settings) {
    let advertised = settings.advertised(settings.listen);
    if let Some(files) = &settings.tls.certificate {
        let read = files.read();
        if let Ok(certificate) = &read
            && !certificate.names(&host(&advertised))
        {
            report.fault(
                "tls",
                format!(
                    "the certificate does not name the host of {advertised}: routers reject it"
                ),
            );
        }
        let read = read.map(|of| CertificateFacts {
            expires_at: of.expires_at(),
            days_left: of.days_left(),
            is_rejected: of.is_rejected_now(),
            notice: of.expiry_notice(),
        });
        let read = read.map_err(|fault| invalid(&fault).to_string());
        certificate(report, "tls", &files.key, read);
    } else if advertised.starts_with("https://") {
        report.warn(
            "tls",
            format!("routers call {advertised}, and the listener speaks plain HTTP: set --tls-cert, unless a proxy adds TLS"),
        );
    }
    match settings.tls.authorities() {
        Ok(None) => {}
        Ok(Some(roots)) => {
            report.ok("tls", format!("{} authorities of routers are trusted", roots.len()));
        }
        Err(error) => report.fault("tls", error.to_string()),
    }
}

fn data(report: &mut Report, data: &Path, settings: &Settings) {
    folder(report, "data_folder", data);
    if !data.exists() {
        report.ok("keys", "the folder has no keys yet");
        return listener(report, settings);
    }
    if is_in_use(data) {
        report.ok("data_folder", "a node runs on the folder");
    } else {
        listener(report, settings);
    }
    file(report, "keys", &data.join(keys::FILE_NAME), keys::LAYOUT);
    file(report, "journal", &data.join(journal::FILE_NAME), journal::LAYOUT);
    if let Ok(mark) = fs::read_to_string(data.join(RESTORED_FILE)) {
        report.ok("keys", format!("the folder was restored from a back-up: {mark}"));
    }
}

fn listener(report: &mut Report, settings: &Settings) {
    self_check::listener(report, "listen", settings.listen, || false);
    if let Some(ops) = settings.ops_listen {
        self_check::listener(report, "ops_listen", ops, || false);
    }
}

/// Checks a database of the node: who can read it, its layout, and its pages.
fn file(report: &mut Report, check: &'static str, path: &Path, layout: Layout) {
    if !path.exists() {
        return report.ok(check, format!("{} does not exist yet", path.display()));
    }
    secret_file(report, check, path);
    match sqlite::layout(path) {
        Ok(number) if number > layout.version => report.fault(
            check,
            format!(
                "{} has layout {number} and this program knows {}: use a program that is at least as new",
                path.display(),
                layout.version
            ),
        ),
        Ok(_) => match sqlite::check(path) {
            Ok(()) => report.ok(check, format!("{} is not damaged", path.display())),
            Err(error) => report.fault(check, format!("{:#}", anyhow::Error::new(error))),
        },
        Err(error) => report.fault(check, format!("{:#}", anyhow::Error::new(error))),
    }
}

/// Sends the router a call that it refuses: for the token if the token is wrong, and otherwise for
/// the empty body.
async fn router(report: &mut Report, client: &HttpClient, settings: &Settings) {
    let url = format!("{}/node/v1/gateways/{}:deliver", settings.router, settings.id);
    let Ok(token) = bearer(settings.token.expose_secret()) else {
        return report.fault("router", "BERTH_NODE_TOKEN cannot be sent in a header");
    };
    let request = Request::post(&url)
        .header(AUTHORIZATION, token)
        .header(CONTENT_TYPE, "application/json")
        .body(Bytes::from_static(b"{}"));
    let Ok(request) = request else { return report.fault("router", format!("{url} is no URL")) };
    match client.send(request, TIMEOUT).await.map(|answer| answer.status().as_u16()) {
        Ok(400 | 422) => report.ok("router", format!("{} knows node {}", settings.router, settings.id)),
        Ok(401 | 403) => report.fault(
            "router",
            format!(
                "{} refuses the token of node {}; compare BERTH_NODE_TOKEN with BERTH_NODE_TOKENS of the router",
                settings.router, settings.id
            ),
        ),
        Ok(status) => report.fault(
            "router",
            format!("{url} answers {status}: this is not the nodes' listener of a router"),
        ),
        Err(error @ ClientError::UntrustedCertificate(_)) => report.fault(
            "router",
            format!("{}: {error}; nothing was sent. BERTH_NODE_TLS_CA names the authorities", settings.router),
        ),
        Err(error) => report.fault("router", format!("{url}: {:#}", anyhow::Error::new(error))),
    }
}

async fn whatsapp(report: &mut Report, client: &HttpClient, simulated: Option<&str>) {
    if let Some(url) = simulated {
        let address =
            url.parse::<Uri>().ok().and_then(|uri| uri.authority().map(ToString::to_string));
        let reached = address.and_then(|address| {
            let address = address.to_socket_addrs().ok()?.next()?;
            std::net::TcpStream::connect_timeout(&address, TIMEOUT).ok()
        });
        return match reached {
            Some(_) => report.ok("whatsapp", format!("the simulated WhatsApp {url} answers")),
            None => {
                report.fault("whatsapp", format!("the simulated WhatsApp {url} does not answer"));
            }
        };
    }
    let Ok(request) = Request::get(WHATSAPP).body(Bytes::new()) else { return };
    match client.fetch(request, TIMEOUT).await {
        Ok(_) | Err(ClientError::Status(_) | ClientError::ResponseTooLong(_)) => {
            report.ok("whatsapp", format!("{WHATSAPP} answers by TLS"));
        }
        Err(error) => report.fault(
            "whatsapp",
            format!("{WHATSAPP}: {:#}; no session can connect", anyhow::Error::new(error)),
        ),
    }
}
