//! What the operator sets, checked once: everything behind this file may trust it.

use std::{
    net::{IpAddr, SocketAddr},
    path::PathBuf,
    str::FromStr,
};

use clap::{CommandFactory as _, FromArgMatches as _, Parser};
use hyper::Uri;
use program_settings::{Variables, parse};
use secrecy::{ExposeSecret, SecretString};
use tracing_subscriber::EnvFilter;

/// The variable of the secret, which has no flag: a flag would show it in the list of processes.
const TOKEN_VARIABLE: &str = "BERTH_NODE_TOKEN";

/// A node of berth: holds WhatsApp connections, obeys its router, reports what it sees.
///
/// Every setting can be given as a flag and as a variable; flags win. A variable NAME can be given as
/// `NAME_FILE`, the path of a file with the value. `BERTH_NODE_TOKEN`, the secret shared with the router,
/// is a variable alone.
#[derive(Debug, Parser)]
#[command(name = "berth-gateway", version = crate::version::VERSION)]
pub struct Args {
    /// The name the router knows this node by.
    #[arg(long, env = "BERTH_GATEWAY_ID", default_value = "gw-local", value_parser = parse::<String>)]
    pub id: String,
    /// Where to listen for the router.
    #[arg(long, env = "BERTH_GATEWAY_LISTEN", default_value = "127.0.0.1:0",
        value_parser = parse::<SocketAddr>)]
    pub listen: SocketAddr,
    /// Where the router reaches this node, when that is not where it listens: `http://host:port`.
    #[arg(long, env = "BERTH_GATEWAY_ADVERTISE", value_parser = parse::<String>)]
    pub advertise: Option<String>,
    /// The folder of the device keys; one node at a time.
    #[arg(long, env = "BERTH_GATEWAY_DATA", default_value = "data/gateway",
        value_parser = parse::<PathBuf>)]
    pub data: PathBuf,
    /// The router's listener for nodes: `http://127.0.0.1:8081`.
    #[arg(long, env = "BERTH_GATEWAY_ROUTER", value_parser = parse::<String>)]
    pub router: String,
    /// How many sessions this node takes.
    #[arg(long, env = "BERTH_GATEWAY_CAPACITY", default_value_t = 500, value_parser = parse::<u32>)]
    pub capacity: u32,
    /// How many sessions may be pairing at the same time; the others wait, one organization's behind
    /// another's in turn. An organization that pairs none gets one all the same, up to twice as many.
    #[arg(long, env = "BERTH_GATEWAY_MAX_LINKING", default_value_t = 32, value_parser = parse::<u16>)]
    pub max_linking: u16,
    /// A simulated WhatsApp, `ws://127.0.0.1:PORT/…`; only in a build with feature `sim`.
    #[arg(long, env = "BERTH_WHATSAPP_URL", value_parser = parse::<String>)]
    pub whatsapp_url: Option<String>,
    /// Keep device keys in memory only, which is what measurements are compared with; only in a build
    /// with feature `sim`.
    #[arg(long, env = "BERTH_GATEWAY_KEYS_IN_MEMORY", hide = true, value_parser = parse::<bool>)]
    pub keys_in_memory: bool,
    /// End when standard input closes: how a local node ends with its router, however that ends.
    #[arg(long)]
    pub end_with_stdin: bool,
    /// How far the node stands back when others on its machine want the processor: added to its nice
    /// value, 0 to 19. berth gives the node beside it 10, so that a crowd of phones that link at once
    /// does not keep callers waiting.
    #[arg(long, env = "BERTH_GATEWAY_NICE", default_value_t = 0, value_parser = parse_nice)]
    pub nice: i32,
    /// What to log, as an env-filter; the default is `info`, and `warn` for the engine.
    #[arg(long, env = "BERTH_LOG", value_parser = parse_filter)]
    pub log: Option<String>,
    /// How to log: `text` or `json`.
    #[arg(long, env = "BERTH_LOG_FORMAT", default_value = "text", value_parser = parse::<LogFormat>)]
    pub log_format: LogFormat,
}

/// How a log line looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// For programs.
    Json,
}

impl FromStr for LogFormat {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "text" => Ok(Self::Text),
            "json" => Ok(Self::Json),
            _ => Err("it is neither text nor json"),
        }
    }
}

fn parse_nice(text: &str) -> Result<i32, String> {
    let nice = parse(text)?;
    if (0..=19).contains(&nice) { Ok(nice) } else { Err("it is not 0 to 19".to_owned()) }
}

fn parse_filter(text: &str) -> Result<String, String> {
    let text: String = parse(text)?;
    EnvFilter::try_new(&text).map_err(|error| error.to_string())?;
    Ok(text)
}

/// Everything a [`Node`](crate::Node) is made from.
#[derive(Debug)]
pub struct Settings {
    /// See [`Args::id`].
    pub id: String,
    /// See [`Args::listen`].
    pub listen: SocketAddr,
    /// See [`Args::advertise`].
    pub advertise: Option<String>,
    /// See [`Args::data`].
    pub data: PathBuf,
    /// See [`Args::router`]; without a trailing slash.
    pub router: String,
    /// The secret shared with the router, for both directions.
    pub token: SecretString,
    /// See [`Args::capacity`].
    pub capacity: u32,
    /// See [`Args::max_linking`].
    pub max_linking: u16,
    /// See [`Args::keys_in_memory`].
    pub keys_in_memory: bool,
    /// Where WhatsApp is; `None` is the real one.
    pub whatsapp: Option<String>,
}

/// A setting that cannot be.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct InvalidSetting(String);

impl Args {
    /// Reads the process's own command line and environment. Ends the process as `clap` does: with
    /// help, or for a value that cannot be.
    ///
    /// # Errors
    /// When a variable, or the file that it names, cannot be taken.
    pub fn read() -> Result<Self, program_settings::InvalidVariable> {
        let matches = Variables::of_process().fill(Self::command())?.get_matches();
        Ok(Self::from_arg_matches(&matches).unwrap_or_else(|error| error.exit()))
    }

    /// The secret in `BERTH_NODE_TOKEN`, or in the file that `BERTH_NODE_TOKEN_FILE` names.
    ///
    /// # Errors
    /// When the variable, or the file, cannot be taken.
    pub fn token() -> Result<Option<String>, program_settings::InvalidVariable> {
        Variables::of_process().value(TOKEN_VARIABLE)
    }

    /// Logs a warning that names the `BERTH_*` variables that nobody reads.
    pub fn warn_of_unknown_variables() {
        let unknown = Variables::of_process().unknown();
        if !unknown.is_empty() {
            let variables = unknown.join(", ");
            tracing::warn!(variables, "unknown environment variables are ignored");
        }
    }

    /// Checks what was given. The token comes apart from the flags, because a flag would show it
    /// in the list of processes.
    pub fn settings(self, token: Option<String>) -> Result<Settings, InvalidSetting> {
        let token = SecretString::from(token.unwrap_or_default().trim());
        let length = token.expose_secret().len();
        require(
            (16..=512).contains(&length)
                && token.expose_secret().bytes().all(|b| b.is_ascii_graphic()),
            "BERTH_NODE_TOKEN must be set: 16 to 512 visible characters, the same as the router's",
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
            "--keys-in-memory is only for a build with feature `sim`: a linked device must stay known",
        )?;
        require(
            self.advertise.is_some() || !self.listen.ip().is_unspecified(),
            "--advertise must be given when --listen is no address that the router can call",
        )?;
        Ok(Settings {
            id: self.id,
            listen: self.listen,
            advertise: self.advertise.map(|url| parse_base_url("--advertise", &url)).transpose()?,
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

fn require(holds: bool, otherwise: &str) -> Result<(), InvalidSetting> {
    if holds { Ok(()) } else { Err(InvalidSetting(otherwise.to_owned())) }
}

fn parse_base_url(flag: &str, text: &str) -> Result<String, InvalidSetting> {
    let invalid = || InvalidSetting(format!("{flag} must look like http://host:port"));
    let uri: Uri = text.parse().map_err(|_| invalid())?;
    let plain = uri.query().is_none() && uri.path().trim_matches('/').is_empty();
    match uri.scheme_str() {
        Some("http" | "https") if plain && uri.authority().is_some() => {
            Ok(text.trim_end_matches('/').to_owned())
        }
        _ => Err(invalid()),
    }
}

/// A build that skips WhatsApp's certificate must never meet WhatsApp, and a build that meets
/// WhatsApp must not be led elsewhere.
fn parse_whatsapp_url(url: Option<String>) -> Result<Option<String>, InvalidSetting> {
    if !cfg!(feature = "sim") {
        return match url {
            None => Ok(None),
            Some(_) => Err(InvalidSetting(
                "BERTH_WHATSAPP_URL is only for a build with feature `sim`; this one meets the \
                 real WhatsApp"
                    .into(),
            )),
        };
    }
    match url {
        Some(url) if is_loopback(&url) => Ok(Some(url)),
        _ => Err(InvalidSetting(
            "this build only meets a simulated WhatsApp: BERTH_WHATSAPP_URL must be a ws:// address \
             with a loopback IP, such as ws://127.0.0.1:9500/ws/chat"
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
        let command = Args::command();
        let read = command.get_arguments().filter_map(|argument| argument.get_env()?.to_str());
        let read: BTreeSet<_> = read.chain([super::TOKEN_VARIABLE]).collect();
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
