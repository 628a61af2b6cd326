//! The settings of an operator, unchecked: from the command line, the environment and a file.
//!
//! All three sources fill the same structs, so that they have the same settings. The name of a
//! setting is the name of its variable without `BERTH_`, in lower case; the file groups settings in
//! tables. Flags win, then variables (`NAME`, or `NAME_FILE`), then the file. Texts from all
//! sources are cleaned here (ADR 0033); an empty value counts as absent. [`crate::config`] performs
//! all other checks.

mod organization_quotas;
mod remote_gateway;
mod text;
mod warnings;

use std::{collections::BTreeMap, path::Path};

use clap::Args;
use secrecy::SecretString;
use serde::Deserialize;

pub(crate) use organization_quotas::OrganizationQuotas;
pub(crate) use remote_gateway::RemoteGateway;
use text::cleaned;
pub(crate) use text::secret;
pub(crate) use text::{Count, Document, Switch};
pub(crate) use warnings::warn_of_variables;

use crate::invalid::Invalid;

/// Declares a table of settings that flags, environment and file share.
macro_rules! table {
    ($(#[$doc:meta])* $name:ident { $($(#[$about:meta])* $field:ident: $kind:ty,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Debug, Default, Args, Deserialize)]
        #[serde(default, deny_unknown_fields)]
        #[allow(clippy::struct_field_names, reason = "fields have the names of the settings")]
        pub(crate) struct $name {
            $($(#[$about])* pub(crate) $field: Option<$kind>,)*
        }

        impl $name {
            /// Cleans every text.
            pub(super) fn cleaned(self) -> Result<Self, Invalid> {
                Ok(Self { $($field: cleaned(stringify!($field), self.$field)?,)* })
            }

            /// Fills absent values from `other`.
            pub(super) fn or(self, other: Self) -> Self {
                Self { $($field: self.$field.or(other.$field),)* }
            }
        }
    };
}

mod browsers;
mod fleet;
mod node_tls;
pub(crate) use browsers::Browsers;
pub(crate) use fleet::Fleet;
pub(crate) use node_tls::NodeTls;

table!(
    /// The database.
    Database {
        /// `sqlite:PATH` or `postgres://USER:PASSWORD@HOST/NAME?sslmode=…`
        /// [default: sqlite:data/berth.db]
        #[arg(long, env = "BERTH_DATABASE_URL", hide_env_values = true, value_name = "URL", value_parser = secret)]
        database_url: SecretString,
    }
);

table!(
    /// Keys that seal secrets in the database.
    Sealing {
        /// Seal keys as `ID=BASE64,ID=BASE64`, the newest first, each of 32 bytes; prefer the
        /// variable [default on SQLite: a file seal.key next to the database]
        #[arg(long, env = "BERTH_SEAL_KEYS", hide_env_values = true, value_name = "LIST", value_parser = secret)]
        seal_keys: SecretString,
    }
);

table!(
    /// Requests to webhooks.
    WebhookRequests {
        /// Private destinations that webhooks may reach, as networks, `NAME:PORT` or `ADDRESS:PORT`,
        /// separated by commas [default: none]
        #[arg(long, env = "BERTH_WEBHOOK_ALLOW", value_name = "LIST")]
        webhook_allow: String,
    }
);

table!(
    /// The listeners. Port 0 selects a free port; the log states it.
    Listeners {
        /// Listener of the public API [default: 127.0.0.1:8080]
        #[arg(long, env = "BERTH_LISTEN", value_name = "ADDRESS")]
        listen: String,
        /// Listener for gateway nodes [default: 127.0.0.1:8081]
        #[arg(long, env = "BERTH_NODE_LISTEN", value_name = "ADDRESS")]
        node_listen: String,
        /// Listener for operators: /livez, /readyz and /metrics [default: 127.0.0.1:9090]
        #[arg(long, env = "BERTH_OPS_LISTEN", value_name = "ADDRESS")]
        ops_listen: String,
        /// Time that a connection stays open without a request; must exceed the idle timeout of the
        /// proxy in front [default: 130s]
        #[arg(long, env = "BERTH_KEEP_ALIVE", value_name = "TIME")]
        keep_alive: String,
        /// Networks of proxies in front, such as 10.0.0.0/8,192.0.2.7; their connections are not
        /// counted by address [default: none]
        #[arg(long, env = "BERTH_TRUSTED_PROXIES", value_name = "NETWORKS")]
        trusted_proxies: String,
    }
);

table!(
    /// How login tokens are verified. Without a key set only API keys work.
    Login {
        /// The issuer's key set: a URL, the path of a file, or the JSON itself
        #[arg(long, env = "BERTH_JWKS", hide_env_values = true, value_name = "SOURCE")]
        jwks: Document,
        /// Permit plain http to another machine for the key set [default: false]
        #[arg(long, env = "BERTH_JWKS_ALLOW_HTTP", value_name = "BOOL", num_args = 0..=1, default_missing_value = "true")]
        jwks_allow_http: Switch,
        /// Claim locations of a well-known issuer: better-auth, clerk, auth0 or keycloak
        #[arg(long, env = "BERTH_JWT_PRESET", value_name = "NAME")]
        jwt_preset: String,
        /// Required value of `iss` [default: any]
        #[arg(long, env = "BERTH_JWT_ISSUER", value_name = "TEXT")]
        jwt_issuer: String,
        /// Value that `aud` must be or contain [default: any]
        #[arg(long, env = "BERTH_JWT_AUDIENCE", value_name = "TEXT")]
        jwt_audience: String,
        /// JSON pointer to the organization [default: `/org_id`]
        #[arg(long, env = "BERTH_JWT_ORG_CLAIM", value_name = "POINTER")]
        jwt_org_claim: String,
        /// JSON pointer to the role in the organization [default: `/role`]
        #[arg(long, env = "BERTH_JWT_ROLE_CLAIM", value_name = "POINTER")]
        jwt_role_claim: String,
        /// JSON pointer to the role on the platform [default: `/platform_role`]
        #[arg(long, env = "BERTH_JWT_PLATFORM_ROLE_CLAIM", value_name = "POINTER")]
        jwt_platform_role_claim: String,
    }
);

table!(
    /// The local gateway, which berth starts when no other gateway is configured.
    LocalGateway {
        /// Program of the local gateway [default: berth-gateway next to berth]
        #[arg(long, env = "BERTH_GATEWAY_BIN", value_name = "PATH")]
        gateway_bin: String,
        /// Folder of the local gateway's device keys [default: data/gateway]
        #[arg(long, env = "BERTH_GATEWAY_DATA", value_name = "PATH")]
        gateway_data: String,
        /// URL of a simulated WhatsApp, ws://127.0.0.1:PORT/…; only for a gateway built with
        /// feature `sim`
        #[arg(long, env = "BERTH_WHATSAPP_URL", value_name = "URL")]
        whatsapp_url: String,
    }
);

table!(
    /// Remote gateways. The file has `[[gateway]]` tables with `id` and `token` instead.
    RemoteGateways {
        /// Tokens of remote gateways as `ID=TOKEN,ID=TOKEN`; prefer the variable, because the list
        /// of processes shows flags
        #[arg(long, env = "BERTH_NODE_TOKENS", hide_env_values = true, value_name = "LIST", value_parser = secret)]
        node_tokens: SecretString,
    }
);

table!(
    /// Deadlines, as `30s`, `5m`, `1h` or `7d`.
    Deadlines {
        /// Time that a logout request waits for WhatsApp [default: 10s]
        #[arg(long, env = "BERTH_LOGOUT_DEADLINE", value_name = "TIME")]
        logout_deadline: String,
        /// Time after which the keys of a deleted session are wiped without WhatsApp's confirmation
        /// [default: 1h]
        #[arg(long, env = "BERTH_RETIREMENT_DEADLINE", value_name = "TIME")]
        retirement_deadline: String,
        /// Time that a request waits until WhatsApp has its message [default: 10s]
        #[arg(long, env = "BERTH_SEND_DEADLINE", value_name = "TIME")]
        send_deadline: String,
        /// Time after which a message that WhatsApp does not acknowledge is given up [default: 10m]
        #[arg(long, env = "BERTH_ACKNOWLEDGEMENT_DEADLINE", value_name = "TIME")]
        acknowledgement_deadline: String,
        /// Time for which revoked and expired API keys are kept [default: 30d]
        #[arg(long, env = "BERTH_KEY_RETENTION", value_name = "TIME")]
        key_retention: String,
        /// Time for which events are kept for streams and webhooks; at least 1h [default: 30d]
        #[arg(long, env = "BERTH_FEED_RETENTION", value_name = "TIME")]
        feed_retention: String,
        /// Time for which the audit log keeps events, or `forever`; at least the feed retention
        /// [default: forever]
        #[arg(long, env = "BERTH_AUDIT_RETENTION", value_name = "TIME")]
        audit_retention: String,
        /// Time after which a session that does not connect is failed [default: 60s]
        #[arg(long, env = "BERTH_START_DEADLINE", value_name = "TIME")]
        start_deadline: String,
        /// Time without an answer of berth after which a gateway closes its connections
        /// [default: 30s]
        #[arg(long, env = "BERTH_LEASE", value_name = "TIME")]
        lease: String,
        /// Time between two heartbeats of a gateway; at most a third of the lease [default: 5s]
        #[arg(long, env = "BERTH_HEARTBEAT", value_name = "TIME")]
        heartbeat: String,
    }
);

table!(
    /// Rate limits and quotas; 0 means no limit. Each router counts its own requests.
    Limits {
        /// Maximum requests of one API key or person in a minute [default: 6000]
        #[arg(long, env = "BERTH_CREDENTIAL_RATE", value_name = "COUNT")]
        credential_rate: Count,
        /// Maximum requests of one organization in a minute [default: 12000]
        #[arg(long, env = "BERTH_ORGANIZATION_RATE", value_name = "COUNT")]
        organization_rate: Count,
        /// Maximum open event streams of one API key or person on one router [default: 20]
        #[arg(long, env = "BERTH_CREDENTIAL_STREAMS", value_name = "COUNT")]
        credential_streams: Count,
        /// Maximum open event streams of one organization on one router [default: 200]
        #[arg(long, env = "BERTH_ORGANIZATION_STREAMS", value_name = "COUNT")]
        organization_streams: Count,
        /// Maximum open event streams of one router; each takes a connection and an open file
        /// [default: 10000]
        #[arg(long, env = "BERTH_ROUTER_STREAMS", value_name = "COUNT")]
        router_streams: Count,
        /// Maximum pairing attempts in an hour, for one session and for one phone [default: 10]
        #[arg(long, env = "BERTH_PAIRING_RATE", value_name = "COUNT")]
        pairing_rate: Count,
        /// Maximum messages of one session that wait for their sending [default: 10000]
        #[arg(long, env = "BERTH_MESSAGE_QUEUE", value_name = "COUNT")]
        message_queue: Count,
        /// Maximum sessions of one organization [default: 20000]
        #[arg(long, env = "BERTH_SESSION_QUOTA", value_name = "COUNT")]
        session_quota: Count,
        /// Maximum API keys of one organization [default: 1000]
        #[arg(long, env = "BERTH_API_KEY_QUOTA", value_name = "COUNT")]
        api_key_quota: Count,
        /// Maximum webhooks of one organization [default: 20]
        #[arg(long, env = "BERTH_WEBHOOK_QUOTA", value_name = "COUNT")]
        webhook_quota: Count,
        /// Maximum share links of one organization, ended ones of the last hour included [default: 1000]
        #[arg(long, env = "BERTH_SHARE_LINK_QUOTA", value_name = "COUNT")]
        share_link_quota: Count,
        /// Maximum size of the responses recorded for one organization's requests with an
        /// `Idempotency-Key`, in bytes, `KiB`, `MiB` or `GiB` [default: 256MiB]
        #[arg(long, env = "BERTH_IDEMPOTENCY_QUOTA", value_name = "SIZE")]
        idempotency_quota: Count,
        /// Maximum size of the metadata of all sessions of one organization, in bytes, `KiB`, `MiB`
        /// or `GiB` [default: 64MiB]
        #[arg(long, env = "BERTH_METADATA_QUOTA", value_name = "SIZE")]
        metadata_quota: Count,
    }
);

table!(
    /// The log, on standard error.
    Logging {
        /// Filter of log lines, such as `info,store_diesel=debug` [default: info]
        #[arg(long, env = "BERTH_LOG", value_name = "FILTER")]
        log: String,
        /// Format of log lines: `text` or `json` [default: text]
        #[arg(long, env = "BERTH_LOG_FORMAT", value_name = "FORMAT")]
        log_format: String,
    }
);

/// All settings of `berth serve`.
#[derive(Clone, Debug, Default, Args, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Settings {
    #[command(flatten)]
    pub(crate) database: Database,
    #[command(flatten)]
    pub(crate) sealing: Sealing,
    #[command(flatten)]
    pub(crate) webhooks: WebhookRequests,
    #[command(flatten)]
    pub(crate) listeners: Listeners,
    #[command(flatten)]
    pub(crate) login: Login,
    #[command(flatten)]
    pub(crate) browsers: Browsers,
    #[command(flatten)]
    pub(crate) local_gateway: LocalGateway,
    #[command(flatten)]
    pub(crate) fleet: Fleet,
    #[command(flatten)]
    pub(crate) node_tls: NodeTls,
    #[command(flatten)]
    pub(crate) deadlines: Deadlines,
    #[command(flatten)]
    pub(crate) limits: Limits,
    #[command(flatten)]
    pub(crate) log: Logging,
    /// From the flag or the variable; the file has [`Self::gateway`] instead.
    #[command(flatten)]
    #[serde(skip)]
    pub(crate) remote: RemoteGateways,
    #[arg(skip)]
    pub(crate) gateway: Vec<RemoteGateway>,
    /// By organization id.
    #[arg(skip)]
    pub(crate) organizations: BTreeMap<String, OrganizationQuotas>,
}

impl Settings {
    /// Fills the values that flags and variables lack from the file.
    ///
    /// # Errors
    /// If the file cannot be read or parsed, or a text cannot be cleaned.
    pub(crate) fn with_file(self, path: Option<&Path>) -> Result<Self, Invalid> {
        let own = self.cleaned()?;
        let Some(path) = path else { return Ok(own) };
        let text = std::fs::read_to_string(path)
            .map_err(|error| Invalid::new(format!("{} cannot be read: {error}", path.display())))?;
        Ok(own.or(Self::from_toml(&text, path)?.cleaned()?))
    }

    fn from_toml(text: &str, path: &Path) -> Result<Self, Invalid> {
        toml::from_str(text).map_err(|error| {
            // The message omits the line, which may contain a secret.
            let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
            let line = before.matches('\n').count() + 1;
            let what = warnings::with_nearest_key(error.message());
            Invalid::new(format!("{}, line {line}: {what}", path.display()))
        })
    }

    fn cleaned(self) -> Result<Self, Invalid> {
        let gateway = self.gateway.into_iter().map(RemoteGateway::cleaned);
        let organizations = self.organizations.into_iter().map(|(name, quotas)| {
            let name = cleaned("organizations", Some(name))?.unwrap_or_default();
            Ok::<_, Invalid>((name, quotas.cleaned()?))
        });
        Ok(Self {
            database: self.database.cleaned()?,
            sealing: self.sealing.cleaned()?,
            webhooks: self.webhooks.cleaned()?,
            listeners: self.listeners.cleaned()?,
            login: self.login.cleaned()?,
            browsers: self.browsers.cleaned()?,
            local_gateway: self.local_gateway.cleaned()?,
            fleet: self.fleet.cleaned()?,
            node_tls: self.node_tls.cleaned()?,
            deadlines: self.deadlines.cleaned()?,
            limits: self.limits.cleaned()?,
            log: self.log.cleaned()?,
            remote: self.remote.cleaned()?,
            gateway: gateway.collect::<Result<_, _>>()?,
            organizations: organizations.collect::<Result<_, Invalid>>()?,
        })
    }

    fn or(self, other: Self) -> Self {
        Self {
            database: self.database.or(other.database),
            sealing: self.sealing.or(other.sealing),
            webhooks: self.webhooks.or(other.webhooks),
            listeners: self.listeners.or(other.listeners),
            login: self.login.or(other.login),
            browsers: self.browsers.or(other.browsers),
            local_gateway: self.local_gateway.or(other.local_gateway),
            fleet: self.fleet.or(other.fleet),
            node_tls: self.node_tls.or(other.node_tls),
            deadlines: self.deadlines.or(other.deadlines),
            limits: self.limits.or(other.limits),
            log: self.log.or(other.log),
            remote: self.remote.or(other.remote),
            gateway: other.gateway,
            organizations: other.organizations,
        }
    }
}

/// The settings on the command line, and the path of the file with further settings.
#[derive(Clone, Debug, Args)]
pub(crate) struct Flags {
    /// Path of a TOML file with the same settings; see config.example.toml
    #[arg(long, env = "BERTH_CONFIG", value_name = "PATH")]
    pub(crate) config: Option<String>,
    #[command(flatten)]
    pub(crate) settings: Settings,
}

impl Flags {
    /// Merges flags, variables and file.
    pub(crate) fn gather(self) -> Result<Settings, Invalid> {
        let file = cleaned("config", self.config)?;
        self.settings.with_file(file.as_deref().map(Path::new))
    }
}

#[cfg(test)]
mod tests;
