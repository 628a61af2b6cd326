//! What an operator can say, as it is written: on the command line, in the environment, in a file.
//!
//! One struct is read from all three, so that they cannot know different settings. A setting's name
//! is the variable's without `BERTH_`, in lower case; the file groups them in tables. Flags win,
//! then the environment (`NAME`, or `NAME_FILE`), then the file. Texts are cleaned here by the one rule
//! of ADR 0033, wherever they come from; an empty value counts as not given. Nothing else is checked
//! here: [`crate::config`] does, with one message per mistake wherever it was made.

mod text;

use std::{collections::BTreeMap, path::Path};

use clap::Args;
use program_settings::Variables;
use secrecy::SecretString;
use serde::Deserialize;

pub(crate) use text::{Count, Document, Switch};
use text::{cleaned, secret};

use crate::config::Invalid;

/// Declares a table of settings that flags, environment and file share.
macro_rules! table {
    ($(#[$doc:meta])* $name:ident { $($(#[$about:meta])* $field:ident: $kind:ty,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Debug, Default, Args, Deserialize)]
        #[serde(default, deny_unknown_fields)]
        #[allow(clippy::struct_field_names, reason = "settings are called what operators call them")]
        pub(crate) struct $name {
            $($(#[$about])* pub(crate) $field: Option<$kind>,)*
        }

        impl $name {
            /// The same with every text cleaned.
            fn cleaned(self) -> Result<Self, Invalid> {
                Ok(Self { $($field: cleaned(stringify!($field), self.$field)?,)* })
            }

            /// What is given here, and what `other` says of the rest.
            fn or(self, other: Self) -> Self {
                Self { $($field: self.$field.or(other.$field),)* }
            }
        }
    };
}

table!(
    /// Where everything is remembered.
    Database {
        /// `sqlite:PATH` or `postgres://USER:PASSWORD@HOST/NAME?sslmode=…` [default: sqlite:data/berth.db]
        #[arg(long, env = "BERTH_DATABASE_URL", hide_env_values = true, value_name = "URL", value_parser = secret)]
        database_url: SecretString,
    }
);

table!(
    /// Where berth listens. Port 0 takes a free one; the log says which.
    Listeners {
        /// The public API [default: 127.0.0.1:8080]
        #[arg(long, env = "BERTH_LISTEN", value_name = "ADDRESS")]
        listen: String,
        /// For gateway nodes alone [default: 127.0.0.1:8081]
        #[arg(long, env = "BERTH_NODE_LISTEN", value_name = "ADDRESS")]
        node_listen: String,
        /// For operators: /livez, /readyz and /metrics [default: 127.0.0.1:9090]
        #[arg(long, env = "BERTH_OPS_LISTEN", value_name = "ADDRESS")]
        ops_listen: String,
        /// How long a connection stays open without a request; longer than the proxy in front keeps its own [default: 130s]
        #[arg(long, env = "BERTH_KEEP_ALIVE", value_name = "TIME")]
        keep_alive: String,
        /// Proxies in front, as 10.0.0.0/8,192.0.2.7: their connections are not counted by address [default: none]
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
        /// Fetch the key set over plain http from another machine, too [default: false]
        #[arg(long, env = "BERTH_JWKS_ALLOW_HTTP", value_name = "BOOL", num_args = 0..=1, default_missing_value = "true")]
        jwks_allow_http: Switch,
        /// Where a well-known issuer puts the claims: better-auth, clerk, auth0 or keycloak
        #[arg(long, env = "BERTH_JWT_PRESET", value_name = "NAME")]
        jwt_preset: String,
        /// What `iss` must be [default: not looked at]
        #[arg(long, env = "BERTH_JWT_ISSUER", value_name = "TEXT")]
        jwt_issuer: String,
        /// What `aud` must be or contain [default: not looked at]
        #[arg(long, env = "BERTH_JWT_AUDIENCE", value_name = "TEXT")]
        jwt_audience: String,
        /// Where the organization is, a JSON pointer [default: `/org_id`]
        #[arg(long, env = "BERTH_JWT_ORG_CLAIM", value_name = "POINTER")]
        jwt_org_claim: String,
        /// Where the role in it is, a JSON pointer [default: `/role`]
        #[arg(long, env = "BERTH_JWT_ROLE_CLAIM", value_name = "POINTER")]
        jwt_role_claim: String,
        /// Where the role on the platform is, a JSON pointer [default: `/platform_role`]
        #[arg(long, env = "BERTH_JWT_PLATFORM_ROLE_CLAIM", value_name = "POINTER")]
        jwt_platform_role_claim: String,
    }
);

table!(
    /// The gateway that berth starts by itself when no other is configured.
    LocalGateway {
        /// Its program [default: berth-gateway next to berth]
        #[arg(long, env = "BERTH_GATEWAY_BIN", value_name = "PATH")]
        gateway_bin: String,
        /// The folder of its device keys [default: data/gateway]
        #[arg(long, env = "BERTH_GATEWAY_DATA", value_name = "PATH")]
        gateway_data: String,
        /// A simulated WhatsApp, ws://127.0.0.1:PORT/…; only for a gateway built with feature `sim`
        #[arg(long, env = "BERTH_WHATSAPP_URL", value_name = "URL")]
        whatsapp_url: String,
    }
);

table!(
    /// Gateways elsewhere. In the file they are `[[gateway]]` tables with `id` and `token`.
    RemoteGateways {
        /// `ID=TOKEN,ID=TOKEN`; better in the environment, for flags show in the list of processes
        #[arg(long, env = "BERTH_NODE_TOKENS", hide_env_values = true, value_name = "LIST", value_parser = secret)]
        node_tokens: SecretString,
    }
);

table!(
    /// How long WhatsApp and gateways may take, as `30s`, `5m`, `1h` or `7d`.
    Deadlines {
        /// How long a logout request waits before it answers [default: 10s]
        #[arg(long, env = "BERTH_LOGOUT_DEADLINE", value_name = "TIME")]
        logout_deadline: String,
        /// When the keys of a deleted session are wiped without WhatsApp's word [default: 1h]
        #[arg(long, env = "BERTH_RETIREMENT_DEADLINE", value_name = "TIME")]
        retirement_deadline: String,
        /// How long API keys are kept after they were revoked or expired [default: 30d]
        #[arg(long, env = "BERTH_KEY_RETENTION", value_name = "TIME")]
        key_retention: String,
        /// When a session that does not come up counts as failed [default: 60s]
        #[arg(long, env = "BERTH_START_DEADLINE", value_name = "TIME")]
        start_deadline: String,
        /// After how long without an answer of berth a gateway closes its connections [default: 30s]
        #[arg(long, env = "BERTH_LEASE", value_name = "TIME")]
        lease: String,
        /// How often gateways say that they live; at most a third of the lease [default: 5s]
        #[arg(long, env = "BERTH_HEARTBEAT", value_name = "TIME")]
        heartbeat: String,
    }
);

table!(
    /// How much is let through; 0 for any number. Requests are counted by each berth for itself.
    Limits {
        /// Requests of one API key or person in a minute [default: 6000]
        #[arg(long, env = "BERTH_CREDENTIAL_RATE", value_name = "COUNT")]
        credential_rate: Count,
        /// Requests of one organization in a minute [default: 12000]
        #[arg(long, env = "BERTH_ORGANIZATION_RATE", value_name = "COUNT")]
        organization_rate: Count,
        /// Attempts at linking in an hour, of one session and of one phone [default: 10]
        #[arg(long, env = "BERTH_PAIRING_RATE", value_name = "COUNT")]
        pairing_rate: Count,
        /// Sessions of one organization [default: 20000]
        #[arg(long, env = "BERTH_SESSION_QUOTA", value_name = "COUNT")]
        session_quota: Count,
        /// API keys of one organization [default: 1000]
        #[arg(long, env = "BERTH_API_KEY_QUOTA", value_name = "COUNT")]
        api_key_quota: Count,
        /// Responses recorded for one organization's requests with an `Idempotency-Key`, as bytes, `KiB`, `MiB` or `GiB` [default: 256MiB]
        #[arg(long, env = "BERTH_IDEMPOTENCY_QUOTA", value_name = "SIZE")]
        idempotency_quota: Count,
        /// Metadata of all sessions of one organization, as bytes, `KiB`, `MiB` or `GiB` [default: 64MiB]
        #[arg(long, env = "BERTH_METADATA_QUOTA", value_name = "SIZE")]
        metadata_quota: Count,
    }
);

table!(
    /// The log, on standard error.
    Logging {
        /// What to log, as an env-filter such as `info,store_diesel=debug` [default: info]
        #[arg(long, env = "BERTH_LOG", value_name = "FILTER")]
        log: String,
        /// `text` or `json` [default: text]
        #[arg(long, env = "BERTH_LOG_FORMAT", value_name = "FORMAT")]
        log_format: String,
    }
);

/// Everything an operator can say.
#[derive(Clone, Debug, Default, Args, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Settings {
    #[command(flatten)]
    pub(crate) database: Database,
    #[command(flatten)]
    pub(crate) listeners: Listeners,
    #[command(flatten)]
    pub(crate) login: Login,
    #[command(flatten)]
    pub(crate) local_gateway: LocalGateway,
    #[command(flatten)]
    pub(crate) deadlines: Deadlines,
    #[command(flatten)]
    pub(crate) limits: Limits,
    #[command(flatten)]
    pub(crate) log: Logging,
    /// The flag and the variable; the file has [`Self::gateway`] instead.
    #[command(flatten)]
    #[serde(skip)]
    pub(crate) remote: RemoteGateways,
    #[arg(skip)]
    pub(crate) gateway: Vec<RemoteGateway>,
    /// By their names.
    #[arg(skip)]
    pub(crate) organizations: BTreeMap<String, OrganizationQuotas>,
}

/// A `[[gateway]]` table.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RemoteGateway {
    pub(crate) id: String,
    pub(crate) token: SecretString,
}

impl RemoteGateway {
    fn cleaned(self) -> Result<Self, Invalid> {
        let (id, token) = (Some(self.id), Some(self.token));
        Ok(Self {
            id: cleaned("gateway", id)?.unwrap_or_default(),
            token: cleaned("gateway", token)?.unwrap_or_default(),
        })
    }
}

/// An `[organizations.ID]` table: quotas of one organization, where they differ from those of all.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[expect(clippy::struct_field_names, reason = "they are named as the settings that they replace")]
pub(crate) struct OrganizationQuotas {
    pub(crate) session_quota: Option<Count>,
    pub(crate) api_key_quota: Option<Count>,
    pub(crate) idempotency_quota: Option<Count>,
    pub(crate) metadata_quota: Option<Count>,
}

impl OrganizationQuotas {
    fn cleaned(self) -> Result<Self, Invalid> {
        Ok(Self {
            session_quota: cleaned("session_quota", self.session_quota)?,
            api_key_quota: cleaned("api_key_quota", self.api_key_quota)?,
            idempotency_quota: cleaned("idempotency_quota", self.idempotency_quota)?,
            metadata_quota: cleaned("metadata_quota", self.metadata_quota)?,
        })
    }
}

impl Settings {
    /// Fills in from the file what flags and environment leave open.
    pub(crate) fn with_file(self, path: Option<&Path>) -> Result<Self, Invalid> {
        let own = self.cleaned()?;
        let Some(path) = path else { return Ok(own) };
        let text = std::fs::read_to_string(path)
            .map_err(|error| Invalid::new(format!("{} cannot be read: {error}", path.display())))?;
        Ok(own.or(Self::from_toml(&text, path)?.cleaned()?))
    }

    fn from_toml(text: &str, path: &Path) -> Result<Self, Invalid> {
        toml::from_str(text).map_err(|error| {
            // Without the offending line itself, which may hold a secret.
            let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
            let line = before.matches('\n').count() + 1;
            let what = error.message().lines().collect::<Vec<_>>().join(" ");
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
            listeners: self.listeners.cleaned()?,
            login: self.login.cleaned()?,
            local_gateway: self.local_gateway.cleaned()?,
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
            listeners: self.listeners.or(other.listeners),
            login: self.login.or(other.login),
            local_gateway: self.local_gateway.or(other.local_gateway),
            deadlines: self.deadlines.or(other.deadlines),
            limits: self.limits.or(other.limits),
            log: self.log.or(other.log),
            remote: self.remote.or(other.remote),
            gateway: other.gateway,
            organizations: other.organizations,
        }
    }
}

/// Settings and where the rest of them is.
#[derive(Clone, Debug, Args)]
pub(crate) struct Flags {
    /// A TOML file with the same settings; see config.example.toml
    #[arg(long, env = "BERTH_CONFIG", value_name = "PATH")]
    pub(crate) config: Option<String>,
    #[command(flatten)]
    pub(crate) settings: Settings,
}

impl Flags {
    /// What flags, environment and file say together.
    pub(crate) fn gather(self) -> Result<Settings, Invalid> {
        let file = cleaned("config", self.config)?;
        self.settings.with_file(file.as_deref().map(Path::new))
    }
}

/// Logs a warning that names the `BERTH_*` variables that nobody reads: one of them may be a
/// setting with a typing error, whose default is in force instead.
pub(crate) fn warn_of_unknown_variables() {
    let unknown = Variables::of_process().unknown();
    if !unknown.is_empty() {
        let variables = unknown.join(", ");
        tracing::warn!(variables, "unknown environment variables are ignored");
    }
}

#[cfg(test)]
mod tests;
