//! Checks of the issuers of login tokens and of logins, and of the public URL.

use std::{sync::Arc, time::Duration};

use auth::JwtVerifier;
use http_client::{HttpClient, Limits, RootCertStore, system_roots};
use hyper::{Request, body::Bytes};
use self_check::Report;
use serde_json::Value;

use crate::{config::Browsers, environment::SystemEnvironment};

/// Time limit for each request.
const TIMEOUT: Duration = Duration::from_secs(10);
const LIMITS: Limits = Limits {
    connect: Duration::from_secs(5),
    idle: TIMEOUT,
    idle_per_host: 0,
    response_bytes: 1 << 20,
};

/// Checks the key set of login tokens, and the discovery documents of both issuers.
pub(super) async fn check(report: &mut Report, login: auth::Config, browsers: &Browsers) {
    let issuer = login.issuer.clone();
    let has_audience = login.audience.is_some();
    match JwtVerifier::start(login, Arc::new(SystemEnvironment::default())).await {
        Ok(None) => report.ok("key_set", "no key set is configured: only API keys work"),
        Ok(Some(verifier)) if verifier.is_ready() => {
            report.ok("key_set", "the key set is loaded");
            if issuer.is_none() || !has_audience {
                report.warn(
                    "key_set",
                    "login tokens of any issuer or audience are accepted; set BERTH_JWT_ISSUER and \
                     BERTH_JWT_AUDIENCE",
                );
            }
            if let Some(issuer) = issuer.filter(|issuer| issuer.starts_with("http")) {
                discovery(report, "issuer", &issuer, false).await;
            }
        }
        Ok(Some(_)) => report.fault(
            "key_set",
            "the key set cannot be loaded; check BERTH_JWKS and the network to the issuer",
        ),
        Err(error) => report.fault("key_set", format!("{:#}", anyhow::Error::new(error))),
    }
    if let Some(oidc) = &browsers.oidc {
        discovery(report, "oidc", &oidc.issuer, true).await;
    }
}

/// Compares the name in the discovery document of an issuer with the configured one (OpenID Connect
/// Discovery 1.0, section 4.3). Logins need the document; login tokens do not.
async fn discovery(report: &mut Report, check: &'static str, issuer: &str, is_needed: bool) {
    let url = format!("{}/.well-known/openid-configuration", issuer.trim_end_matches('/'));
    let document = match get(&url).await {
        Ok((200, body)) => serde_json::from_slice::<Value>(&body).unwrap_or_default(),
        Ok((status, _)) => Value::String(format!("{url} answers {status}")),
        Err(error) => Value::String(error),
    };
    match (document.get("issuer").and_then(Value::as_str), &document) {
        (Some(name), _) if name == issuer => report.ok(check, format!("{issuer} describes itself")),
        (Some(name), _) => report.fault(
            check,
            format!("the issuer at {issuer} calls itself {name:?}: tokens of it are refused; correct the setting"),
        ),
        (None, why) => {
            let why = why.as_str().map_or_else(|| format!("{url} is no discovery document"), str::to_owned);
            if is_needed {
                report.fault(check, format!("{why}: browsers cannot log in"));
            } else {
                report.warn(check, why);
            }
        }
    }
}

/// Asks the public URL for an operation that needs a credential. A proxy that reaches berth returns
/// berth's refusal.
pub(super) async fn public_url(report: &mut Report, origin: &str) {
    let url = format!("{origin}/api/v1/whoami");
    match get(&url).await {
        Ok((401, body)) if serde_json::from_slice::<Value>(&body).is_ok() => {
            report.ok("public_url", format!("{origin} leads to berth"));
        }
        Ok((status, _)) => report.fault(
            "public_url",
            format!("{url} answers {status} instead of berth's 401; check the proxy in front"),
        ),
        Err(error) => report.warn(
            "public_url",
            format!("{error}; berth does not run, or this machine cannot reach its own public URL"),
        ),
    }
}

async fn get(url: &str) -> Result<(u16, Bytes), String> {
    let roots = system_roots().unwrap_or_else(|_| RootCertStore::empty());
    let client = HttpClient::new(roots, LIMITS).map_err(|error| error.to_string())?;
    let request =
        Request::get(url).body(Bytes::new()).map_err(|error| format!("{url}: {error}"))?;
    let answer = client.send(request, TIMEOUT).await;
    let answer = answer.map_err(|error| format!("{url}: {:#}", anyhow::Error::new(error)))?;
    Ok((answer.status().as_u16(), answer.into_body()))
}
