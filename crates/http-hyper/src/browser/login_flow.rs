//! The login at an issuer (OIDC), as the operations need it.

use async_trait::async_trait;
use domain::{SignIn, ports::Refused};

/// A login that a browser begins at the issuer.
#[derive(Clone, Copy, Debug)]
pub struct LoginRequest<'a> {
    /// The URL to which the issuer sends the browser back.
    pub redirect_uri: &'a str,
    /// The text that the issuer returns with the browser.
    pub state: &'a str,
    /// The text that the issuer puts into the token.
    pub nonce: &'a str,
    /// The digest of the verifier (PKCE, S256).
    pub challenge: &'a str,
}

/// The code with which a browser returns, and the secrets that prove the begin of the login.
#[derive(Clone, Copy)]
pub struct LoginCode<'a> {
    /// The code of the issuer.
    pub code: &'a str,
    /// As at the begin of the login.
    pub redirect_uri: &'a str,
    /// The text whose digest the issuer got at the begin (PKCE).
    pub verifier: &'a str,
    /// The text that the token must contain.
    pub nonce: &'a str,
}

/// The issuer of logins.
#[async_trait]
pub trait LoginFlow: Send + Sync {
    /// Returns the URL of the issuer to which a browser goes to log in.
    ///
    /// # Errors
    /// [`Refused::Unavailable`] if the issuer cannot be asked for its addresses.
    async fn url(&self, request: &LoginRequest<'_>) -> Result<String, Refused>;

    /// Exchanges the code of a login for its token.
    ///
    /// # Errors
    /// [`Refused::Unavailable`] if the issuer does not answer, [`Refused::Denied`] for a code or a
    /// token that is not accepted.
    async fn redeem(&self, code: &LoginCode<'_>) -> Result<SignIn, Refused>;
}
