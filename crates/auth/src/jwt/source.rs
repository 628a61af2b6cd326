//! Where a key set comes from: a URL, a file, or the configuration itself.

use std::{fmt, net::IpAddr, path::PathBuf};

use hyper::Uri;

/// Where a key set comes from.
#[derive(Clone, PartialEq, Eq)]
pub enum Source {
    /// Fetched over HTTP, in the background.
    Url(Uri),
    /// Read from a file, and read again when the file changes.
    File(PathBuf),
    /// The JSON text of the key set. The set never changes.
    Inline(String),
}

/// Why a text is not a source of key sets.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// The text is empty or white space.
    #[error("the key set's source is empty: give a URL, the path of a file, or the JSON itself")]
    Empty,
    /// The URL cannot be fetched.
    #[error("the key set's URL is not usable: {0}")]
    Url(&'static str),
    /// A third party on the network could replace the keys.
    #[error("the key set's URL is plain http to another machine: use https")]
    PlainHttp,
}

impl Source {
    /// Parses a URL (with `://`), the JSON itself (with a leading `{`), or the path of a file.
    ///
    /// `allow_plain_http` permits `http` URLs to other machines. Without it `http` is for loopback
    /// addresses only, because a third party that can change the response can sign any token.
    ///
    /// # Errors
    /// If the text is empty or the URL cannot be used. [`crate::JwtVerifier::start`] checks the
    /// keys.
    pub fn parse(text: &str, allow_plain_http: bool) -> Result<Self, SourceError> {
        let text = text.trim();
        if text.is_empty() {
            return Err(SourceError::Empty);
        }
        if text.starts_with('{') {
            return Ok(Self::Inline(text.to_owned()));
        }
        if !text.contains("://") {
            return Ok(Self::File(text.into()));
        }
        let uri: Uri = text.parse().map_err(|_| SourceError::Url("it cannot be parsed"))?;
        let authority = uri.authority().ok_or(SourceError::Url("it names no host"))?;
        if authority.as_str().contains('@') {
            return Err(SourceError::Url("it contains a user name or password"));
        }
        match uri.scheme_str() {
            Some("https") => Ok(Self::Url(uri)),
            Some("http") if allow_plain_http || is_loopback(authority.host()) => Ok(Self::Url(uri)),
            Some("http") => Err(SourceError::PlainHttp),
            _ => Err(SourceError::Url("only https and http are supported")),
        }
    }
}

/// Shows neither the query of a URL, which may hold a secret, nor inline keys.
impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Url(uri) => {
                let (scheme, host) = (uri.scheme_str().unwrap_or(""), uri.authority());
                write!(f, "{scheme}://{}{}", host.map_or("", |h| h.as_str()), uri.path())
            }
            Self::File(path) => write!(f, "{}", path.display()),
            Self::Inline(_) => f.write_str("inline JSON"),
        }
    }
}

fn is_loopback(host: &str) -> bool {
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    host.eq_ignore_ascii_case("localhost") || address.is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn source_is_a_url_a_file_or_the_json_itself() {
        let parse = |text| Source::parse(text, false);
        assert!(matches!(parse(" {\"keys\":[]} "), Ok(Source::Inline(_))));
        assert_eq!(parse("data/keys.json").ok(), Some(Source::File("data/keys.json".into())));
        for url in [
            "https://id.example/jwks?x=1",
            "http://localhost:3000/jwks",
            "http://127.0.0.1/j",
            "http://[::1]:80/j",
        ] {
            assert!(matches!(parse(url), Ok(Source::Url(_))), "{url}");
        }
    }

    #[test]
    fn plain_http_to_another_machine_is_refused_unless_allowed() {
        for url in ["http://id.example/jwks", "http://localhost.evil.example/", "http://10.0.0.1/"]
        {
            assert!(matches!(Source::parse(url, false), Err(SourceError::PlainHttp)), "{url}");
            assert!(matches!(Source::parse(url, true), Ok(Source::Url(_))), "{url}");
        }
    }

    #[test]
    fn error_names_the_fault_and_no_secret() {
        for (text, word) in [
            ("", "empty"),
            ("  ", "empty"),
            ("ftp://id.example/x", "https"),
            ("https://", "URL"),
            ("https://a b/", "parsed"),
            ("https://user:pw@id.example/", "password"),
        ] {
            let error = Source::parse(text, false).expect_err(text).to_string();
            assert!(error.contains(word), "{text}: {error}");
            assert!(!error.contains("pw"), "{error}");
        }
    }

    #[test]
    fn debug_output_has_neither_query_nor_keys() {
        let url = Source::parse("https://id.example/jwks?token=canary", false).unwrap();
        assert_eq!(format!("{url:?}"), "https://id.example/jwks");
        let inline = Source::parse("{\"canary\":1}", false).unwrap();
        assert_eq!(format!("{inline:?}"), "inline JSON");
    }
}
