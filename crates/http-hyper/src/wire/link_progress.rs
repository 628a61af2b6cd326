//! The progress of a share link in the response to its holder: nothing of the organization but the
//! title.

use domain::{LinkMethod, LinkOutcome, LinkProgress, MAX_LINK_PAIRINGS};
use serde::Serialize;
use utoipa::{ToSchema, openapi::schema::Schema};

use super::{example::example_is_sample, session::StatusReasonView, share_link::methods};
use crate::wire::schema::{self, enumeration};

/// The progress of a share link, as its holder sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = LinkProgress)]
pub struct LinkProgressView<'a> {
    /// The id of the link.
    pub id: &'a str,
    /// `open`: a phone can be linked. `used`: a phone is linked. `failed`: three pairing attempts
    /// ended without a phone.
    #[schema(schema_with = state)]
    pub state: &'static str,
    /// The state of the connection.
    #[schema(schema_with = schema::status)]
    pub status: &'static str,
    /// The reason for the status; null without one.
    pub status_reason: Option<StatusReasonView<'a>>,
    /// The text that says who asks for the phone; null without a title.
    pub title: Option<&'a str>,
    /// The ways in which the holder may link a phone.
    #[schema(schema_with = methods)]
    pub methods: Vec<&'static str>,
    /// The only phone that a pairing code can be requested for; null for any phone.
    pub phone: Option<&'a str>,
    /// The time at which the link expires.
    pub expires_at: i64,
    /// The number of pairing attempts that were begun with the link.
    pub attempts: u32,
    /// The number of pairing attempts that the link allows.
    pub max_attempts: u32,
    /// The URL to which the browser may return now that the link has ended, with `link` and `outcome`
    /// (`linked` or `failed`) in its query; null before the end, and without such a URL.
    pub return_url: Option<String>,
    /// The version of this progress, for the parameter `version`.
    pub version: String,
}

example_is_sample!(LinkProgressView<'static>);

const STATES: [&str; 3] = ["open", LinkOutcome::Used.as_str(), LinkOutcome::Failed.as_str()];

fn state() -> Schema {
    enumeration("The state of the link.", &STATES)
}

impl<'a> LinkProgressView<'a> {
    /// Returns an example.
    pub fn sample() -> Self {
        Self {
            id: "lnk_01JGXS1DN00000000000000006",
            state: "open",
            status: "scan_qr_code",
            status_reason: None,
            title: Some("Acme support"),
            methods: LinkMethod::ALL.map(LinkMethod::as_str).to_vec(),
            phone: None,
            expires_at: 1_767_256_000_000,
            attempts: 1,
            max_attempts: MAX_LINK_PAIRINGS,
            return_url: None,
            version: "7".to_owned(),
        }
    }

    pub(crate) fn of(progress: &'a LinkProgress) -> Self {
        let LinkProgress { link, session } = progress;
        Self {
            id: link.id.as_str(),
            state: link.end.map_or(STATES[0], |end| end.outcome.as_str()),
            status: session.observed.status.as_str(),
            status_reason: session.observed.reason.as_ref().map(StatusReasonView::of),
            title: link.title.as_deref(),
            methods: link.methods.iter().map(|method| method.as_str()).collect(),
            phone: link.phone.as_ref().map(domain::Phone::as_str),
            expires_at: link.expires_at.millis(),
            attempts: link.attempts,
            max_attempts: MAX_LINK_PAIRINGS,
            return_url: return_url(progress),
            version: progress.version().0.to_string(),
        }
    }
}

/// Returns the address of an ended link with its outcome.
fn return_url(progress: &LinkProgress) -> Option<String> {
    let link = &progress.link;
    let address = &link.return_target.as_ref()?.address;
    let outcome = match link.end?.outcome {
        LinkOutcome::Used => "linked",
        LinkOutcome::Failed => "failed",
        LinkOutcome::Revoked => return None,
    };
    let joint = match address.split_once('?') {
        None => "?",
        Some((_, query)) if query.is_empty() || query.ends_with('&') => "",
        Some(_) => "&",
    };
    Some(format!("{address}{joint}link={}&outcome={outcome}", link.id))
}
