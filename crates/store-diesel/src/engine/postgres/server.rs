//! Connections to PostgreSQL: opened with TLS and time limits, checked before they are trusted again.

use std::{path::Path, time::Duration};

use diesel::{ConnectionError, ConnectionResult};
use diesel_async::{AsyncPgConnection, SimpleAsyncConnection};
#[cfg(unix)]
use tokio::net::UnixStream;
use tokio_postgres::{
    config::{Host, SslMode, SslNegotiation, TargetSessionAttrs},
    tls::MakeTlsConnect,
};

use crate::{
    Config, StoreError,
    database_url::PostgresUrl,
    engine::postgres::{negotiation::Connector, tls},
};

/// How statements that find rows by their keys, and do nothing else, are planned: once, and not by how many rows the table
/// happened to have then.
pub(crate) const LOOKUP_SETTINGS: [(&str, &str); 4] = [
    ("plan_cache_mode", "force_generic_plan"),
    ("enable_seqscan", "off"),
    ("enable_hashjoin", "off"),
    ("enable_mergejoin", "off"),
];

/// How long changes that are written together wait for a row that somebody else has locked.
pub(crate) const BATCH_SETTINGS: [(&str, &str); 1] = [("lock_timeout", "50")];

/// A server and how to connect to it.
#[derive(Clone)]
pub(crate) struct PostgresServer {
    config: tokio_postgres::Config,
    connector: Connector,
    /// What is set on each connection, by statements: poolers refuse to be told at the start of one.
    settings: Vec<(&'static str, String)>,
}

impl PostgresServer {
    pub(crate) fn new(target: &PostgresUrl, config: &Config) -> Result<Self, StoreError> {
        let mut server = target.config.clone();
        let connector = Connector {
            tls: tls::connector(target.mode, &target.trust)?,
            mode: target.mode.wire(),
            scheme: server.get_ssl_negotiation(),
        };
        // The connector is to be asked for each connection, also for one without TLS.
        server.ssl_mode(SslMode::Require).ssl_negotiation(SslNegotiation::Direct);
        if server.get_connect_timeout().is_none() {
            server.connect_timeout(config.connect_timeout);
        }
        if server.get_tcp_user_timeout().is_none() {
            // A peer that vanished without a word is noticed by then.
            server.tcp_user_timeout(Duration::from_secs(10));
        }
        if server.get_application_name().is_none() {
            server.application_name("berth");
        }
        let server = Self { config: server, connector, settings: Vec::new() };
        // The server gives up no later than the one who asked.
        let timeout = config.deadline.as_millis().to_string();
        let timeouts =
            [("statement_timeout", &*timeout), ("idle_in_transaction_session_timeout", "15000")];
        Ok(server.with(timeouts))
    }

    /// A connection whose statements may take long: for migrations.
    pub(crate) async fn open_for_migrations(&self) -> ConnectionResult<AsyncPgConnection> {
        let mut server = self.clone();
        let long = [("statement_timeout", "0".to_owned()), ("lock_timeout", "60000".to_owned())];
        server.settings.extend(long);
        server.open().await
    }

    /// The same with these settings, but for those that the operator's URL has options for.
    pub(crate) fn with<const N: usize>(&self, settings: [(&'static str, &str); N]) -> Self {
        let own = self.config.get_options().unwrap_or_default();
        let ours = settings.into_iter().filter(|(name, _)| !own.contains(name));
        let ours: Vec<_> = ours.map(|(name, value)| (name, value.to_owned())).collect();
        let mut server = self.clone();
        server.settings.extend(ours);
        server
    }

    pub(crate) async fn open(&self) -> ConnectionResult<AsyncPgConnection> {
        let mut conn = match self.config.get_hosts() {
            #[cfg(unix)]
            [Host::Unix(_), ..] => self.open_socket().await?,
            _ => {
                let opened = self.config.connect(self.connector.clone()).await;
                let (client, connection) = opened.map_err(|error| bad_connection(&error))?;
                AsyncPgConnection::try_from_client_and_connection(client, connection).await?
            }
        };
        let set = |(name, value): &(&str, String)| format!("SET {name} = '{value}';");
        let sets: String = self.settings.iter().map(set).collect();
        conn.batch_execute(&sets).await.map_err(ConnectionError::CouldntSetupConfiguration)?;
        Ok(conn)
    }

    /// A connection by a Unix socket, which the driver makes without asking the connector.
    #[cfg(unix)]
    async fn open_socket(&self) -> ConnectionResult<AsyncPgConnection> {
        let mut last = ConnectionError::BadConnection("no host is named".to_owned());
        for (number, host) in self.config.get_hosts().iter().enumerate() {
            let Host::Unix(folder) = host else { continue };
            let ports = self.config.get_ports();
            let port = ports.get(number).or(ports.first()).copied().unwrap_or(5432);
            match self.open_socket_at(&folder.join(format!(".s.PGSQL.{port}"))).await {
                Ok(conn) => return Ok(conn),
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    #[cfg(unix)]
    async fn open_socket_at(&self, path: &Path) -> ConnectionResult<AsyncPgConnection> {
        let plain = Connector { mode: SslMode::Disable, ..self.connector.clone() };
        let stream = UnixStream::connect(path).await.map_err(|error| bad_connection(&error))?;
        let negotiation = MakeTlsConnect::<UnixStream>::make_tls_connect(&mut plain.clone(), "")
            .map_err(|error| bad_connection(&error))?;
        let opened = self.config.connect_raw(stream, negotiation).await;
        let (client, connection) = opened.map_err(|error| bad_connection(&error))?;
        tokio::spawn(connection);
        if self.config.get_target_session_attrs() == TargetSessionAttrs::ReadWrite {
            let row = client.query_one("SHOW transaction_read_only", &[]).await;
            let read_only: &str = &row.map_err(|error| bad_connection(&error))?.get::<_, String>(0);
            if read_only == "on" {
                return Err(ConnectionError::BadConnection(
                    "database does not allow writes".to_owned(),
                ));
            }
        }
        AsyncPgConnection::try_from(client).await
    }
}

fn bad_connection(error: &dyn std::error::Error) -> ConnectionError {
    ConnectionError::BadConnection(error_chain(error))
}

/// An error with its causes, which the driver's own text leaves out.
fn error_chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let more = error.to_string();
        if !text.ends_with(&more) {
            text = format!("{text}: {more}");
        }
        cause = error.source();
    }
    text
}
