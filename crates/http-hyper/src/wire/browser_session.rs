//! The requests and responses of browser sessions.

use domain::BrowserSession;
use serde::Serialize;
use serde_json::{Value, json};
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{RefOr, schema::Schema},
};

use super::example::example_is_sample;
use crate::{
    request::fields::Fields,
    wire::schema::{object, text},
};

/// Maximum length of a credential in bytes; login tokens are the longest.
const MAX_CREDENTIAL: usize = 8 * 1024;

/// A browser session.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = BrowserSession)]
pub struct BrowserSessionView {
    /// The time at which the session ends in any case.
    pub expires_at: i64,
    /// The time at which the session ends without another request.
    pub idle_at: i64,
    /// The organization that the browser acts for; null when the login has none, or when one of
    /// `organizations` must be chosen.
    pub organization: Option<String>,
    /// The organizations that the browser can act for.
    pub organizations: Vec<String>,
}

/// The ways to log in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = LoginOptions)]
pub struct LoginOptionsView {
    /// Whether `/auth/login` leads to an issuer.
    pub oidc: bool,
    /// The URL at which browsers reach the service.
    pub public_url: String,
}

/// The request to log a browser in.
#[derive(Clone, PartialEq, Eq)]
pub struct BrowserCredentialSpec {
    /// An API key or a login token.
    pub credential: String,
}

/// The form with which another page logs a browser in.
#[derive(Clone, PartialEq, Eq)]
pub struct HandoverSpec {
    /// The credential of the person.
    pub credential: BrowserCredentialSpec,
    /// The page to continue with.
    pub page: Option<String>,
}

/// The request to act for another organization.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OrganizationChoiceSpec {
    /// The id of the organization.
    pub organization: String,
}

example_is_sample!(
    BrowserSessionView,
    LoginOptionsView,
    BrowserCredentialSpec,
    HandoverSpec,
    OrganizationChoiceSpec
);

impl BrowserSessionView {
    /// Returns an example.
    pub fn sample() -> Self {
        Self {
            expires_at: 1_767_859_200_000,
            idle_at: 1_767_297_600_000,
            organization: Some("acme".to_owned()),
            organizations: vec!["acme".to_owned(), "zeta".to_owned()],
        }
    }

    pub(crate) fn of(session: &BrowserSession) -> Self {
        Self {
            expires_at: session.ends_at.millis(),
            idle_at: session.expires_at.millis(),
            organization: session.organization.as_ref().map(ToString::to_string),
            organizations: session.organizations().iter().map(ToString::to_string).collect(),
        }
    }
}

impl LoginOptionsView {
    /// Returns an example.
    pub fn sample() -> Self {
        Self { oidc: true, public_url: "https://berth.example".to_owned() }
    }
}

impl std::fmt::Debug for BrowserCredentialSpec {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BrowserCredentialSpec").finish_non_exhaustive()
    }
}

impl BrowserCredentialSpec {
    /// Returns an example.
    pub fn sample() -> Value {
        json!({ "credential": "wa_01Yf7LrQ0000000000000g_…" })
    }

    pub(crate) fn read(fields: &mut Fields) -> Self {
        let credential = fields.required_text("credential");
        Self { credential: credential.unwrap_or_default().trim().to_owned() }
    }

    /// Returns the credential if it can be one: visible ASCII of a bounded length.
    pub(crate) fn into_text(self) -> Option<String> {
        let length = 1..=MAX_CREDENTIAL;
        let text = self.credential;
        (length.contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic()))
            .then_some(text)
    }
}

impl PartialSchema for BrowserCredentialSpec {
    fn schema() -> RefOr<Schema> {
        let credential = text("An API key, or a login token of your identity provider.");
        RefOr::T(
            object("The request to log a browser in.")
                .property("credential", credential)
                .required("credential")
                .build()
                .into(),
        )
    }
}

impl ToSchema for BrowserCredentialSpec {}

impl HandoverSpec {
    /// Returns an example.
    pub fn sample() -> Value {
        json!({ "credential": "eyJhbGciOiJFZERTQSJ9.…", "return": "/ui/sessions" })
    }

    pub(crate) fn read(fields: &mut Fields) -> Self {
        let page = fields.text("return");
        Self { credential: BrowserCredentialSpec::read(fields), page }
    }
}

impl PartialSchema for HandoverSpec {
    fn schema() -> RefOr<Schema> {
        let page = text("The page to continue with; `/ui/` when absent.");
        RefOr::T(
            object("The form with which another page logs a browser in.")
                .property("credential", text("A login token of the person, or an API key."))
                .property("return", page.pattern(Some("^/ui/")).max_length(Some(1024)))
                .required("credential")
                .build()
                .into(),
        )
    }
}

impl ToSchema for HandoverSpec {}

impl OrganizationChoiceSpec {
    /// Returns an example.
    pub fn sample() -> Value {
        json!({ "organization": "zeta" })
    }

    pub(crate) fn read(fields: &mut Fields) -> Self {
        let organization = fields.required_text("organization");
        Self { organization: organization.unwrap_or_default() }
    }
}

impl PartialSchema for OrganizationChoiceSpec {
    fn schema() -> RefOr<Schema> {
        RefOr::T(
            object("The request to act for another organization.")
                .property("organization", text("The id of the organization."))
                .required("organization")
                .build()
                .into(),
        )
    }
}

impl ToSchema for OrganizationChoiceSpec {}
