//! The dependencies of browser sessions: the public URL, and the issuer of logins.

use std::sync::Arc;

use async_trait::async_trait;
use auth::{OidcClient, OidcCode, OidcRequest};
use domain::{
    SignIn,
    ports::{Environment, Refused},
};
use http_hyper::{LoginCode, LoginFlow, LoginRequest};

use crate::{config::Browsers, invalid::Invalid};

/// The issuer of logins, as the API needs it.
struct OidcLoginFlow(OidcClient);

/// Returns the issuer of logins; `None` without one.
///
/// # Errors
/// If the issuer cannot be used.
pub(crate) fn login_flow(
    browsers: &Browsers,
    environment: Arc<dyn Environment>,
) -> Result<Option<Arc<dyn LoginFlow>>, Invalid> {
    let Some(config) = browsers.oidc.clone() else { return Ok(None) };
    let client = OidcClient::new(config, environment).map_err(|error| {
        Invalid::setting("oidc_issuer", format!("{:#}", anyhow::Error::new(error)))
    })?;
    Ok(Some(Arc::new(OidcLoginFlow(client))))
}

#[async_trait]
impl LoginFlow for OidcLoginFlow {
    async fn url(&self, request: &LoginRequest<'_>) -> Result<String, Refused> {
        let LoginRequest { redirect_uri, state, nonce, challenge } = *request;
        self.0.url(&OidcRequest { redirect_uri, state, nonce, challenge }).await
    }

    async fn redeem(&self, code: &LoginCode<'_>) -> Result<SignIn, Refused> {
        let LoginCode { code, redirect_uri, verifier, nonce } = *code;
        self.0.redeem(&OidcCode { code, redirect_uri, verifier, nonce }).await
    }
}
