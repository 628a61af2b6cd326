//! The URL of a webhook, by one strict syntax: what is validated is what is dialled.

use std::{fmt, str::FromStr};

use hyper::http::uri::PathAndQuery;

use crate::host::{Host, InvalidHost};

/// The maximum length of a URL, in bytes.
pub const MAX_URL: usize = 2_048;

/// An `http` or `https` URL without user information and fragment. `Display` and `Debug` show
/// scheme and host alone, because paths and queries of webhooks often carry keys.
#[derive(Clone, PartialEq, Eq)]
pub struct WebhookUrl {
    secure: bool,
    host: Host,
    port: u16,
    target: PathAndQuery,
}

/// The error for a text that is no webhook URL. The text never contains a part of the URL.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidUrl {
    /// The URL is longer than [`MAX_URL`].
    #[error("must have at most 2048 characters")]
    TooLong,
    /// The URL does not begin with `http://` or `https://`.
    #[error("must begin with http:// or https://")]
    Scheme,
    /// The URL contains white space, a control character, a backslash or another character that no
    /// request line carries.
    #[error(
        "must not contain spaces, control characters, backslashes or other characters that URLs \
             encode with %"
    )]
    Character,
    /// The URL contains `user@` or `user:password@`.
    #[error("must not contain a user name or a password")]
    UserInfo,
    /// The URL contains `#`.
    #[error("must not contain a fragment (#)")]
    Fragment,
    /// The host is no name and no address.
    #[error("host {0}")]
    Host(#[from] InvalidHost),
    /// The port is empty, 0, above 65535 or no number.
    #[error("port must be a number between 1 and 65535")]
    Port,
}

impl WebhookUrl {
    /// Returns the host.
    pub fn host(&self) -> &Host {
        &self.host
    }

    /// Returns the port; 80 and 443 where the URL names none.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Returns whether the scheme is `https`.
    pub fn is_secure(&self) -> bool {
        self.secure
    }

    /// Returns path and query as the request line carries them; begins with `/`.
    pub(crate) fn target(&self) -> &PathAndQuery {
        &self.target
    }

    /// Returns the value of the header `Host`.
    pub(crate) fn authority(&self) -> String {
        if self.port == default_port(self.secure) {
            self.host.to_string()
        } else {
            format!("{}:{}", self.host, self.port)
        }
    }
}

fn default_port(secure: bool) -> u16 {
    if secure { 443 } else { 80 }
}

impl FromStr for WebhookUrl {
    type Err = InvalidUrl;

    fn from_str(text: &str) -> Result<Self, InvalidUrl> {
        if text.len() > MAX_URL {
            return Err(InvalidUrl::TooLong);
        }
        let (scheme, rest) = text.split_once("://").ok_or(InvalidUrl::Scheme)?;
        let secure = match scheme.to_ascii_lowercase().as_str() {
            "http" => false,
            "https" => true,
            _ => return Err(InvalidUrl::Scheme),
        };
        let (authority, path) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
        if !authority.is_ascii() {
            return Err(InvalidUrl::Host(InvalidHost::NotAscii));
        }
        if rest.bytes().any(|byte| !byte.is_ascii_graphic() || byte == b'\\') {
            return Err(InvalidUrl::Character);
        }
        if rest.contains('#') {
            return Err(InvalidUrl::Fragment);
        }
        if authority.contains('@') {
            return Err(InvalidUrl::UserInfo);
        }
        let (host, port) = split_port(authority)?;
        let host = Host::parse(host)?;
        let port = port.unwrap_or(default_port(secure));
        let slash = if path.starts_with('/') { "" } else { "/" };
        let target = PathAndQuery::try_from(format!("{slash}{path}"));
        Ok(Self { secure, host, port, target: target.map_err(|_| InvalidUrl::Character)? })
    }
}

/// Splits `host:port`. The colons of an IPv6 address stand before its closing bracket.
fn split_port(authority: &str) -> Result<(&str, Option<u16>), InvalidUrl> {
    let after_address = authority.rfind(']').unwrap_or(0);
    let Some(colon) = authority[after_address..].find(':') else { return Ok((authority, None)) };
    let (host, port) = authority.split_at(after_address + colon);
    let port = &port[1..];
    if port.is_empty() || !port.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(InvalidUrl::Port);
    }
    let port = port.parse().ok().filter(|port| *port != 0);
    Ok((host, Some(port.ok_or(InvalidUrl::Port)?)))
}

impl fmt::Display for WebhookUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", if self.secure { "https" } else { "http" }, self.host)
    }
}

impl fmt::Debug for WebhookUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parse(text: &str) -> Result<WebhookUrl, InvalidUrl> {
        text.parse()
    }

    #[test]
    fn url_splits_into_its_parts() {
        for (text, authority, port, path) in [
            ("http://example.com", "example.com", 80, "/"),
            ("HTTPS://Example.com:443/A?b=c", "example.com", 443, "/A?b=c"),
            ("https://example.com.:8443?x", "example.com:8443", 8443, "/?x"),
            ("http://[::1]:3000/", "[::1]:3000", 3000, "/"),
            ("http://[::1]/a:b@c", "[::1]", 80, "/a:b@c"),
            ("http://127.0.0.1:80/../x", "127.0.0.1", 80, "/../x"),
            ("http://n8n:00080", "n8n", 80, "/"),
        ] {
            let url = parse(text).unwrap();
            assert_eq!(url.authority(), authority);
            assert_eq!(url.port(), port);
            assert_eq!(url.target().as_str(), path);
        }
    }

    #[test]
    fn invalid_url_is_rejected() {
        let long = format!("http://a.example/{}", "x".repeat(MAX_URL - 16));
        for (text, expected) in [
            (long.as_str(), InvalidUrl::TooLong),
            ("", InvalidUrl::Scheme),
            ("example.com", InvalidUrl::Scheme),
            ("ftp://example.com", InvalidUrl::Scheme),
            ("file:///etc/passwd", InvalidUrl::Scheme),
            (" http://example.com", InvalidUrl::Scheme),
            ("http:/example.com", InvalidUrl::Scheme),
            ("http://user@example.com", InvalidUrl::UserInfo),
            ("http://user:pass@example.com", InvalidUrl::UserInfo),
            ("http://1.1.1.1:80@10.0.0.1/", InvalidUrl::UserInfo),
            ("http://example.com#@10.0.0.1/", InvalidUrl::Fragment),
            ("http://example.com/#x", InvalidUrl::Fragment),
            ("http://example.com/a b", InvalidUrl::Character),
            ("http://example.com/a\r\nX: y", InvalidUrl::Character),
            ("http://example.com\\@10.0.0.1/", InvalidUrl::Character),
            ("http://example.com/\u{7f}", InvalidUrl::Character),
            ("http://example.com/ä", InvalidUrl::Character),
            ("http://bücher.example/", InvalidUrl::Host(InvalidHost::NotAscii)),
            ("http://", InvalidUrl::Host(InvalidHost::Empty)),
            ("http:///path", InvalidUrl::Host(InvalidHost::Empty)),
            ("http://:80/", InvalidUrl::Host(InvalidHost::Empty)),
            ("http://2130706433/", InvalidUrl::Host(InvalidHost::Ipv4Form)),
            ("http://%31%32%37.0.0.1/", InvalidUrl::Host(InvalidHost::Syntax)),
            ("http://[fe80::1%25eth0]/", InvalidUrl::Host(InvalidHost::Ipv6Form)),
            ("http://[::1]x/", InvalidUrl::Host(InvalidHost::Ipv6Form)),
            ("http://::1/", InvalidUrl::Port),
            ("http://example.com:/", InvalidUrl::Port),
            ("http://example.com:0/", InvalidUrl::Port),
            ("http://example.com:65536/", InvalidUrl::Port),
            ("http://example.com:+80/", InvalidUrl::Port),
            ("http://example.com:80:80/", InvalidUrl::Port),
        ] {
            assert_eq!(parse(text), Err(expected), "{text}");
        }
        assert!(parse(&long[..MAX_URL]).is_ok());
    }

    #[test]
    fn shown_url_has_no_path_and_no_query() {
        let url = parse("https://example.com:8443/hooks/key?token=1").unwrap();
        assert_eq!(url.to_string(), "https://example.com");
        assert_eq!(format!("{url:?}"), "https://example.com");
    }

    proptest! {
        #[test]
        fn accepted_url_is_stable(text in "http://[a-z0-9.:@\\[\\]/?%#\\\\-]{0,40}[ -~]{0,20}") {
            if let Ok(url) = parse(&text) {
                prop_assert!(hyper::header::HeaderValue::from_str(&url.authority()).is_ok());
                let again = parse(&format!("http://{}{}", url.authority(), url.target()));
                prop_assert_eq!(again.unwrap(), url);
            }
        }
    }
}
