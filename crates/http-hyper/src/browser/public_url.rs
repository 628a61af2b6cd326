//! [`PublicUrl`]: the URL at which browsers reach the service.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use hyper::{Uri, http::uri::Scheme};

/// The URL at which browsers reach the service: `https` with any host, or `http` with a loopback host.
/// Never derived from the header `Host`, which a client chooses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicUrl {
    origin: String,
    is_secure: bool,
}

/// The reason why a text is no public URL.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidPublicUrl {
    /// The text is not a URL of this form.
    #[error("not of the form https://HOST or https://HOST:PORT, without a path")]
    Form,
    /// Browsers do not protect cookies over plain http, except on the machine itself.
    #[error(
        "plain http to another machine; use https (a proxy), or an SSH tunnel to http://localhost"
    )]
    PlainHttp,
}

impl PublicUrl {
    /// Parses a URL without user, path and query.
    ///
    /// # Errors
    /// [`InvalidPublicUrl`].
    pub fn parse(text: &str) -> Result<Self, InvalidPublicUrl> {
        let (uri, is_secure) = parse_origin(text).ok_or(InvalidPublicUrl::Form)?;
        let host = uri.host().unwrap_or_default();
        if !is_secure && !is_loopback(host) {
            return Err(InvalidPublicUrl::PlainHttp);
        }
        Ok(Self { origin: origin(&uri, is_secure), is_secure })
    }

    /// Returns the URL of a listener without a configured URL. A listener on all addresses is reached
    /// by the loopback address.
    pub fn of_listener(address: SocketAddr) -> Self {
        let host = match address.ip() {
            ip if ip.is_loopback() => ip,
            IpAddr::V4(_) => IpAddr::from([127, 0, 0, 1]),
            IpAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
        };
        let authority = SocketAddr::new(host, address.port());
        let origin = match address.port() {
            80 => authority.to_string().trim_end_matches(":80").to_owned(),
            _ => authority.to_string(),
        };
        Self { origin: format!("http://{origin}"), is_secure: false }
    }

    /// Returns the origin, as browsers send it in `Origin`: without default port and without a slash at
    /// the end.
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// Returns whether the scheme is `https`.
    pub fn is_secure(&self) -> bool {
        self.is_secure
    }

    /// Returns the URL of a path, which begins with a slash.
    pub fn join(&self, path: &str) -> String {
        format!("{}{path}", self.origin)
    }
}

/// Returns the origin in a text, as browsers send it in `Origin`; `None` for a text that is no origin
/// of the scheme http or https.
pub fn normalized_origin(text: &str) -> Option<String> {
    parse_origin(text).map(|(uri, is_secure)| origin(&uri, is_secure))
}

/// Returns whether a value of `Origin` is of plain http on the machine of the browser.
pub(crate) fn is_loopback_origin(text: &str) -> bool {
    parse_origin(text)
        .is_some_and(|(uri, is_secure)| !is_secure && is_loopback(uri.host().unwrap_or_default()))
}

fn parse_origin(text: &str) -> Option<(Uri, bool)> {
    let uri: Uri = text.parse().ok()?;
    let is_secure = match uri.scheme()? {
        scheme if *scheme == Scheme::HTTPS => true,
        scheme if *scheme == Scheme::HTTP => false,
        _ => return None,
    };
    let is_bare = matches!(uri.path(), "" | "/") && uri.query().is_none();
    // `Uri` accepts a user, and ports above 65535.
    let host = uri.host().filter(|host| !host.is_empty())?;
    let port = uri.port_u16().map(|port| format!(":{port}")).unwrap_or_default();
    let is_plain = uri.authority()?.as_str() == format!("{host}{port}");
    // `Uri` drops a fragment.
    (is_bare && is_plain && !text.contains('#')).then_some((uri, is_secure))
}

fn origin(uri: &Uri, is_secure: bool) -> String {
    let (scheme, default_port) = if is_secure { ("https", 443) } else { ("http", 80) };
    let host = uri.host().unwrap_or_default().to_ascii_lowercase();
    match uri.port_u16() {
        Some(port) if port != default_port => format!("{scheme}://{host}:{port}"),
        _ => format!("{scheme}://{host}"),
    }
}

fn is_loopback(host: &str) -> bool {
    let address = host.trim_start_matches('[').trim_end_matches(']');
    host.eq_ignore_ascii_case("localhost")
        || address.parse().is_ok_and(|address: IpAddr| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origin_is_written_as_browsers_send_it() {
        for (text, origin, is_secure) in [
            ("https://Berth.Example", "https://berth.example", true),
            ("https://berth.example:443/", "https://berth.example", true),
            ("https://berth.example:8443", "https://berth.example:8443", true),
            ("http://localhost:80", "http://localhost", false),
            ("http://127.0.0.1:8080", "http://127.0.0.1:8080", false),
            ("http://[::1]:8080/", "http://[::1]:8080", false),
        ] {
            let url = PublicUrl::parse(text).unwrap();
            assert_eq!((url.origin(), url.is_secure()), (origin, is_secure), "{text}");
        }
    }

    #[test]
    fn other_texts_are_no_public_url() {
        for text in [
            "",
            "berth.example",
            "ftp://berth.example",
            "https://",
            "https://berth.example/berth",
            "https://berth.example?x",
            "https://berth.example/#x",
            "https://me@berth.example",
            "https://berth.example:99999",
        ] {
            assert_eq!(PublicUrl::parse(text), Err(InvalidPublicUrl::Form), "{text}");
        }
        for text in ["http://berth.example", "http://10.0.0.1:8080", "http://localhost.example"] {
            assert_eq!(PublicUrl::parse(text), Err(InvalidPublicUrl::PlainHttp), "{text}");
        }
    }

    #[test]
    fn listener_is_reached_by_loopback() {
        let origin = |text: &str| PublicUrl::of_listener(text.parse().unwrap()).origin().to_owned();
        assert_eq!(origin("127.0.0.1:8080"), "http://127.0.0.1:8080");
        assert_eq!(origin("127.0.0.5:80"), "http://127.0.0.5");
        assert_eq!(origin("0.0.0.0:8080"), "http://127.0.0.1:8080");
        assert_eq!(origin("[::]:8080"), "http://[::1]:8080");
        assert_eq!(origin("192.0.2.7:8080"), "http://127.0.0.1:8080");
    }

    #[test]
    fn loopback_origin_is_plain_http_on_the_machine() {
        for origin in ["http://localhost:9000", "http://127.0.0.1", "http://[::1]:1"] {
            assert!(is_loopback_origin(origin), "{origin}");
        }
        for origin in
            ["null", "https://localhost", "http://10.0.0.1", "http://localhost.evil.example"]
        {
            assert!(!is_loopback_origin(origin), "{origin}");
        }
    }
}
