//! Checks of the issuers of login tokens and of logins.

use std::sync::Arc;

use auth::JwtVerifier;
use hyper::Request;
use self_check::Report;
use serde_json::Value;

use super::requests::send;
use crate::{config::Browsers, environment::SystemEnvironment};

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
        if browsers.public_url.is_none() {
            report.warn(
                "oidc",
                "BERTH_PUBLIC_URL is not set: the issuer can send only browsers on this machine back",
            );
        }
        discovery(report, "oidc", &oidc.issuer, true).await;
    }
}

/// Compares the name in the discovery document of an issuer with the configured one (`OpenID`
/// Connect Discovery 1.0, section 4.3). Logins need the document; login tokens do not.
async fn discovery(report: &mut Report, check: &'static str, issuer: &str, is_needed: bool) {
    let url = format!("{}/.well-known/openid-configuration", issuer.trim_end_matches('/'));
    let document = match send(Request::get(&url), "").await {
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
