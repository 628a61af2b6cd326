//! Reads the database URL, and never repeats it: it may hold a password.

use std::{net::IpAddr, path::PathBuf};

use percent_encoding::percent_decode_str;
use tokio_postgres::config::{Host, TargetSessionAttrs};

use crate::{
    StoreError,
    tls::{SslMode, Trust},
};

/// A database, as its URL names it.
pub(crate) enum Target {
    /// A server.
    Postgres(Box<PostgresTarget>),
    /// A file.
    Sqlite(PathBuf),
}

/// A PostgreSQL server and how to speak to it.
pub(crate) struct PostgresTarget {
    pub(crate) config: tokio_postgres::Config,
    pub(crate) mode: SslMode,
    pub(crate) trust: Trust,
}

impl Target {
    pub(crate) fn parse(url: &str) -> Result<Self, StoreError> {
        if url.starts_with("postgres://") || url.starts_with("postgresql://") {
            return postgres(url).map(|target| Self::Postgres(Box::new(target)));
        }
        match url.strip_prefix("sqlite:") {
            Some(path) => sqlite(path).map(Self::Sqlite),
            None => Err(wrong("must begin with sqlite: or postgres://")),
        }
    }
}

fn wrong(why: impl Into<String>) -> StoreError {
    StoreError::Url(why.into())
}

fn sqlite(path: &str) -> Result<PathBuf, StoreError> {
    let path = path.strip_prefix("//").unwrap_or(path);
    if path.is_empty() || path.contains('\0') {
        return Err(wrong("names no file: write sqlite:data/berth.db"));
    }
    if path == ":memory:" {
        return Err(wrong("must name a file: a database in memory forgets everything at the end"));
    }
    if path.contains('?') {
        return Err(wrong("takes no parameters for SQLite"));
    }
    // SQLite reads a leading `file:` as a URI of its own; a path with a leading dot it does not.
    let path = PathBuf::from(path);
    Ok(if path.is_absolute() { path } else { PathBuf::from(".").join(path) })
}

fn postgres(url: &str) -> Result<PostgresTarget, StoreError> {
    let (place, query) = url.split_once('?').unwrap_or((url, ""));
    let (mut mode, mut root, mut rest) = (None, None, Vec::new());
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        let value = percent_decode_str(value)
            .decode_utf8()
            .map_err(|_| wrong("holds a parameter that is not UTF-8"))?;
        match key {
            "sslmode" => mode = Some(SslMode::parse(&value).ok_or_else(unknown_mode)?),
            "sslrootcert" => root = Some(value.into_owned()),
            "sslcert" | "sslkey" | "sslcrl" | "sslcrldir" | "sslpassword" => {
                return Err(wrong(format!("asks for {key}, which is not supported")));
            }
            _ => rest.push(pair),
        }
    }
    let bare =
        if rest.is_empty() { place.to_owned() } else { format!("{place}?{}", rest.join("&")) };
    // The parser's own message may quote a piece of the password.
    let mut config: tokio_postgres::Config = bare.parse().map_err(|_| {
        wrong("cannot be read: is every special character of the password percent-encoded?")
    })?;
    if config.get_hosts().is_empty() && config.get_hostaddrs().is_empty() {
        return Err(wrong("names no host"));
    }
    if config.get_hosts().is_empty() {
        for address in config.get_hostaddrs().to_vec() {
            config.host(address.to_string());
        }
    }
    #[cfg(unix)]
    if has_sockets_and_hosts(&config) {
        return Err(wrong("names Unix sockets and hosts together"));
    }
    // After a switchover the old primary is a standby, and still answers.
    if !rest.iter().any(|pair| pair.starts_with("target_session_attrs=")) {
        config.target_session_attrs(TargetSessionAttrs::ReadWrite);
    }
    let trust = match root.as_deref() {
        None | Some("" | "system") => Trust::System,
        Some(file) => Trust::File(file.into()),
    };
    let mode = match (mode, &trust) {
        (None, Trust::System) if is_local(&config) => SslMode::Prefer,
        (None, _) => SslMode::VerifyFull,
        // As libpq has it: who names an authority wants it asked.
        (Some(SslMode::Require), Trust::File(_)) => SslMode::VerifyCa,
        (Some(mode), _) => mode,
    };
    Ok(PostgresTarget { config, mode, trust })
}

fn unknown_mode() -> StoreError {
    wrong("asks for an unknown sslmode: it is disable, prefer, require, verify-ca or verify-full")
}

#[cfg(unix)]
fn has_sockets_and_hosts(config: &tokio_postgres::Config) -> bool {
    let is_socket = |host: &Host| matches!(host, Host::Unix(_));
    let sockets = config.get_hosts().iter().filter(|host| is_socket(host)).count();
    sockets > 0 && sockets < config.get_hosts().len()
}

/// Whether nothing sent to this server leaves the machine.
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
    use super::*;

    fn mode(url: &str) -> SslMode {
        match Target::parse(url) {
            Ok(Target::Postgres(target)) => target.mode,
            _ => panic!("{url} is a PostgreSQL server"),
        }
    }

    fn complaint(url: &str) -> String {
        Target::parse(url).err().map(|error| error.to_string()).unwrap_or_default()
    }

    #[test]
    fn without_an_sslmode_only_this_machine_may_be_spoken_to_in_the_clear() {
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
    fn an_sslmode_is_taken_at_its_word() {
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
        assert!(complaint("postgres://u@h/d?sslmode=allow").contains("unknown sslmode"));
        assert!(complaint("postgres://u@h/d?sslcert=x").contains("sslcert"));
    }

    #[test]
    fn a_server_must_take_writes_unless_the_url_says_otherwise() {
        let attrs = |url: &str| match Target::parse(url) {
            Ok(Target::Postgres(target)) => target.config.get_target_session_attrs(),
            _ => panic!("{url} is a PostgreSQL server"),
        };
        assert_eq!(attrs("postgres://u@a,b/d"), TargetSessionAttrs::ReadWrite);
        let any = "postgres://u@a,b/d?target_session_attrs=any";
        assert_eq!(attrs(any), TargetSessionAttrs::Any);
        assert!(complaint("postgres://u@%2Ftmp,b/d").contains("together"));
    }

    #[test]
    fn a_bad_url_is_refused_without_repeating_it() {
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
            let complaint = complaint(url);
            assert!(complaint.starts_with("the database URL "), "{url}: {complaint}");
            assert!(!complaint.contains("hunter2"), "{url}: {complaint}");
        }
    }

    #[test]
    fn a_file_is_a_path_and_never_a_uri() {
        for (url, path) in [
            ("sqlite:data/berth.db", "./data/berth.db"),
            ("sqlite:/var/berth.db", "/var/berth.db"),
            ("sqlite:///var/berth.db", "/var/berth.db"),
            ("sqlite:file:x", "./file:x"),
        ] {
            assert!(
                matches!(Target::parse(url), Ok(Target::Sqlite(found)) if found.as_os_str() == path),
                "{url}"
            );
        }
    }
}
