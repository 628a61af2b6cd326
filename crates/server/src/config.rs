//! The checked configuration of `berth serve`. Other parts rely on its validity.

use std::{
    collections::HashMap, net::SocketAddr, num::NonZeroU32, ops::RangeInclusive, path::PathBuf,
    time::Duration,
};

use auth::{ClaimPaths, Pointer, Source};
use domain::GatewayId;
use gateway_protocol::{FleetSecret, NodePattern};
use http_hyper::Network;
use sealing::SealKeys;
use secrecy::{ExposeSecret, SecretString};
use tracing_subscriber::EnvFilter;

pub(crate) use self::{browsers::Browsers, node_tls::NodeTls, webhooks::seal_keys};
use self::{
    deadlines::{deadlines, outbox},
    webhooks::webhook_allow,
};
use crate::{duration, invalid::Invalid, settings, settings::Settings};

/// The configuration of `berth serve`.
#[derive(Debug)]
pub(crate) struct Config {
    pub(crate) database: store_diesel::Config,
    /// `None` without a setting.
    pub(crate) seal_keys: Option<SealKeys>,
    /// Private destinations that webhooks may reach.
    pub(crate) webhook_allow: webhook_client::Allowed,
    pub(crate) listeners: Listeners,
    pub(crate) connections: Connections,
    pub(crate) login: auth::Config,
    pub(crate) browsers: Browsers,
    pub(crate) gateways: Gateways,
    pub(crate) node_tls: NodeTls,
    pub(crate) deadlines: domain::Deadlines,
    pub(crate) outbox: domain::OutboxLimits,
    pub(crate) quotas: domain::Quotas,
    /// The origins to which share links may return.
    pub(crate) return_origins: domain::ReturnOrigins,
    pub(crate) rates: http_hyper::Rates,
    pub(crate) log: Log,
}

/// The addresses of the listeners.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Listeners {
    pub(crate) public: SocketAddr,
    pub(crate) nodes: SocketAddr,
    pub(crate) ops: SocketAddr,
}

/// Settings for connections of clients.
#[derive(Clone, Debug)]
pub(crate) struct Connections {
    /// The time that a connection stays open without a request.
    pub(crate) keep_alive: Duration,
    pub(crate) trusted_proxies: Vec<Network>,
    pub(crate) streams: Streams,
}

/// Maximum numbers of open event streams on this router.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Streams {
    pub(crate) credential: usize,
    pub(crate) organization: usize,
    pub(crate) router: usize,
}

/// The gateways that may register.
#[derive(Debug)]
pub(crate) enum Gateways {
    /// One gateway on this machine, started and stopped by berth.
    Local(LocalGateway),
    /// Remote gateways.
    Remote(GatewayTokens),
}

/// The credentials of remote gateways.
#[derive(Debug, Default)]
pub(crate) struct GatewayTokens {
    /// Tokens by id.
    pub(crate) tokens: HashMap<GatewayId, SecretString>,
    /// The secret of derived tokens, with the ids that may use such a token.
    pub(crate) fleet: Option<(FleetSecret, Vec<NodePattern>)>,
}

impl GatewayTokens {
    /// Returns whether a node with this id may register.
    pub(crate) fn permits(&self, id: &GatewayId) -> bool {
        let is_member = |(_, patterns): &(FleetSecret, Vec<NodePattern>)| {
            patterns.iter().any(|pattern| pattern.matches(id.as_str()))
        };
        self.tokens.contains_key(id) || self.fleet.as_ref().is_some_and(is_member)
    }
}

/// The settings of the local gateway.
#[derive(Clone, Debug)]
pub(crate) struct LocalGateway {
    /// `None` means `berth-gateway` in the folder of the `berth` program.
    pub(crate) program: Option<PathBuf>,
    pub(crate) data: PathBuf,
    pub(crate) whatsapp_url: Option<String>,
}

/// The settings of the log.
#[derive(Clone, Debug)]
pub(crate) struct Log {
    /// `None` means the default filter of each program.
    pub(crate) filter: Option<String>,
    pub(crate) format: LogFormat,
}

/// The format of log lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LogFormat {
    Text,
    Json,
}

impl LogFormat {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Json => "json",
        }
    }
}

impl Config {
    /// Checks all settings, without access to files, network or database.
    pub(crate) fn check(settings: Settings) -> Result<Self, Invalid> {
        let listeners = settings.listeners;
        let login = login(settings.login)?;
        let browsers = Browsers::check(&settings.browsers, &login.claims, login.leeway)?;
        let gateways = fleet::gateways(
            settings.remote,
            settings.gateway,
            settings.fleet,
            settings.local_gateway,
        )?;
        Ok(Self {
            database: database(settings.database),
            seal_keys: seal_keys(settings.sealing)?,
            webhook_allow: webhook_allow(settings.webhooks)?,
            listeners: self::listeners(&listeners)?,
            connections: Connections {
                keep_alive: keep_alive(listeners.keep_alive)?,
                trusted_proxies: networks("trusted_proxies", listeners.trusted_proxies.as_deref())?,
                streams: streams(&settings.limits)?,
            },
            login,
            browsers,
            node_tls: NodeTls::check(settings.node_tls, &gateways)?,
            gateways,
            quotas: quotas::check(&settings.limits, &settings.organizations)?,
            return_origins: return_origins::check(&settings.organizations)?,
            deadlines: deadlines(&settings.deadlines, settings.limits.pairing_rate)?,
            outbox: outbox(&settings.deadlines, settings.limits.message_queue)?,
            rates: http_hyper::Rates {
                credential: rate("credential_rate", settings.limits.credential_rate, 6_000)?,
                organization: rate("organization_rate", settings.limits.organization_rate, 12_000)?,
            },
            log: Log::check(settings.log)?,
        })
    }
}

/// Returns the configuration of the database. The store checks the URL.
pub(crate) fn database(settings: settings::Database) -> store_diesel::Config {
    store_diesel::Config::new(
        settings.database_url.unwrap_or_else(|| "sqlite:data/berth.db".into()),
    )
}

/// Checks the addresses of the listeners.
pub(crate) fn listeners(settings: &settings::Listeners) -> Result<Listeners, Invalid> {
    Ok(Listeners {
        public: address("listen", settings.listen.as_deref(), "127.0.0.1:8080")?,
        nodes: address("node_listen", settings.node_listen.as_deref(), "127.0.0.1:8081")?,
        ops: address("ops_listen", settings.ops_listen.as_deref(), "127.0.0.1:9090")?,
    })
}

impl Log {
    /// Checks the settings of the log.
    pub(crate) fn check(settings: settings::Logging) -> Result<Self, Invalid> {
        let filter = settings.log;
        if let Some(filter) = &filter {
            EnvFilter::try_new(filter).map_err(|error| Invalid::setting("log", error))?;
        }
        let format = match settings.log_format.as_deref() {
            None | Some("text") => LogFormat::Text,
            Some("json") => LogFormat::Json,
            Some(other) => {
                let reason = format!("{other:?} is neither text nor json");
                return Err(Invalid::setting("log_format", reason));
            }
        };
        Ok(Self { filter, format })
    }
}

fn address(name: &str, given: Option<&str>, default: &str) -> Result<SocketAddr, Invalid> {
    let text = given.unwrap_or(default);
    text.parse().map_err(|_| {
        Invalid::setting(
            name,
            format!("{text:?} is not an IP address with a port, as {default} is"),
        )
    })
}

/// The accepted values of `keep_alive`. Clients reuse connections within this time, and proxies do
/// not keep connections for longer.
const KEEP_ALIVE_RANGE: RangeInclusive<Duration> =
    Duration::from_secs(5)..=Duration::from_secs(3600);

fn keep_alive(given: Option<String>) -> Result<Duration, Invalid> {
    let Some(text) = given else { return Ok(http_hyper::Limits::default().idle) };
    let time = duration::parse(&text).filter(|time| KEEP_ALIVE_RANGE.contains(time));
    time.ok_or_else(|| {
        let reason = format!("{text:?} is not a time from 5s to 1h, such as 130s");
        Invalid::setting("keep_alive", reason)
    })
}

fn networks(name: &str, given: Option<&str>) -> Result<Vec<Network>, Invalid> {
    let entries = given.unwrap_or_default().split(',').map(str::trim);
    let entries = entries.filter(|entry| !entry.is_empty());
    let read = |entry: &str| {
        entry.parse().map_err(|error| Invalid::setting(name, format!("{entry:?} is {error}")))
    };
    entries.map(read).collect()
}

fn login(settings: settings::Login) -> Result<auth::Config, Invalid> {
    let plain_http = match settings.jwks_allow_http.as_ref().map(|switch| switch.0.as_str()) {
        None | Some("false") => false,
        Some("true") => true,
        Some(other) => {
            let reason = format!("{other:?} is neither true nor false");
            return Err(Invalid::setting("jwks_allow_http", reason));
        }
    };
    let source = |settings::Document(text): settings::Document| {
        Source::parse(text.expose_secret(), plain_http).map_err(|e| Invalid::setting("jwks", e))
    };
    let mut claims = match settings.jwt_preset {
        None => ClaimPaths::default(),
        Some(name) => ClaimPaths::preset(&name).ok_or_else(|| {
            let known = ClaimPaths::PRESETS.join(", ");
            Invalid::setting("jwt_preset", format!("{name:?} is none of {known}"))
        })?,
    };
    for (name, given, pointer) in [
        ("jwt_org_claim", settings.jwt_org_claim, &mut claims.organization),
        ("jwt_role_claim", settings.jwt_role_claim, &mut claims.role),
        ("jwt_platform_role_claim", settings.jwt_platform_role_claim, &mut claims.platform_role),
    ] {
        if let Some(text) = given {
            *pointer = Pointer::parse(&text).map_err(|error| Invalid::setting(name, error))?;
        }
    }
    Ok(auth::Config {
        jwks: settings.jwks.map(source).transpose()?,
        issuer: settings.jwt_issuer,
        audience: settings.jwt_audience,
        claims,
        ..auth::Config::default()
    })
}

/// Parses a duration; returns `default` without a text.
fn time(name: &str, given: Option<&str>, default: Duration) -> Result<Duration, Invalid> {
    match given {
        None => Ok(default),
        Some(text) => duration::parse(text).ok_or_else(|| {
            Invalid::setting(name, format!("{text:?} is not a time such as 30s, 5m, 1h or 7d"))
        }),
    }
}

/// Checks a limit. Returns `None` for 0, which means no limit.
fn rate(
    name: &str,
    given: Option<settings::Count>,
    default: u32,
) -> Result<Option<NonZeroU32>, Invalid> {
    let count = match given {
        None => default,
        Some(settings::Count(text)) => text.parse().map_err(|_| {
            let reason = format!("{text:?} is not a whole number; 0 is any number");
            Invalid::setting(name, reason)
        })?,
    };
    Ok(NonZeroU32::new(count))
}

/// The number of streams without a limit: more than any system has open files for.
const ANY_STREAMS: usize = 1_000_000;

fn streams(limits: &settings::Limits) -> Result<Streams, Invalid> {
    let of = |name, given: &Option<settings::Count>, default| {
        let count = rate(name, given.clone(), default)?;
        let count =
            count.map_or(ANY_STREAMS, |count| usize::try_from(count.get()).unwrap_or(ANY_STREAMS));
        Ok::<_, Invalid>(count.min(ANY_STREAMS))
    };
    Ok(Streams {
        credential: of("credential_streams", &limits.credential_streams, 20)?,
        organization: of("organization_streams", &limits.organization_streams, 200)?,
        router: of("router_streams", &limits.router_streams, 10_000)?,
    })
}

mod browsers;
mod deadlines;
pub(crate) mod fleet;
mod node_tls;
mod quotas;
mod return_origins;
#[cfg(test)]
mod tests;
mod webhooks;
