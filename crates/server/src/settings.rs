//! What an operator can say, as it is written: on the command line, in the environment, in a file.
//!
//! One struct is read from all three, so that they cannot know different settings. A setting's name
//! is the variable's without `BERTH_`, in lower case; the file groups them in tables. Flags win,
//! then the environment, then the file; an empty value counts as not given. Nothing is checked
//! here: [`crate::config`] does, with one message per mistake wherever it was made.

use std::path::{Path, PathBuf};

use clap::Args;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;

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
            /// What is given here, and what `other` says of the rest.
            fn or(self, other: Self) -> Self {
                Self { $($field: given(self.$field).or(given(other.$field)),)* }
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
    }
);

table!(
    /// How login tokens are verified. Without a key set only API keys work.
    Login {
        /// The issuer's key set: a URL, the path of a file, or the JSON itself
        #[arg(long, env = "BERTH_JWKS", hide_env_values = true, value_name = "SOURCE", value_parser = secret)]
        jwks: SecretString,
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
    /// How long WhatsApp may take, as `30s`, `5m`, `1h` or `7d`.
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
        /// Attempts at linking that one session may begin in an hour [default: 10]
        #[arg(long, env = "BERTH_PAIRING_RATE", value_name = "COUNT")]
        pairing_rate: Count,
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
}

/// A `[[gateway]]` table.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RemoteGateway {
    pub(crate) id: String,
    pub(crate) token: SecretString,
}

impl Settings {
    /// Fills in from the file what flags and environment leave open.
    pub(crate) fn with_file(self, path: Option<&Path>) -> Result<Self, Invalid> {
        let Some(path) = path else { return Ok(self.or(Self::default())) };
        let text = std::fs::read_to_string(path)
            .map_err(|error| Invalid::new(format!("{} cannot be read: {error}", path.display())))?;
        Ok(self.or(Self::from_toml(&text, path)?))
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
        }
    }
}

/// Settings and where the rest of them is.
#[derive(Clone, Debug, Args)]
pub(crate) struct Flags {
    /// A TOML file with the same settings; see config.example.toml
    #[arg(long, env = "BERTH_CONFIG", value_name = "PATH")]
    pub(crate) config: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) settings: Settings,
}

impl Flags {
    /// What flags, environment and file say together.
    pub(crate) fn gather(self) -> Result<Settings, Invalid> {
        let file = self.config.filter(|path| !path.as_os_str().is_empty());
        self.settings.with_file(file.as_deref())
    }
}

/// Yes or no: `true` or `false` in the file, still any text from elsewhere.
#[derive(Clone, Debug)]
pub(crate) struct Switch(pub(crate) String);

impl From<String> for Switch {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl<'de> Deserialize<'de> for Switch {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        bool::deserialize(deserializer).map(|on| Self(on.to_string()))
    }
}

/// A number: an integer in the file, still any text from elsewhere.
#[derive(Clone, Debug)]
pub(crate) struct Count(pub(crate) String);

impl From<String> for Count {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl<'de> Deserialize<'de> for Count {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        i64::deserialize(deserializer).map(|count| Self(count.to_string()))
    }
}

/// Whether a value says anything.
trait Value {
    fn is_blank(&self) -> bool;
}

impl Value for String {
    fn is_blank(&self) -> bool {
        self.trim().is_empty()
    }
}

impl Value for Switch {
    fn is_blank(&self) -> bool {
        self.0.is_blank()
    }
}

impl Value for Count {
    fn is_blank(&self) -> bool {
        self.0.is_blank()
    }
}

impl Value for SecretString {
    fn is_blank(&self) -> bool {
        self.expose_secret().trim().is_empty()
    }
}

fn given<T: Value>(value: Option<T>) -> Option<T> {
    value.filter(|value| !value.is_blank())
}

#[expect(clippy::unnecessary_wraps, reason = "a clap value parser may fail")]
fn secret(text: &str) -> Result<SecretString, std::convert::Infallible> {
    Ok(SecretString::from(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(text: &str) -> Result<Settings, Invalid> {
        Settings::from_toml(text, Path::new("berth.toml"))
    }

    #[test]
    fn the_file_says_what_nobody_else_said() {
        let mut flags = Settings::default();
        flags.listeners.listen = Some("127.0.0.1:1".into());
        flags.listeners.node_listen = Some(String::new());
        let file = file(
            "[listeners]\nlisten = '127.0.0.1:2'\nnode_listen = '127.0.0.1:3'\n\
             [database]\ndatabase_url = 'sqlite:x'",
        );
        let all = flags.or(file.unwrap());
        assert_eq!(all.listeners.listen.as_deref(), Some("127.0.0.1:1"));
        assert_eq!(all.listeners.node_listen.as_deref(), Some("127.0.0.1:3"), "blank is not given");
        assert_eq!(all.database.database_url.unwrap().expose_secret(), "sqlite:x");
    }

    #[test]
    fn a_mistake_in_the_file_is_named_with_its_line_and_without_its_text() {
        for (text, line, word) in [
            ("[listeners]\nlissen = 'x'", 2, "lissen"),
            ("[listener]\nlisten = 'x'", 1, "listener"),
            ("\n\n[database]\ndatabase_url = 5", 4, "string"),
            ("[[gateway]]\nid = 'a'", 1, "token"),
            ("[database]\ndatabase_url = 'canary", 2, ""),
            ("node_tokens = 'a=canary'", 1, "node_tokens"),
        ] {
            let error = file(text).unwrap_err().to_string();
            assert!(error.starts_with(&format!("berth.toml, line {line}: ")), "{error}");
            assert!(error.contains(word), "{error}");
            assert!(!error.contains("canary") && !error.contains('\n'), "{error}");
        }
    }

    #[test]
    fn secrets_are_not_shown() {
        let text = "[database]\ndatabase_url = 'canary'\n[login]\njwks = 'canary'\n\
                    [[gateway]]\nid = 'a'\ntoken = 'canary'";
        let shown = format!("{:?}", file(text).unwrap());
        assert!(!shown.contains("canary"), "{shown}");
    }
}
