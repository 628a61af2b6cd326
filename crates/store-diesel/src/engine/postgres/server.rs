//! Opens connections to a PostgreSQL server, with TLS and time limits.

use std::{path::Path, time::Duration};

use diesel::{ConnectionError, ConnectionResult, QueryResult};
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

/// Settings of connections that only find rows by their keys: plans are made once, and do not
/// depend on the number of rows at that time.
pub(crate) const LOOKUP_SETTINGS: [(&str, &str); 4] = [
    ("plan_cache_mode", "force_generic_plan"),
    ("enable_seqscan", "off"),
    ("enable_hashjoin", "off"),
    ("enable_mergejoin", "off"),
];

/// Settings of connections that read events and webhooks in the order of an index. The plans walk an index in the order of positions, and
/// never collect and sort all events after a position for one page.
pub(crate) const FEED_SETTINGS: [(&str, &str); 4] = [
    ("plan_cache_mode", "force_generic_plan"),
    ("enable_seqscan", "off"),
    ("enable_bitmapscan", "off"),
    ("enable_sort", "off"),
];

/// Plans the statements of a transaction as on a connection with [`LOOKUP_SETTINGS`].
pub(crate) async fn plan_as_lookups(conn: &mut AsyncPgConnection) -> QueryResult<()> {
    let set = |(name, value)| format!("SET LOCAL {name} = '{value}';");
    conn.batch_execute(&LOOKUP_SETTINGS.map(set).concat()).await
}

/// Maximum wait of a batched write for a row lock, in milliseconds.
pub(crate) const BATCH_SETTINGS: [(&str, &str); 1] = [("lock_timeout", "50")];

/// A server and the parameters for connecting to it.
#[derive(Clone)]
pub(crate) struct PostgresServer {
    config: tokio_postgres::Config,
    connector: Connector,
    /// Set by a statement on each new connection, because poolers reject unknown start-up
    /// parameters.
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
        // Makes the driver call the connector for every connection, including those without TLS.
        server.ssl_mode(SslMode::Require).ssl_negotiation(SslNegotiation::Direct);
        if server.get_connect_timeout().is_none() {
            server.connect_timeout(config.connect_timeout);
        }
        if server.get_tcp_user_timeout().is_none() {
            // Detects a peer that disappeared without closing the connection.
            server.tcp_user_timeout(Duration::from_secs(10));
        }
        if server.get_application_name().is_none() {
            server.application_name("berth");
        }
        let server = Self { config: server, connector, settings: Vec::new() };
        // The server cancels a statement no later than the caller stops waiting.
        let timeout = config.deadline.as_millis().to_string();
        Ok(server.with([
            ("statement_timeout", &*timeout),
            ("idle_in_transaction_session_timeout", "15000"),
            // A plan with a node that a setting below disables has a huge cost, for which PostgreSQL
            // would compile each statement, and those of triggers, for 10 ms.
            ("jit", "off"),
        ]))
    }

    /// Opens a connection without a statement time-out and with a lock time-out of 60 s, for
    /// migrations.
    pub(crate) async fn open_for_migrations(&self) -> ConnectionResult<AsyncPgConnection> {
        let mut server = self.clone();
        let long = [("statement_timeout", "0".to_owned()), ("lock_timeout", "60000".to_owned())];
        server.settings.extend(long);
        server.open().await
    }

    /// Returns the server with additional settings, except those that `options` in the URL sets.
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

    /// Opens a connection through a Unix socket; the driver would not call the connector there.
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

/// Returns the error with its causes, which the driver's own text omits.
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
