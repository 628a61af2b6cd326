//! The response of `GET /api/v1/whoami`.

use domain::{Actor, Caller, Capability, Reach, Timestamp, UserId};
use serde::Serialize;
use utoipa::{ToSchema, openapi::schema::Schema};

use super::example::example_is_sample;
use crate::wire::schema;

/// The caller as the service sees it, without the secret of the credential.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Whoami)]
pub struct WhoamiView {
    /// The kind of the credential.
    #[schema(schema_with = kind)]
    pub kind: &'static str,
    /// Whether the credential is the cookie of a browser session, which a key or token opened.
    pub browser_session: bool,
    /// The id of the API key, or the subject of the login token; null for a token without subject.
    pub subject: Option<String>,
    /// The organization of the caller; null for a login token without organization.
    pub organization_id: Option<String>,
    /// The capabilities within the organization.
    #[schema(schema_with = schema::capabilities)]
    pub capabilities: Vec<&'static str>,
    /// The ids of the sessions that the caller can access; null for all sessions.
    pub sessions: Option<Vec<String>>,
    /// The role on the platform: `super_admin`, or null.
    pub platform_role: Option<&'static str>,
    /// The time at which the credential expires; null when it does not expire.
    pub expires_at: Option<i64>,
}

example_is_sample!(WhoamiView);

const API_KEY: &str = "api_key";
const LOGIN_TOKEN: &str = "login_token";

fn kind() -> Schema {
    schema::enumeration("The kind of the credential.", &[API_KEY, LOGIN_TOKEN])
}

impl WhoamiView {
    /// Returns an example.
    pub fn sample() -> Self {
        Self {
            kind: API_KEY,
            browser_session: false,
            subject: Some("key_01JGXS1DN00000000000000002".to_owned()),
            organization_id: Some("acme".to_owned()),
            capabilities: vec!["read", "manage"],
            sessions: Some(vec!["sess_01JGXS1DN00000000000000001".to_owned()]),
            platform_role: None,
            expires_at: Some(1_798_790_400_000),
        }
    }

    pub(crate) fn of(caller: &Caller) -> Self {
        let (kind, subject) = match &caller.actor {
            Actor::Key(key) => (API_KEY, Some(key.to_string())),
            // No credential of a request has the last two actors.
            Actor::User(_) | Actor::Link(_) | Actor::Operator | Actor::System => {
                let subject = caller.actor.user().map(UserId::as_str);
                (LOGIN_TOKEN, subject.map(str::to_owned))
            }
        };
        Self {
            kind,
            browser_session: caller.browser_session.is_some(),
            subject,
            organization_id: caller.organization.as_ref().map(ToString::to_string),
            capabilities: caller.capabilities.iter().map(Capability::as_str).collect(),
            sessions: match &caller.reach {
                Reach::Everything => None,
                Reach::Only(sessions) => Some(sessions.iter().map(ToString::to_string).collect()),
            },
            platform_role: caller.platform_admin.then_some("super_admin"),
            expires_at: caller.expires_at.map(Timestamp::millis),
        }
    }
}
