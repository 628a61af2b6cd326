//! The settings of the dashboard and of the logins of browsers.

use std::time::Duration;

use auth::{ClaimPaths, OidcConfig};
use domain::BrowserSessionLimits;
use http_hyper::{PublicUrl, normalized_origin};
use secrecy::ExposeSecret as _;

use super::time;
use crate::{invalid::Invalid, settings};

/// The minimum of `browser_idle` and `browser_lifetime`; the last use of a session is known to the
/// minute.
const MIN_TIME: Duration = Duration::from_mins(5);

/// The settings of the dashboard and of the logins of browsers.
#[derive(Debug)]
pub(crate) struct Browsers {
    pub(crate) enabled: bool,
    /// `None` means the listener of the public API.
    pub(crate) public_url: Option<PublicUrl>,
    /// The origins whose pages may hand over a login token.
    pub(crate) handover_origins: Vec<String>,
    pub(crate) limits: BrowserSessionLimits,
    /// The issuer at which browsers log in; `None` without one.
    pub(crate) oidc: Option<OidcConfig>,
}

impl Browsers {
    /// Checks the settings. `claims` are the claim locations of login tokens.
    pub(super) fn check(
        settings: &settings::Browsers,
        claims: &ClaimPaths,
        leeway: Duration,
    ) -> Result<Self, Invalid> {
        let enabled = match settings.ui.as_deref() {
            None | Some("on") => true,
            Some("off") => false,
            Some(other) => {
                return Err(Invalid::setting("ui", format!("{other:?} is neither on nor off")));
            }
        };
        let public_url = settings.public_url.as_deref().map(|text| {
            PublicUrl::parse(text)
                .map_err(|error| Invalid::setting("public_url", format!("{text:?} is {error}")))
        });
        let usual = BrowserSessionLimits::default();
        let idle = at_least_minimum("browser_idle", settings.browser_idle.as_deref(), usual.idle)?;
        let given = settings.browser_lifetime.as_deref();
        let lifetime = at_least_minimum("browser_lifetime", given, usual.lifetime)?;
        Ok(Self {
            enabled,
            public_url: public_url.transpose()?,
            handover_origins: origins(settings.ui_handover_origins.as_deref())?,
            limits: BrowserSessionLimits { idle, lifetime, ..usual },
            oidc: oidc(settings, claims, leeway)?,
        })
    }
}

fn at_least_minimum(
    name: &str,
    given: Option<&str>,
    default: Duration,
) -> Result<Duration, Invalid> {
    let time = time(name, given, default)?;
    if time < MIN_TIME { Err(Invalid::setting(name, "5m or longer")) } else { Ok(time) }
}

fn origins(given: Option<&str>) -> Result<Vec<String>, Invalid> {
    let entries = given.unwrap_or_default().split(',').map(str::trim);
    let entries = entries.filter(|entry| !entry.is_empty());
    let read = |entry: &str| {
        normalized_origin(entry).ok_or_else(|| {
            let reason = format!("{entry:?} is not an origin, such as https://app.example");
            Invalid::setting("ui_handover_origins", reason)
        })
    };
    entries.map(read).collect()
}

fn oidc(
    settings: &settings::Browsers,
    claims: &ClaimPaths,
    leeway: Duration,
) -> Result<Option<OidcConfig>, Invalid> {
    let (issuer, client_id) = match (&settings.oidc_issuer, &settings.oidc_client_id) {
        (None, None) if settings.oidc_client_secret.is_none() => return Ok(None),
        (None, _) => {
            return Err(Invalid::setting("oidc_issuer", "is required by the other oidc settings"));
        }
        (Some(_), None) => {
            return Err(Invalid::setting("oidc_client_id", "is required by oidc_issuer"));
        }
        (Some(issuer), Some(client_id)) => (issuer.clone(), client_id.clone()),
    };
    let scopes = settings.oidc_scopes.clone().unwrap_or_else(|| "openid".to_owned());
    if !scopes.split(' ').any(|scope| scope == "openid") {
        return Err(Invalid::setting("oidc_scopes", "must contain openid"));
    }
    let secret = settings.oidc_client_secret.as_ref();
    Ok(Some(OidcConfig {
        issuer,
        client_id,
        client_secret: secret.map(|secret| secret.expose_secret().to_owned()),
        scopes,
        claims: claims.clone(),
        leeway,
    }))
}
