//! Conditional requests (RFC 9110, 13): which states of a thing a caller knows, or expects.
//!
//! A session's entity tag is its version, strong: two answers with one tag are the same bytes. It ends
//! with `-lost` when the status shown is not the stored one, because the lease of its node is over.

use domain::{Session, Version};
use hyper::{
    HeaderMap, StatusCode,
    header::{self, HeaderName, HeaderValue},
};

use crate::reply::Reply;

/// What `If-Match` allows a thing to be.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Expected {
    /// Whatever there is.
    #[default]
    Anything,
    /// At one of these versions. None of them is a version when only foreign or weak tags were given.
    OneOf(Vec<Version>),
}

/// What the entity tag of a session ends with that is shown otherwise than it is stored, because the
/// lease of its node is over.
const LEASE_OVER: &str = "-lost";

/// The entity tag of a session as it is shown.
pub(crate) fn session_tag(session: &Session) -> HeaderValue {
    if !session.lease_over {
        return tag(session.version);
    }
    let text = format!("\"{}{LEASE_OVER}\"", session.version);
    HeaderValue::try_from(text).unwrap_or(HeaderValue::from_static("\"\""))
}

/// The entity tag of a thing at this version.
pub(crate) fn tag(version: Version) -> HeaderValue {
    HeaderValue::try_from(format!("\"{version}\"")).unwrap_or(HeaderValue::from_static("\"\""))
}

impl Expected {
    /// What `If-Match` says; `None` when it is malformed.
    pub(crate) fn read(headers: &HeaderMap) -> Option<Self> {
        Some(match Tags::read(headers, &header::IF_MATCH)? {
            Tags::NotGiven | Tags::Any => Self::Anything,
            Tags::These(tags) => Self::OneOf(tags.iter().filter_map(Tag::version).collect()),
        })
    }
}

/// What a caller has of a thing already.
pub(crate) struct Known(Tags);

impl Known {
    /// What `If-None-Match` says. Malformed it says nothing: the answer is then simply sent.
    pub(crate) fn read(headers: &HeaderMap) -> Self {
        Self(Tags::read(headers, &header::IF_NONE_MATCH).unwrap_or(Tags::NotGiven))
    }

    /// The reply, or 304 in its place when the caller has just that.
    pub(crate) fn spare(&self, mut reply: Reply) -> Reply {
        let Some(current) = reply.headers.get(header::ETAG) else { return reply };
        let known = match &self.0 {
            Tags::NotGiven => false,
            Tags::Any => true,
            Tags::These(tags) => tags.iter().any(|tag| current == tag.quoted.as_slice()),
        };
        if known && reply.status == StatusCode::OK {
            reply.status = StatusCode::NOT_MODIFIED;
            reply.headers.remove(header::CONTENT_TYPE);
            reply.headers.remove(header::CONTENT_ENCODING);
            reply.body.clear();
        }
        reply
    }
}

/// The entity tags in a header.
#[derive(Debug, PartialEq, Eq)]
enum Tags {
    NotGiven,
    Any,
    These(Vec<Tag>),
}

#[derive(Debug, PartialEq, Eq)]
struct Tag {
    weak: bool,
    /// With its quotation marks.
    quoted: Vec<u8>,
}

impl Tag {
    /// The version it stands for, if it is a tag of ours and a strong one.
    fn version(&self) -> Option<Version> {
        let text = std::str::from_utf8(&self.quoted).ok()?.trim_matches('"');
        let text = text.strip_suffix(LEASE_OVER).unwrap_or(text);
        let version = Version(text.parse().ok()?);
        // Written back it must be the same: there is one tag for a version.
        let same = version.to_string() == text;
        (!self.weak && same).then_some(version)
    }
}

impl Tags {
    /// `None` when malformed. Several headers of one name are one list.
    fn read(headers: &HeaderMap, name: &HeaderName) -> Option<Self> {
        let values: Vec<_> = headers.get_all(name).iter().map(HeaderValue::as_bytes).collect();
        match values.as_slice() {
            [] => return Some(Self::NotGiven),
            [only] if only.trim_ascii() == b"*" => return Some(Self::Any),
            _ => {}
        }
        let mut tags = Vec::new();
        for value in values {
            let mut rest = value.trim_ascii();
            while !rest.is_empty() {
                rest = if let Some(after) = rest.strip_prefix(b",") {
                    after
                } else {
                    let (tag, after) = first(rest)?;
                    tags.push(tag);
                    let after = after.trim_ascii_start();
                    // Between two tags stands a comma.
                    if !after.is_empty() && !after.starts_with(b",") {
                        return None;
                    }
                    after
                }
                .trim_ascii_start();
            }
        }
        (!tags.is_empty()).then_some(Self::These(tags))
    }
}

/// The tag that `text` begins with, and what follows it.
fn first(text: &[u8]) -> Option<(Tag, &[u8])> {
    let (weak, text) = match text.strip_prefix(b"W/") {
        Some(text) => (true, text),
        None => (false, text),
    };
    let inner = text.strip_prefix(b"\"")?;
    let end = inner.iter().position(|byte| *byte == b'"')?;
    let allowed = |byte: &u8| matches!(*byte, 0x21 | 0x23..=0x7e | 0x80..);
    if !inner[..end].iter().all(allowed) {
        return None;
    }
    let (quoted, after) = text.split_at_checked(end + 2)?;
    Some((Tag { weak, quoted: quoted.to_vec() }, after))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expected(values: &[&'static str]) -> Option<Expected> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(header::IF_MATCH, HeaderValue::from_static(value));
        }
        Expected::read(&headers)
    }

    fn one_of(versions: &[u64]) -> Expected {
        Expected::OneOf(versions.iter().copied().map(Version).collect())
    }

    #[test]
    fn versions_are_read_from_strong_tags_of_ours_alone() {
        assert_eq!(expected(&[]), Some(Expected::Anything));
        assert_eq!(expected(&[" * "]), Some(Expected::Anything));
        assert_eq!(expected(&["\"7\""]), Some(one_of(&[7])));
        assert_eq!(expected(&[" \"7\" ,, \"8\","]), Some(one_of(&[7, 8])));
        assert_eq!(expected(&["\"7\"", "\"9\""]), Some(one_of(&[7, 9])));
        for foreign in
            ["W/\"7\"", "\"07\"", "\"+7\"", "\"\"", "\"a,b\"", "\"99999999999999999999\""]
        {
            assert_eq!(expected(&[foreign]), Some(one_of(&[])), "{foreign}");
        }
        assert_eq!(expected(&["W/\"7\", \"8\", \"x\""]), Some(one_of(&[8])));
    }

    #[test]
    fn what_is_no_list_of_tags_is_malformed() {
        for bad in [
            "",
            ",",
            "7",
            "\"7",
            "7\"",
            "\"7\" \"8\"",
            "w/\"7\"",
            "W/7",
            "W/ \"7\"",
            "*, \"7\"",
            "\"7\", *",
            "\"a b\"",
            "'7'",
            "\"7\"x",
            "\"\"\"",
        ] {
            assert_eq!(expected(&[bad]), None, "{bad}");
        }
        assert_eq!(expected(&["*", "*"]), None);
    }

    #[test]
    fn what_is_known_is_spared() {
        let status = |value: &'static str| {
            let headers = [(header::IF_NONE_MATCH, HeaderValue::from_static(value))];
            let reply = Reply::of(StatusCode::OK, "application/json", "{}");
            let reply = reply.with(header::ETAG, tag(Version(7)));
            let reply = Known::read(&headers.into_iter().collect()).spare(reply);
            assert_eq!(reply.body.is_empty(), reply.status == StatusCode::NOT_MODIFIED);
            reply.status.as_u16()
        };
        for known in ["\"7\"", "W/\"7\"", "*", "\"6\", \"7\""] {
            assert_eq!(status(known), 304, "{known}");
        }
        for other in ["\"6\"", "", "7", "\"07\"", "\"7\" \"6\""] {
            assert_eq!(status(other), 200, "{other}");
        }
    }
}
