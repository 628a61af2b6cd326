//! Share links in responses. Only the response of the creation contains the text that opens a link.

use domain::{LinkMethod, ShareLink, ShareLinkState, Timestamp};
use serde::Serialize;
use utoipa::{
    ToSchema,
    openapi::schema::{Array, Schema},
};

use super::{example::example_is_sample, list::ListView};
use crate::wire::schema::{enumeration, list};

/// A link by which a person without a key links a phone to a session, without its secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = ShareLink)]
pub struct ShareLinkView {
    /// The id of the link.
    pub id: String,
    /// The id of the session that the link is for.
    pub session_id: String,
    /// The text that the holder of the link reads; null without a title.
    pub title: Option<String>,
    /// The ways in which the holder may link a phone.
    #[schema(schema_with = methods)]
    pub methods: Vec<&'static str>,
    /// The only phone that the holder may get a pairing code for; null for any phone.
    pub phone: Option<String>,
    /// The URL to which the holder's browser may return; null for none.
    pub return_url: Option<String>,
    /// `open` until a browser opens the link, then `opened`. A link ends as `used` (a phone was
    /// linked), `failed` (three pairing attempts ended without a phone), `revoked` or `expired`.
    #[schema(schema_with = state)]
    pub state: &'static str,
    /// The number of pairing attempts that the holder began.
    pub attempts: u32,
    /// The time of creation.
    pub created_at: i64,
    /// The person who created the link; null when a key did.
    pub created_by_user_id: Option<String>,
    /// The time at which the link expires.
    pub expires_at: i64,
    /// The time at which a browser opened the link; null before.
    pub opened_at: Option<i64>,
    /// The time at which the link was used, failed or was revoked; null otherwise.
    pub ended_at: Option<i64>,
}

/// A new share link.
#[derive(Clone, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = NewShareLink)]
pub struct NewShareLinkView {
    /// The URL to give to the holder of the phone, which no other response contains.
    pub url: String,
    /// The link without its secret.
    #[serde(flatten)]
    pub view: ShareLinkView,
}

example_is_sample!(ListView<ShareLinkView>, NewShareLinkView, ShareLinkView);

fn state() -> Schema {
    enumeration("The state of the link.", &ShareLinkState::ALL.map(ShareLinkState::as_str))
}

/// Returns the schema of the ways to link a phone.
pub(crate) fn methods() -> Array {
    let method = enumeration("A way to link a phone.", &LinkMethod::ALL.map(LinkMethod::as_str));
    list("The ways in which the holder may link a phone.", method).build()
}

impl ShareLinkView {
    /// Returns an example.
    pub fn sample() -> Self {
        Self {
            id: "lnk_01JGXS1DN00000000000000006".to_owned(),
            session_id: "sess_01JGXS1DN00000000000000001".to_owned(),
            title: Some("Acme support".to_owned()),
            methods: LinkMethod::ALL.map(LinkMethod::as_str).to_vec(),
            phone: None,
            return_url: Some("https://shop.example/linked".to_owned()),
            state: "opened",
            attempts: 1,
            created_at: 1_767_254_200_000,
            created_by_user_id: Some("user_1".to_owned()),
            expires_at: 1_767_256_000_000,
            opened_at: Some(1_767_254_400_000),
            ended_at: None,
        }
    }

    pub(crate) fn of(link: &ShareLink, now: Timestamp) -> Self {
        Self {
            id: link.id.to_string(),
            session_id: link.session.to_string(),
            title: link.title.clone(),
            methods: link.methods.iter().map(|method| method.as_str()).collect(),
            phone: link.phone.as_ref().map(|phone| phone.as_str().to_owned()),
            return_url: link.return_target.as_ref().map(|target| target.address.clone()),
            state: link.state(now).as_str(),
            attempts: link.attempts,
            created_at: link.created_at.millis(),
            created_by_user_id: link.created_by.user().map(|user| user.as_str().to_owned()),
            expires_at: link.expires_at.millis(),
            opened_at: link.opening.map(|opening| opening.at.millis()),
            ended_at: link.end.map(|end| end.at.millis()),
        }
    }
}

impl ListView<ShareLinkView> {
    /// Returns an example.
    pub fn sample() -> Self {
        Self { data: vec![ShareLinkView::sample()], next_cursor: None }
    }
}

impl NewShareLinkView {
    /// Returns an example.
    pub fn sample() -> Self {
        let view = ShareLinkView {
            state: "open",
            attempts: 0,
            opened_at: None,
            ..ShareLinkView::sample()
        };
        Self { url: "https://berth.example/link#lnk_01Yf7LrQ0000000000000g_…".to_owned(), view }
    }
}

/// Omits the URL.
impl std::fmt::Debug for NewShareLinkView {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NewShareLinkView").field("view", &self.view).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn url_of_a_new_link_is_absent_from_debug_output() {
        assert!(!format!("{:?}", NewShareLinkView::sample()).contains("_…"));
    }
}
