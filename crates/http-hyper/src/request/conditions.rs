//! Conditional requests (RFC 9110, 13): the versions that a caller expects or has cached.

use domain::Version;
use hyper::{
    HeaderMap, StatusCode,
    header::{self, HeaderName, HeaderValue},
};

use crate::response::{etag::LEASE_OVER_SUFFIX, reply::Reply};

/// The versions that `If-Match` allows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum IfMatch {
    /// Every version.
    #[default]
    Any,
    /// One of these versions. Empty when the header has only weak tags or tags of other servers.
    OneOf(Vec<Version>),
}

impl IfMatch {
    /// Reads `If-Match`; `None` when the header is malformed.
    pub(crate) fn read(headers: &HeaderMap) -> Option<Self> {
        Some(match EntityTags::read(headers, &header::IF_MATCH)? {
            EntityTags::Absent | EntityTags::Any => Self::Any,
            EntityTags::Listed(tags) => {
                Self::OneOf(tags.iter().filter_map(EntityTag::version).collect())
            }
        })
    }
}

/// The responses that a caller has cached, as `If-None-Match` names them.
pub(crate) struct IfNoneMatch(EntityTags);

impl IfNoneMatch {
    /// Reads `If-None-Match`. A malformed header is ignored.
    pub(crate) fn read(headers: &HeaderMap) -> Self {
        Self(EntityTags::read(headers, &header::IF_NONE_MATCH).unwrap_or(EntityTags::Absent))
    }

    /// Returns `reply`, or 304 if the caller has cached exactly this response.
    pub(crate) fn apply(&self, mut reply: Reply) -> Reply {
        let Some(current) = reply.headers.get(header::ETAG) else { return reply };
        let matches = match &self.0 {
            EntityTags::Absent => false,
            EntityTags::Any => true,
            EntityTags::Listed(tags) => {
                tags.iter().any(|entity_tag| current == entity_tag.quoted.as_slice())
            }
        };
        if matches && reply.status == StatusCode::OK {
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
enum EntityTags {
    Absent,
    Any,
    Listed(Vec<EntityTag>),
}

#[derive(Debug, PartialEq, Eq)]
struct EntityTag {
    weak: bool,
    /// The tag with its quotation marks.
    quoted: Vec<u8>,
}

impl EntityTag {
    /// Returns the version of the tag; `None` for a weak tag or a tag of another server.
    fn version(&self) -> Option<Version> {
        let text = std::str::from_utf8(&self.quoted).ok()?.trim_matches('"');
        let text = text.strip_suffix(LEASE_OVER_SUFFIX).unwrap_or(text);
        let version = Version(text.parse().ok()?);
        // Each version has one tag: other spellings of the number are foreign tags.
        let same = version.to_string() == text;
        (!self.weak && same).then_some(version)
    }
}

impl EntityTags {
    /// Reads a header; `None` when it is malformed. Repeated headers form one list.
    fn read(headers: &HeaderMap, name: &HeaderName) -> Option<Self> {
        let values: Vec<_> = headers.get_all(name).iter().map(HeaderValue::as_bytes).collect();
        match values.as_slice() {
            [] => return Some(Self::Absent),
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
                    let (entity_tag, after) = parse_first(rest)?;
                    tags.push(entity_tag);
                    let after = after.trim_ascii_start();
                    // A comma separates two tags.
                    if !after.is_empty() && !after.starts_with(b",") {
                        return None;
                    }
                    after
                }
                .trim_ascii_start();
            }
        }
        (!tags.is_empty()).then_some(Self::Listed(tags))
    }
}

/// Returns the tag at the start of `text`, and the rest.
fn parse_first(text: &[u8]) -> Option<(EntityTag, &[u8])> {
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
    Some((EntityTag { weak, quoted: quoted.to_vec() }, after))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn if_match(values: &[&'static str]) -> Option<IfMatch> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(header::IF_MATCH, HeaderValue::from_static(value));
        }
        IfMatch::read(&headers)
    }

    fn one_of(versions: &[u64]) -> IfMatch {
        IfMatch::OneOf(versions.iter().copied().map(Version).collect())
    }

    #[test]
    fn if_match_reads_versions_from_strong_tags_only() {
        assert_eq!(if_match(&[]), Some(IfMatch::Any));
        assert_eq!(if_match(&[" * "]), Some(IfMatch::Any));
        assert_eq!(if_match(&["\"7\""]), Some(one_of(&[7])));
        assert_eq!(if_match(&[" \"7\" ,, \"8\","]), Some(one_of(&[7, 8])));
        assert_eq!(if_match(&["\"7\"", "\"9\""]), Some(one_of(&[7, 9])));
        for foreign in
            ["W/\"7\"", "\"07\"", "\"+7\"", "\"\"", "\"a,b\"", "\"99999999999999999999\""]
        {
            assert_eq!(if_match(&[foreign]), Some(one_of(&[])), "{foreign}");
        }
        assert_eq!(if_match(&["W/\"7\", \"8\", \"x\""]), Some(one_of(&[8])));
    }

    #[test]
    fn if_match_without_a_tag_list_is_malformed() {
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
            assert_eq!(if_match(&[bad]), None, "{bad}");
        }
        assert_eq!(if_match(&["*", "*"]), None);
    }

    #[test]
    fn matching_if_none_match_is_304() {
        let status = |value: &'static str| {
            let headers = [(header::IF_NONE_MATCH, HeaderValue::from_static(value))];
            let reply = Reply::of(StatusCode::OK, "application/json", "{}");
            let reply = reply.with(header::ETAG, crate::response::etag::entity_tag(Version(7)));
            let reply = IfNoneMatch::read(&headers.into_iter().collect()).apply(reply);
            assert_eq!(reply.body.is_empty(), reply.status == StatusCode::NOT_MODIFIED);
            reply.status.as_u16()
        };
        for matches in ["\"7\"", "W/\"7\"", "*", "\"6\", \"7\""] {
            assert_eq!(status(matches), 304, "{matches}");
        }
        for other in ["\"6\"", "", "7", "\"07\"", "\"7\" \"6\""] {
            assert_eq!(status(other), 200, "{other}");
        }
    }
}
