//! The settings of the node, validated once; all other code relies on valid settings.

pub(crate) mod tls;

use std::{
    net::{IpAddr, SocketAddr},
    path::PathBuf,
};

use clap::Parser;
use gateway_protocol::FleetSecret;
use hyper::Uri;
use program_settings::{Variables, parse};
use secrecy::{ExposeSecret, SecretString};
use tracing_subscriber::EnvFilter;

pub use self::tls::{TlsArgs, TlsSettings};
use crate::log_format::LogFormat;

/// The variable of the shared secret. A flag would show the secret in the process list.
const TOKEN_VARIABLE: &str = "BERTH_NODE_TOKEN";
/// The variable of the secret from which the token is derived (ADR 0061).
const FLEET_VARIABLE: &str = "BERTH_FLEET_SECRET";

/// A berth node: holds WhatsApp connections, executes the commands of its router, and reports their
/// state.
///
/// Every setting can be given as a flag and as a variable; flags win. A variable NAME can be given
/// as `NAME_FILE`, the path of a file with the value. `BERTH_NODE_TOKEN`, the secret shared with
/// the router, and `BERTH_FLEET_SECRET`, from which the token can be derived, are variables only.
#[derive(Debug, Parser)]
#[command(name = "berth-gateway", version = crate::version::VERSION)]
pub struct Args {
    /// The name of this node at the router.
    #[arg(long, env = "BERTH_GATEWAY_ID", default_value = "gw-local", value_parser = parse::<String>)]
    pub id: String,
    /// The address on which the node listens for the router.
    #[arg(long, env = "BERTH_GATEWAY_LISTEN", default_value = "127.0.0.1:0",
        value_parser = parse::<SocketAddr>)]
    pub listen: SocketAddr,
    /// The address of the listener for operators: metrics, liveness and readiness, without a
    /// credential. Without the setting there is no such listener.
    #[arg(long, env = "BERTH_GATEWAY_OPS_LISTEN", value_parser = parse::<SocketAddr>)]
    pub ops_listen: Option<SocketAddr>,
    /// The base URL at which the router reaches this node, if it differs from `--listen`:
    /// `http://host:port`, or `https://host:port` with TLS.
    #[arg(long, env = "BERTH_GATEWAY_ADVERTISE", value_parser = parse::<String>)]
    pub advertise: Option<String>,
    /// TLS between the node and its routers.
    #[command(flatten)]
    pub tls: TlsArgs,
    /// The folder of the device keys; for one node at a time.
    #[arg(long, env = "BERTH_GATEWAY_DATA", default_value = "data/gateway",
        value_parser = parse::<PathBuf>)]
    pub data: PathBuf,
    /// The router's listener for nodes: `http://127.0.0.1:8081`, or an `https://` URL.
    #[arg(long, env = "BERTH_GATEWAY_ROUTER", value_parser = parse::<String>)]
    pub router: String,
    /// The maximum number of sessions on this node.
    #[arg(long, env = "BERTH_GATEWAY_CAPACITY", default_value_t = 500, value_parser = parse::<u32>)]
    pub capacity: u32,
    /// The maximum number of sessions that pair at the same time. Waiting sessions are served round
    /// robin over organizations. An organization without a pairing session gets a reserved place,
    /// up to twice the maximum in total.
    #[arg(long, env = "BERTH_GATEWAY_MAX_LINKING", default_value_t = 32, value_parser = parse::<u16>)]
    pub max_linking: u16,
    /// A simulated WhatsApp, `ws://127.0.0.1:PORT/…`; only in a build with feature `sim`.
    #[arg(long, env = "BERTH_WHATSAPP_URL", value_parser = parse::<String>)]
    pub whatsapp_url: Option<String>,
    /// Keeps device keys in memory only, as the reference of measurements; only in a build with
    /// feature `sim`.
    #[arg(long, env = "BERTH_GATEWAY_KEYS_IN_MEMORY", hide = true, value_parser = parse::<bool>)]
    pub keys_in_memory: bool,
    /// Stops the node when standard input closes. A local node stops with its router in this way.
    #[arg(long)]
    pub end_with_stdin: bool,
    /// The increment of the node's nice value, 0 to 19. berth starts its local node with 10, so
    /// that API requests take priority while many phones link at once.
    #[arg(long, env = "BERTH_GATEWAY_NICE", default_value_t = 0, value_parser = parse_nice)]
    pub nice: i32,
    /// The log filter, in env-filter syntax; the default is `info`, and `warn` for the engine.
    #[arg(long, env = "BERTH_LOG", value_parser = parse_filter)]
    pub log: Option<String>,
    /// The log format: `text` or `json`.
    #[arg(long, env = "BERTH_LOG_FORMAT", default_value = "text", value_parser = parse::<LogFormat>)]
    pub log_format: LogFormat,
}

fn parse_nice(text: &str) -> Result<i32, String> {
    let nice = parse(text)?;
    if (0..=19).contains(&nice) { Ok(nice) } else { Err("must be 0 to 19".to_owned()) }
}

fn parse_filter(text: &str) -> Result<String, String> {
    let text: String = parse(text)?;
    EnvFilter::try_new(&text).map_err(|error| error.to_string())?;
    Ok(text)
}

/// The validated settings of a [`Node`](crate::Node).
#[derive(Debug)]
pub struct Settings {
    /// The name of the node; see [`Args::id`].
    pub id: String,
    /// The address to listen on; see [`Args::listen`].
    pub listen: SocketAddr,
    /// The address of the listener for operators; see [`Args::ops_listen`].
    pub ops_listen: Option<SocketAddr>,
    /// The base URL for the router; see [`Args::advertise`]. `None`: the address to listen on.
    pub advertise: Option<String>,
    /// TLS between the node and its routers.
    pub tls: TlsSettings,
    /// The folder of the device keys; see [`Args::data`].
    pub data: PathBuf,
    /// The base URL of the router, without a trailing slash; see [`Args::router`].
    pub router: String,
    /// The secret shared with the router, for calls in both directions.
    pub token: SecretString,
    /// The maximum number of sessions, at least 1; see [`Args::capacity`].
    pub capacity: u32,
    /// The maximum number of pairing sessions, at least 1; see [`Args::max_linking`].
    pub max_linking: u16,
    /// Whether keys are kept in memory only; see [`Args::keys_in_memory`].
    pub keys_in_memory: bool,
    /// The URL of a simulated WhatsApp. `None` is WhatsApp itself.
    pub whatsapp: Option<String>,
}

/// A setting is invalid; the message names its flag or variable.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct InvalidSetting(String);

impl Args {
    /// Returns the secret of `BERTH_NODE_TOKEN`, or else the token of this node that follows from
    /// `BERTH_FLEET_SECRET`. Either can be in a file that `NAME_FILE` names.
    ///
    /// # Errors
    /// Fails when a variable or a file cannot be used.
    pub fn token(&self) -> anyhow::Result<Option<String>> {
        let variables = Variables::of_process();
        if let Some(token) = variables.value(TOKEN_VARIABLE)? {
            return Ok(Some(token));
        }
        let Some(secret) = variables.value(FLEET_VARIABLE)? else { return Ok(None) };
        let secret = FleetSecret::new(secret.trim())
            .map_err(|error| InvalidSetting(format!("{FLEET_VARIABLE} {error}")))?;
        Ok(Some(secret.token(&self.id)))
    }

    /// Validates the settings. The token is a separate argument, because a flag would show it in
    /// the process list.
    pub fn settings(self, token: Option<String>) -> Result<Settings, InvalidSetting> {
        let token = SecretString::from(token.unwrap_or_default().trim());
        let length = token.expose_secret().len();
        require(
            (16..=512).contains(&length)
                && token.expose_secret().bytes().all(|b| b.is_ascii_graphic()),
            "BERTH_NODE_TOKEN or BERTH_FLEET_SECRET must be set: 16 to 512 visible characters, the same as \
             the router's",
        )?;
        require(
            (1..=64).contains(&self.id.len())
                && self.id.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b)),
            "--id must be 1 to 64 letters, digits, dots, dashes and underscores",
        )?;
        require(self.capacity > 0, "--capacity must be at least 1")?;
        require(self.max_linking > 0, "--max-linking must be at least 1")?;
        require(
            cfg!(feature = "sim") || !self.keys_in_memory,
            "--keys-in-memory is only for a build with feature `sim`: device keys must survive a restart",
        )?;
        require(
            self.advertise.is_some() || !self.listen.ip().is_unspecified(),
            "--advertise must be given when the router cannot call the address in --listen",
        )?;
        let advertise =
            self.advertise.map(|url| parse_base_url("--advertise", &url)).transpose()?;
        let tls = self.tls.check()?;
        require(
            tls.certificate.is_none()
                || advertise.as_ref().is_none_or(|url| url.starts_with("https://")),
            "--advertise must begin with https://, because --tls-cert is given and the listener speaks TLS",
        )?;
        Ok(Settings {
            id: self.id,
            listen: self.listen,
            ops_listen: self.ops_listen,
            advertise,
            tls,
            data: self.data,
            router: parse_base_url("--router", &self.router)?,
            token,
            capacity: self.capacity,
            max_linking: self.max_linking,
            keys_in_memory: self.keys_in_memory,
            whatsapp: parse_whatsapp_url(self.whatsapp_url)?,
        })
    }
}

impl Settings {
    /// Returns the base URL at which routers call a node that listens on this address.
    pub(crate) fn advertised(&self, bound: SocketAddr) -> String {
        let derived = || format!("{}://{bound}", self.tls.scheme());
        self.advertise.clone().unwrap_or_else(derived)
    }
}

fn require(holds: bool, otherwise: &str) -> Result<(), InvalidSetting> {
    if holds { Ok(()) } else { Err(InvalidSetting(otherwise.to_owned())) }
}

fn parse_base_url(flag: &str, text: &str) -> Result<String, InvalidSetting> {
    let invalid = || InvalidSetting(format!("{flag} must look like http://host:port"));
    let uri: Uri = text.parse().map_err(|_| invalid())?;
    let plain = uri.query().is_none() && uri.path().trim_matches('/').is_empty();
    match uri.scheme_str() {
        Some("http" | "https") if plain && uri.authority().is_some() => {
            let (scheme, rest) = text.split_once(':').ok_or_else(invalid)?;
            Ok(format!("{}:{}", scheme.to_ascii_lowercase(), rest.trim_end_matches('/')))
        }
        _ => Err(invalid()),
    }
}

/// Returns the URL of the simulated WhatsApp. A build that skips WhatsApp's certificate check must
/// never connect to WhatsApp, and a build for WhatsApp must not be redirected.
fn parse_whatsapp_url(url: Option<String>) -> Result<Option<String>, InvalidSetting> {
    if !cfg!(feature = "sim") {
        return match url {
            None => Ok(None),
            Some(_) => Err(InvalidSetting(
                "BERTH_WHATSAPP_URL is only for a build with feature `sim`; this build connects to \
                 WhatsApp itself"
                    .into(),
            )),
        };
    }
    match url {
        Some(url) if is_loopback(&url) => Ok(Some(url)),
        _ => Err(InvalidSetting(
            "this build connects to a simulated WhatsApp only: BERTH_WHATSAPP_URL must be a ws:// \
             address with a loopback IP, such as ws://127.0.0.1:9500/ws/chat"
                .into(),
        )),
    }
}

fn is_loopback(url: &str) -> bool {
    let Ok(uri) = url.parse::<Uri>() else { return false };
    let host = uri.host().unwrap_or_default().trim_matches(['[', ']']);
    uri.scheme_str() == Some("ws") && host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    const TOKEN: &str = "0123456789abcdef";

    fn settings(flags: &[&str]) -> Result<Settings, InvalidSetting> {
        let base = ["berth-gateway", "--router", "http://127.0.0.1:8081"];
        let args = Args::parse_from(base.iter().chain(flags));
        args.settings(Some(TOKEN.into()))
    }

    #[test]
    fn settings_without_a_valid_token_are_rejected() {
        let args = || Args::parse_from(["berth-gateway", "--router", "http://127.0.0.1:8081"]);
        for token in [None, Some(String::new()), Some("short".into()), Some("a b".repeat(9))] {
            assert!(args().settings(token).unwrap_err().to_string().contains("BERTH_NODE_TOKEN"));
        }
    }

    #[test]
    fn texts_are_trimmed_or_rejected_by_name() {
        let parse = |flags: &[&str]| {
            let base = ["berth-gateway", "--router", " http://127.0.0.1:8081\n"];
            Args::try_parse_from(base.iter().chain(flags)).map_err(|error| error.to_string())
        };
        let args = parse(&[
            "--id",
            "gw-1\n",
            "--listen",
            "127.0.0.1:0\n",
            "--data",
            " keys\n",
            "--capacity",
            "7\n",
            "--nice",
            "19\r\n",
            "--log",
            "info\n",
            "--log-format",
            " json",
        ]);
        let args = args.unwrap();
        assert_eq!((args.id.as_str(), args.router.as_str()), ("gw-1", "http://127.0.0.1:8081"));
        assert_eq!((args.data, args.capacity, args.nice), ("keys".into(), 7, 19));
        assert_eq!((args.log.as_deref(), args.log_format), (Some("info"), LogFormat::Json));
        for (flag, value) in [
            ("--id", "a\nb"),
            ("--listen", "127.0.0.1\n:0"),
            ("--data", "a\0"),
            ("--data", "\n"),
            ("--nice", "20"),
            ("--log", "info,\ngateway=debug"),
            ("--log", "a=b=c"),
            ("--log-format", "xml"),
        ] {
            let error = parse(&[flag, value]).unwrap_err();
            assert!(error.contains(flag), "{error}");
        }
        let token = format!("{TOKEN}\n");
        let args = Args::parse_from(["berth-gateway", "--router", "http://h", "--data", "x"]);
        let url = cfg!(feature = "sim").then(|| "ws://127.0.0.1:1/".to_owned());
        let settings = Args { whatsapp_url: url, ..args }.settings(Some(token)).unwrap();
        assert_eq!(settings.token.expose_secret(), TOKEN);
    }

    #[test]
    fn variables_of_the_program_are_known_by_name() {
        let command = crate::command();
        let nested = command.get_subcommands().flat_map(clap::Command::get_arguments);
        let arguments = command.get_arguments().chain(nested);
        let read = arguments.filter_map(|argument| argument.get_env()?.to_str());
        let read: BTreeSet<_> =
            read.chain([super::TOKEN_VARIABLE, super::FLEET_VARIABLE]).collect();
        assert_eq!(read, program_settings::NODE_VARIABLES.iter().copied().collect());
    }

    #[test]
    fn whatsapp_address_needs_a_simulator_build_and_loopback() {
        for url in
            ["ws://10.0.0.1/ws", "wss://127.0.0.1/ws", "ws://example.org", "ws://127.0.0.1.x/", "x"]
        {
            assert!(settings(&["--whatsapp-url", url]).is_err(), "{url}");
        }
        let ours = settings(&["--whatsapp-url", "ws://127.0.0.1:9500/ws/chat"]);
        assert_eq!(ours.is_ok(), cfg!(feature = "sim"));
        assert_eq!(settings(&[]).is_ok(), !cfg!(feature = "sim"));
        assert!(is_loopback("ws://[::1]:9500"));
    }

    #[test]
    fn keys_in_memory_needs_a_simulator_build() {
        let url = ["--whatsapp-url", "ws://127.0.0.1:9500/ws/chat"];
        let flags: &[_] = if cfg!(feature = "sim") { &url } else { &[] };
        assert!(!settings(flags).unwrap().keys_in_memory);
        let asked = settings(&[flags, &["--keys-in-memory"]].concat());
        assert_eq!(asked.is_ok_and(|settings| settings.keys_in_memory), cfg!(feature = "sim"));
    }

    #[test]
    fn base_url_has_no_path_and_no_query() {
        assert_eq!(parse_base_url("--router", "http://h:1/").unwrap(), "http://h:1");
        for url in ["h:1", "ftp://h", "http://h/path", "http://h?x=1", ""] {
            assert!(parse_base_url("--router", url).is_err(), "{url}");
        }
    }
}
