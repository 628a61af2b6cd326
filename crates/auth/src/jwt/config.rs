//! What an operator decides about login tokens, checked at start with messages that say what to do.

use std::{fmt, net::IpAddr, path::PathBuf, time::Duration};

use hyper::Uri;
use serde_json::Value;

use super::{claims::ClaimPaths, fetch::FetchError, key_set::KeySetError};

/// How login tokens are verified. The defaults are the documented ones.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where the issuer's public keys come from; without it there are API keys only.
    pub jwks: Option<Source>,
    /// What `iss` must be; `None` does not look at it.
    pub issuer: Option<String>,
    /// What `aud` must be or contain; `None` does not look at it.
    pub audience: Option<String>,
    /// Where organization and roles are.
    pub claims: ClaimPaths,
    /// How far the issuer's clock and ours may be apart.
    pub leeway: Duration,
    /// How often the key set is fetched anew. A file is looked at every five seconds at least.
    pub refresh: Duration,
    /// Tokens that no known key signed cause at most one fetch in this time, whatever the traffic.
    pub cool_down: Duration,
    /// How long a key set serves that could not be fetched anew.
    pub max_stale: Duration,
    /// How long one fetch may take.
    pub fetch_timeout: Duration,
    /// How long a request whose token no known key signed waits for a fetch. Others never wait.
    pub patience: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            jwks: None,
            issuer: None,
            audience: None,
            claims: ClaimPaths::default(),
            leeway: Duration::from_secs(30),
            refresh: Duration::from_mins(10),
            cool_down: Duration::from_secs(30),
            max_stale: Duration::from_hours(24),
            fetch_timeout: Duration::from_secs(5),
            patience: Duration::from_secs(2),
        }
    }
}

/// Where a key set comes from.
#[derive(Clone, PartialEq, Eq)]
pub enum Source {
    /// Fetched over HTTP, in the background.
    Url(Uri),
    /// Read from a file, and again when it changed.
    File(PathBuf),
    /// Given as it is.
    Inline(String),
}

impl Source {
    /// A URL, the path of a file, or the JSON itself, told apart by `://` and a leading `{`. Plain
    /// `http` is for this machine alone unless `allow_plain_http`: whoever can change the answer
    /// on its way can sign for anybody.
    ///
    /// # Errors
    /// Says what is wrong with the text. Whether the keys are any good is seen at start.
    pub fn parse(text: &str, allow_plain_http: bool) -> Result<Self, ConfigError> {
        let text = text.trim();
        if text.is_empty() {
            return Err(ConfigError::EmptySource);
        }
        if text.starts_with('{') {
            return Ok(Self::Inline(text.to_owned()));
        }
        if !text.contains("://") {
            return Ok(Self::File(text.into()));
        }
        let uri: Uri = text.parse().map_err(|_| ConfigError::Url("it cannot be parsed"))?;
        let authority = uri.authority().ok_or(ConfigError::Url("it names no host"))?;
        if authority.as_str().contains('@') {
            return Err(ConfigError::Url("it contains a user name or password"));
        }
        match uri.scheme_str() {
            Some("https") => Ok(Self::Url(uri)),
            Some("http") if allow_plain_http || is_loopback(authority.host()) => Ok(Self::Url(uri)),
            Some("http") => Err(ConfigError::PlainHttp),
            _ => Err(ConfigError::Url("only https and http are known")),
        }
    }
}

/// Without the query, which may hold a secret, and without the keys.
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

/// A JSON pointer (RFC 6901) into a token's claims.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pointer(String);

impl Pointer {
    /// # Errors
    /// When the text does not begin with `/`, or has a `~` that is neither `~0` nor `~1`.
    pub fn parse(text: &str) -> Result<Self, ConfigError> {
        let mut escapes = text.split('~').skip(1);
        if text.starts_with('/') && escapes.all(|rest| rest.starts_with(['0', '1'])) {
            Ok(Self(text.to_owned()))
        } else {
            Err(ConfigError::Pointer(text.to_owned()))
        }
    }

    pub(crate) fn known(text: &str) -> Self {
        Self(text.to_owned())
    }

    pub(crate) fn find<'a>(&self, claims: &'a Value) -> Option<&'a Value> {
        claims.pointer(&self.0)
    }
}

/// What is wrong with the configuration.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// Nothing given.
    #[error("the key set's source is empty: give a URL, the path of a file, or the JSON itself")]
    EmptySource,
    /// Not a URL we can fetch.
    #[error("the key set's URL is not usable: {0}")]
    Url(&'static str),
    /// Not safe.
    #[error("the key set's URL is plain http to another machine: use https")]
    PlainHttp,
    /// A claim's place cannot be found with this.
    #[error(
        "{0:?} is not a JSON pointer: write \"/org_id\" for a claim, \"/org/id\" for one within"
    )]
    Pointer(String),
    /// An expectation that nothing can meet.
    #[error("the expected {0} is empty: leave it out to accept any")]
    Empty(&'static str),
    /// The file cannot be read.
    #[error("the key set cannot be read from {path}")]
    File {
        /// Which file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: FetchError,
    },
    /// The JSON given is not a set of keys we can use.
    #[error("the key set from {origin} cannot be used: {source}")]
    KeySet {
        /// Inline, or the file.
        origin: String,
        /// Why not.
        #[source]
        source: KeySetError,
    },
    /// The machine trusts no certificate authority.
    #[error(
        "https needs certificate authorities, and this machine has none: install them, or set SSL_CERT_FILE"
    )]
    NoRoots(#[source] std::io::Error),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_is_a_url_a_file_or_the_json_itself() {
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
    fn plain_http_stays_on_this_machine_unless_allowed() {
        for url in ["http://id.example/jwks", "http://localhost.evil.example/", "http://10.0.0.1/"]
        {
            assert!(matches!(Source::parse(url, false), Err(ConfigError::PlainHttp)), "{url}");
            assert!(matches!(Source::parse(url, true), Ok(Source::Url(_))), "{url}");
        }
    }

    #[test]
    fn a_bad_source_is_explained() {
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
    fn a_source_shows_neither_query_nor_keys() {
        let url = Source::parse("https://id.example/jwks?token=canary", false).unwrap();
        assert_eq!(format!("{url:?}"), "https://id.example/jwks");
        let inline = Source::parse("{\"canary\":1}", false).unwrap();
        assert_eq!(format!("{inline:?}"), "inline JSON");
    }

    #[test]
    fn a_pointer_begins_with_a_slash() {
        for good in ["/org_id", "/a/b", "/https:~1~1x~1y", "/a~0b", "/"] {
            assert!(Pointer::parse(good).is_ok(), "{good}");
        }
        for bad in ["", "org_id", "$.org", "/a~", "/a~2", "a/b"] {
            assert!(Pointer::parse(bad).is_err(), "{bad}");
        }
    }
}
