//! The headers that a webhook's owner adds to every request.

use hyper::header::{HeaderMap, HeaderName, HeaderValue};

/// The text that stands for the value of a sensitive header.
pub const MASK: &str = "***";
/// The maximum number of headers.
const MAX_HEADERS: usize = 20;
/// The maximum length of a name, in bytes.
const MAX_NAME: usize = 64;
/// The maximum length of a value, in bytes.
const MAX_VALUE: usize = 1_024;
/// The maximum length of all names and values together, in bytes.
const MAX_TOTAL: usize = 8_000;

/// Names that decide how a message is framed or which hop handles the message (RFC 9110, section
/// 7.6.1).
const RESERVED: [&str; 10] = [
    "connection",
    "content-length",
    "expect",
    "host",
    "http2-settings",
    "keep-alive",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];
/// Beginnings of reserved names: proxies, and the headers of berth.
const RESERVED_PREFIXES: [&str; 3] = ["proxy-", "webhook-", "x-webhook-"];
/// Parts of names whose values are credentials.
const SENSITIVE: [&str; 7] = ["auth", "cookie", "credential", "key", "password", "secret", "token"];

/// Valid headers in the order of their declaration. `Debug` hides sensitive values.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CustomHeaders(Vec<CustomHeader>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct CustomHeader {
    /// The name as the owner wrote it.
    written: String,
    name: HeaderName,
    value: HeaderValue,
}

/// The error for headers that cannot be sent. The texts contain no value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidHeaders {
    /// More than 20 headers.
    #[error("must have at most 20 headers")]
    TooMany,
    /// Names and values are longer than 8,000 bytes together.
    #[error("must have at most 8000 bytes of names and values together")]
    TooLong,
    /// The name is empty, longer than 64 characters, or no HTTP token. Carries no name, because the
    /// text may be of any length.
    #[error("a name must have 1 to 64 letters, digits or characters of !#$%&'*+-.^_`|~")]
    Name,
    /// The value is longer than 1,024 bytes, or contains a character outside visible ASCII, spaces
    /// and tabs, or begins or ends with white space.
    #[error("{0}: the value must have at most 1024 visible ASCII characters or inner spaces")]
    Value(String),
    /// The header is set by berth, by the connection or by proxies.
    #[error("{0} must not be set")]
    Reserved(String),
    /// The same name occurs twice, possibly in different case.
    #[error("{0} occurs twice")]
    Repeated(String),
    /// The value is [`MASK`], and there is no previous value of this name.
    #[error("{0} has the placeholder *** as its value, and no previous value exists")]
    Masked(String),
}

impl CustomHeaders {
    /// Validates names and values. The value [`MASK`] of a sensitive header stands for the value
    /// of the same header in `previous`.
    ///
    /// # Errors
    /// [`InvalidHeaders`] for the first violation.
    pub fn new<'a>(
        pairs: impl IntoIterator<Item = (&'a str, &'a str)>,
        previous: &Self,
    ) -> Result<Self, InvalidHeaders> {
        let (mut headers, mut total) = (Self::default(), 0);
        for (name, value) in pairs {
            if headers.0.len() == MAX_HEADERS {
                return Err(InvalidHeaders::TooMany);
            }
            let header = CustomHeader::new(name, value, previous)?;
            if headers.find(&header.name).is_some() {
                return Err(InvalidHeaders::Repeated(header.written));
            }
            total += header.written.len() + header.value.len();
            headers.0.push(header);
        }
        if total > MAX_TOTAL { Err(InvalidHeaders::TooLong) } else { Ok(headers) }
    }

    /// Returns names and values as the owner sees them: sensitive values are [`MASK`].
    pub fn masked(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|header| {
            let hidden = header.value.is_sensitive();
            (header.written.as_str(), if hidden { MASK } else { header.text() })
        })
    }

    /// Returns names and values with the sensitive ones, for sealed storage.
    pub fn exposed(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|header| (header.written.as_str(), header.text()))
    }

    /// Returns whether a value is a credential, so that the headers must be stored sealed.
    pub fn has_sensitive(&self) -> bool {
        self.0.iter().any(|header| header.value.is_sensitive())
    }

    /// Adds the headers to `map`; a header of the same name is replaced.
    pub(crate) fn add_to(&self, map: &mut HeaderMap) {
        for header in &self.0 {
            map.insert(header.name.clone(), header.value.clone());
        }
    }

    fn find(&self, name: &HeaderName) -> Option<&CustomHeader> {
        self.0.iter().find(|header| header.name == *name)
    }
}

impl CustomHeader {
    fn new(name: &str, value: &str, previous: &CustomHeaders) -> Result<Self, InvalidHeaders> {
        let short = (1..=MAX_NAME).contains(&name.len());
        let parsed = short.then(|| HeaderName::from_bytes(name.as_bytes()).ok()).flatten();
        let parsed = parsed.ok_or(InvalidHeaders::Name)?;
        let written = name.to_owned();
        let lower = parsed.as_str();
        if RESERVED.contains(&lower) || RESERVED_PREFIXES.iter().any(|of| lower.starts_with(of)) {
            return Err(InvalidHeaders::Reserved(written));
        }
        let sensitive = SENSITIVE.iter().any(|part| lower.contains(part));
        if sensitive && value == MASK {
            let stored = previous.find(&parsed).filter(|header| header.value.is_sensitive());
            let value = stored.map(|header| header.value.clone());
            return match value {
                Some(value) => Ok(Self { written, name: parsed, value }),
                None => Err(InvalidHeaders::Masked(written)),
            };
        }
        let valid = value.len() <= MAX_VALUE
            && value.trim() == value
            && value.bytes().all(|byte| byte.is_ascii_graphic() || matches!(byte, b' ' | b'\t'));
        match HeaderValue::from_str(value) {
            Ok(mut value) if valid => {
                value.set_sensitive(sensitive);
                Ok(Self { written, name: parsed, value })
            }
            _ => Err(InvalidHeaders::Value(written)),
        }
    }

    fn text(&self) -> &str {
        self.value.to_str().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&str, &str)]) -> Result<CustomHeaders, InvalidHeaders> {
        CustomHeaders::new(pairs.iter().copied(), &CustomHeaders::default())
    }

    #[test]
    fn sensitive_values_are_masked() {
        let valid = headers(&[
            ("X-Source", "berth  1"),
            ("Authorization", "Bearer abc"),
            ("Cookie", "a=b"),
            ("X-Api-KEY", "abc"),
            ("x-empty", ""),
        ])
        .unwrap();
        let masked: Vec<_> = valid.masked().collect();
        assert_eq!(
            masked,
            [
                ("X-Source", "berth  1"),
                ("Authorization", MASK),
                ("Cookie", MASK),
                ("X-Api-KEY", MASK),
                ("x-empty", ""),
            ]
        );
        assert_eq!(valid.exposed().nth(1), Some(("Authorization", "Bearer abc")));
        assert!(valid.has_sensitive());
        assert!(!headers(&[("X-Source", "berth")]).unwrap().has_sensitive());
        let shown = format!("{valid:?}");
        assert!(!shown.contains("abc") && !shown.contains("a=b"), "{shown}");
    }

    #[test]
    fn mask_keeps_the_previous_value() {
        let previous = headers(&[("x-token", "old"), ("x-plain", "***")]).unwrap();
        let kept = CustomHeaders::new([("X-Token", MASK)], &previous).unwrap();
        assert_eq!(kept.exposed().collect::<Vec<_>>(), [("X-Token", "old")]);
        assert!(kept.has_sensitive());
        let missing = CustomHeaders::new([("X-Key", MASK)], &previous);
        assert_eq!(missing, Err(InvalidHeaders::Masked("X-Key".into())));
        assert_eq!(previous.exposed().nth(1), Some(("x-plain", "***")));
    }

    #[test]
    fn reserved_name_is_rejected() {
        for name in [
            "Host",
            "content-length",
            "Transfer-Encoding",
            "Connection",
            "Keep-Alive",
            "TE",
            "Trailer",
            "Upgrade",
            "Expect",
            "HTTP2-Settings",
            "Proxy-Authorization",
            "Proxy-Connection",
            "Webhook-Id",
            "webhook-signature",
            "X-Webhook-Hmac",
            "x-webhook-anything",
        ] {
            assert_eq!(headers(&[(name, "1")]), Err(InvalidHeaders::Reserved(name.into())));
        }
        for name in ["Content-Type", "User-Agent", "X-Host", "X-Webhooks", "Accept-Encoding"] {
            assert!(headers(&[(name, "1")]).is_ok(), "{name}");
        }
    }

    #[test]
    fn invalid_name_or_value_is_rejected() {
        for name in ["", "a b", "a:b", "a\r\nb", "ä", &"n".repeat(65)] {
            assert_eq!(headers(&[(name, "1")]), Err(InvalidHeaders::Name), "{name}");
        }
        assert!(headers(&[(&"n".repeat(64), &"v".repeat(1_024))]).is_ok());
        for value in ["a\r\nX: y", "a\0", "a\n", "ä", "\u{7f}", " a", "a ", &"v".repeat(1_025)] {
            let error = headers(&[("X-A", value)]).unwrap_err();
            assert_eq!(error, InvalidHeaders::Value("X-A".into()));
        }
    }

    #[test]
    fn number_and_total_length_are_limited() {
        let names: Vec<_> = (0..21).map(|n| format!("x-{n}")).collect();
        let of = |count: usize, value: &'static str| {
            let pairs: Vec<_> = names[..count].iter().map(|name| (name.as_str(), value)).collect();
            headers(&pairs)
        };
        assert!(of(20, "1").is_ok());
        assert_eq!(of(21, "1"), Err(InvalidHeaders::TooMany));
        let value: &'static str = "v".repeat(1_000).leak();
        assert!(of(7, value).is_ok());
        assert_eq!(of(8, value), Err(InvalidHeaders::TooLong));
        let twice = headers(&[("X-A", "1"), ("x-a", "2")]);
        assert_eq!(twice, Err(InvalidHeaders::Repeated("x-a".into())));
    }
}
