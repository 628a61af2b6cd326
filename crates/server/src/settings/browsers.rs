//! The settings of the dashboard and of the logins of browsers.

use clap::Args;
use secrecy::SecretString;
use serde::Deserialize;

use super::text::{cleaned, secret};
use crate::invalid::Invalid;

table!(
    /// The dashboard and the logins of browsers.
    Browsers {
        /// Dashboard and logins of browsers: `on` or `off` [default: on]
        #[arg(long, env = "BERTH_UI", value_name = "SWITCH")]
        ui: String,
        /// URL at which browsers reach berth: https, or http on a loopback address
        /// [default: the listener of the public API]
        #[arg(long, env = "BERTH_PUBLIC_URL", value_name = "URL")]
        public_url: String,
        /// Origins whose pages may hand over a login token, separated by commas [default: none]
        #[arg(long, env = "BERTH_UI_HANDOVER_ORIGINS", value_name = "LIST")]
        ui_handover_origins: String,
        /// Time without a request after which a browser is logged out [default: 12h]
        #[arg(long, env = "BERTH_BROWSER_IDLE", value_name = "TIME")]
        browser_idle: String,
        /// Time after the login at which a browser is logged out [default: 7d]
        #[arg(long, env = "BERTH_BROWSER_LIFETIME", value_name = "TIME")]
        browser_lifetime: String,
        /// Issuer at which browsers log in by OIDC [default: none]
        #[arg(long, env = "BERTH_OIDC_ISSUER", value_name = "URL")]
        oidc_issuer: String,
        /// Id of berth at the issuer
        #[arg(long, env = "BERTH_OIDC_CLIENT_ID", value_name = "TEXT")]
        oidc_client_id: String,
        /// Secret of berth at the issuer; prefer the variable [default: none, a public client]
        #[arg(long, env = "BERTH_OIDC_CLIENT_SECRET", hide_env_values = true, value_name = "TEXT", value_parser = secret)]
        oidc_client_secret: SecretString,
        /// Scopes of a login, separated by blanks [default: openid]
        #[arg(long, env = "BERTH_OIDC_SCOPES", value_name = "TEXT")]
        oidc_scopes: String,
    }
);
