//! Parses the database URL. No error repeats the URL, which may contain a password.

use std::{net::IpAddr, path::PathBuf};

use percent_encoding::percent_decode_str;
use tokio_postgres::config::{Host, TargetSessionAttrs};

use crate::{
    StoreError,
    engine::postgres::tls::{SslMode, Trust},
};

/// The database that a URL names.
pub(crate) enum DatabaseUrl {
    /// A server.
    Postgres(Box<PostgresUrl>),
    /// A file.
    Sqlite(PathBuf),
}

/// A PostgreSQL server with its TLS settings.
pub(crate) struct PostgresUrl {
    pub(crate) config: tokio_postgres::Config,
    pub(crate) mode: SslMode,
    pub(crate) trust: Trust,
}

impl DatabaseUrl {
    pub(crate) fn parse(url: &str) -> Result<Self, StoreError> {
        if url.starts_with("postgres://") || url.starts_with("postgresql://") {
            return postgres(url).map(|target| Self::Postgres(Box::new(target)));
        }
        match url.strip_prefix("sqlite:") {
            Some(path) => sqlite(path).map(Self::Sqlite),
            None => Err(invalid("must begin with sqlite: or postgres://")),
        }
    }
}

impl PostgresUrl {
    /// Returns the names or addresses of the servers with their ports. Unix sockets are left out.
    fn servers(&self) -> Vec<(String, u16)> {
        let hosts = self.config.get_hosts().iter().map(|host| match host {
            Host::Tcp(name) => Some(name.clone()),
            Host::Unix(_) => None,
        });
        let addresses = self.config.get_hostaddrs().iter().map(|address| Some(address.to_string()));
        let port = |index: usize| {
            let ports = self.config.get_ports();
            // One port serves all hosts.
            ports.get(index).or(ports.first()).copied().unwrap_or(DEFAULT_PORT)
        };
        let with_ports = |(index, name): (usize, Option<String>)| Some((name?, port(index)));
        let hosts = hosts.enumerate().filter_map(with_ports);
        hosts.chain(addresses.enumerate().filter_map(with_ports)).collect()
    }
}

/// The port of PostgreSQL without another one in the URL.
const DEFAULT_PORT: u16 = 5432;

/// Returns the servers that a database URL names; none for SQLite and for an invalid URL.
pub(crate) fn servers(url: &str) -> Vec<(String, u16)> {
    match DatabaseUrl::parse(url) {
        Ok(DatabaseUrl::Postgres(target)) => target.servers(),
        Ok(DatabaseUrl::Sqlite(_)) | Err(_) => Vec::new(),
    }
}

fn invalid(why: impl Into<String>) -> StoreError {
    StoreError::Url(why.into())
}

fn sqlite(path: &str) -> Result<PathBuf, StoreError> {
    let path = path.strip_prefix("//").unwrap_or(path);
    if path.is_empty() || path.contains('\0') {
        return Err(invalid("names no file: write sqlite:data/berth.db"));
    }
    if path == ":memory:" {
        return Err(invalid(
            "must name a file: a database in memory forgets everything at the end",
        ));
    }
    if path.contains('?') {
        return Err(invalid("takes no parameters for SQLite"));
    }
    // SQLite reads a leading `file:` as a URI; a leading dot prevents that.
    let path = PathBuf::from(path);
    Ok(if path.is_absolute() { path } else { PathBuf::from(".").join(path) })
}

fn postgres(url: &str) -> Result<PostgresUrl, StoreError> {
    let (base, query) = url.split_once('?').unwrap_or((url, ""));
    let (mut mode, mut root, mut others) = (None, None, Vec::new());
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        let value = percent_decode_str(value)
            .decode_utf8()
            .map_err(|_| invalid("holds a parameter that is not UTF-8"))?;
        match key {
            "sslmode" => mode = Some(SslMode::parse(&value).ok_or_else(unknown_mode)?),
            "sslrootcert" => root = Some(value.into_owned()),
            "sslcert" | "sslkey" | "sslcrl" | "sslcrldir" | "sslpassword" => {
                return Err(invalid(format!("contains {key}, which is not supported")));
            }
            _ => others.push(pair),
        }
    }
    let stripped =
        if others.is_empty() { base.to_owned() } else { format!("{base}?{}", others.join("&")) };
    // The message of the parser may quote a part of the password.
    let mut config: tokio_postgres::Config = stripped.parse().map_err(|_| {
        invalid("cannot be read: is every special character of the password percent-encoded?")
    })?;
    if config.get_hosts().is_empty() && config.get_hostaddrs().is_empty() {
        return Err(invalid("names no host"));
    }
    if config.get_hosts().is_empty() {
        for address in config.get_hostaddrs().to_vec() {
            config.host(address.to_string());
        }
    }
    #[cfg(unix)]
    if has_sockets_and_hosts(&config) {
        return Err(invalid("names Unix sockets and hosts together"));
    }
    // After a switchover the old primary is a standby and still answers.
    if !others.iter().any(|pair| pair.starts_with("target_session_attrs=")) {
        config.target_session_attrs(TargetSessionAttrs::ReadWrite);
    }
    let trust = match root.as_deref() {
        None | Some("" | "system") => Trust::System,
        Some(file) => Trust::File(file.into()),
    };
    let mode = match (mode, &trust) {
        (None, Trust::System) if is_local(&config) => SslMode::Prefer,
        (None, _) => SslMode::VerifyFull,
        // As in libpq: a named authority means that the certificate is verified.
        (Some(SslMode::Require), Trust::File(_)) => SslMode::VerifyCa,
        (Some(mode), _) => mode,
    };
    Ok(PostgresUrl { config, mode, trust })
}

fn unknown_mode() -> StoreError {
    invalid("contains an unknown sslmode; use disable, prefer, require, verify-ca or verify-full")
}

#[cfg(unix)]
fn has_sockets_and_hosts(config: &tokio_postgres::Config) -> bool {
    let is_socket = |host: &Host| matches!(host, Host::Unix(_));
    let sockets = config.get_hosts().iter().filter(|host| is_socket(host)).count();
    sockets > 0 && sockets < config.get_hosts().len()
}

/// Whether all traffic to the server stays on this machine.
fn is_local(config: &tokio_postgres::Config) -> bool {
    let hosts = config.get_hosts().iter().all(|host| match host {
        Host::Tcp(name) => {
            name == "localhost" || name.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
        }
        #[cfg(unix)]
        Host::Unix(_) => true,
    });
    hosts && config.get_hostaddrs().iter().all(IpAddr::is_loopback)
}

#[cfg(test)]
mod tests {
    #[test]
    fn servers_have_their_ports() {
        for (url, expected) in [
            ("postgres://u@a,b:7/d", vec![("a", 5432), ("b", 7)]),
            ("postgres://u@10.0.0.1/d?sslmode=disable", vec![("10.0.0.1", 5432)]),
            ("postgres://u@[::1]:5433/d", vec![("::1", 5433)]),
            ("sqlite:x", vec![]),
            ("nonsense", vec![]),
        ] {
            let expected: Vec<_> =
                expected.into_iter().map(|(name, port)| (name.to_owned(), port)).collect();
            assert_eq!(super::servers(url), expected, "{url}");
        }
    }

    use super::*;

    fn mode(url: &str) -> SslMode {
        match DatabaseUrl::parse(url) {
            Ok(DatabaseUrl::Postgres(target)) => target.mode,
            _ => panic!("{url} is a PostgreSQL server"),
        }
    }

    fn error_text(url: &str) -> String {
        DatabaseUrl::parse(url).err().map(|error| error.to_string()).unwrap_or_default()
    }

    #[test]
    fn default_sslmode_encrypts_to_remote_hosts() {
        for local in ["localhost", "127.0.0.1", "127.9.9.9:5433", "[::1]", "%2Ftmp"] {
            assert_eq!(mode(&format!("postgres://u:p@{local}/d")), SslMode::Prefer, "{local}");
        }
        for remote in ["db.example", "10.0.0.1", "localhost,db.example", "[2001:db8::1]:5432"] {
            assert_eq!(
                mode(&format!("postgres://u:p@{remote}/d")),
                SslMode::VerifyFull,
                "{remote}"
            );
        }
        assert_eq!(
            mode("postgres://u@localhost/d?hostaddr=10.0.0.1"),
            SslMode::VerifyFull,
            "the address counts, not the name"
        );
    }

    #[test]
    fn explicit_sslmode_is_used() {
        for (text, expected) in [
            ("disable", SslMode::Disable),
            ("prefer", SslMode::Prefer),
            ("require", SslMode::Require),
            ("verify-ca", SslMode::VerifyCa),
            ("verify-full", SslMode::VerifyFull),
        ] {
            assert_eq!(mode(&format!("postgres://u@db.example/d?sslmode={text}")), expected);
        }
        let named = "postgres://u@db.example/d?sslmode=require&sslrootcert=%2Fca.pem";
        assert_eq!(mode(named), SslMode::VerifyCa);
        assert!(error_text("postgres://u@h/d?sslmode=allow").contains("unknown sslmode"));
        assert!(error_text("postgres://u@h/d?sslcert=x").contains("sslcert"));
    }

    #[test]
    fn server_must_accept_writes_by_default() {
        let attrs = |url: &str| match DatabaseUrl::parse(url) {
            Ok(DatabaseUrl::Postgres(target)) => target.config.get_target_session_attrs(),
            _ => panic!("{url} is a PostgreSQL server"),
        };
        assert_eq!(attrs("postgres://u@a,b/d"), TargetSessionAttrs::ReadWrite);
        let any = "postgres://u@a,b/d?target_session_attrs=any";
        assert_eq!(attrs(any), TargetSessionAttrs::Any);
        assert!(error_text("postgres://u@%2Ftmp,b/d").contains("together"));
    }

    #[test]
    fn invalid_url_is_rejected_without_its_text() {
        for url in [
            "",
            "hunter2",
            "mysql://u:hunter2@h/d",
            "postgres://u:hunter2#x@h:99999/d",
            "postgres://u:x@h:hunter2/d",
            "postgres://u:pw@h/d?hunter2=1",
            "postgres://u@h/d?application_name=%ff",
            "postgres://",
            "sqlite:",
            "sqlite::memory:",
            "sqlite:x.db?hunter2=1",
        ] {
            let error_text = error_text(url);
            assert!(error_text.starts_with("the database URL "), "{url}: {error_text}");
            assert!(!error_text.contains("hunter2"), "{url}: {error_text}");
        }
    }

    #[test]
    fn sqlite_url_names_a_path_and_never_a_uri() {
        for (url, path) in [
            ("sqlite:data/berth.db", "./data/berth.db"),
            ("sqlite:/var/berth.db", "/var/berth.db"),
            ("sqlite:///var/berth.db", "/var/berth.db"),
            ("sqlite:file:x", "./file:x"),
        ] {
            assert!(
                matches!(DatabaseUrl::parse(url), Ok(DatabaseUrl::Sqlite(found)) if found.as_os_str() == path),
                "{url}"
            );
        }
    }
}
