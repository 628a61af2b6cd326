//! Entity tags of sessions.
//!
//! The tag of a session is its version. The tag is strong: two responses with one tag are the same
//! bytes. It ends with `-lost` when the response shows another status than the stored one, because
//! the lease of the session's node has ended.

use domain::{Session, Version};
use hyper::header::HeaderValue;

/// The suffix of the tag of a session whose node's lease has ended.
pub(crate) const LEASE_OVER_SUFFIX: &str = "-lost";

/// Returns the entity tag of a session as responses show it.
pub(crate) fn session_tag(session: &Session) -> HeaderValue {
    if !session.lease_over {
        return entity_tag(session.version);
    }
    let text = format!("\"{}{LEASE_OVER_SUFFIX}\"", session.version);
    HeaderValue::try_from(text).unwrap_or(HeaderValue::from_static("\"\""))
}

/// Returns the entity tag of an object at this version.
pub(crate) fn entity_tag(version: Version) -> HeaderValue {
    HeaderValue::try_from(format!("\"{version}\"")).unwrap_or(HeaderValue::from_static("\"\""))
}
