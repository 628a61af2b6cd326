//! The only way to a connection: every address is judged before the first is dialled, and the peer
//! of the open connection is judged again.
//!
//! Decision: ADR 0039.

use std::{io, net::SocketAddr, sync::Arc};

use domain::OutcomeClass;
use rustls::ClientConfig;
use tokio::{net::TcpStream, time::timeout};
use tokio_rustls::TlsConnector;

use super::{
    dial::{Dial, dial_in_turn},
    network_access::NetworkAccess,
    resolver::Resolver,
    stream::{MeteredStream, Transport},
    tls::{client_config, server_name},
};
use crate::{
    address::{Forbidden, Guard, Verdict},
    config::Config,
    failure::{CheckError, Failure},
    host::Host,
    limits::Limits,
    url::WebhookUrl,
};

/// Opens connections for one sender.
pub(crate) struct Connector {
    guard: Guard,
    resolver: Resolver,
    dial: Arc<dyn Dial>,
    tls: Arc<ClientConfig>,
    limits: Limits,
}

/// An open connection whose peer was judged.
pub(crate) struct Established {
    pub(crate) stream: MeteredStream,
    pub(crate) ends: Ends,
    pub(crate) verdict: Verdict,
}

/// The addresses of a connection.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ends {
    peer: SocketAddr,
    local: SocketAddr,
}

impl Ends {
    fn of(stream: &TcpStream) -> io::Result<Self> {
        Ok(Self { peer: stream.peer_addr()?, local: stream.local_addr()? })
    }
}

impl Connector {
    pub(crate) fn new(config: Config, network: NetworkAccess) -> Result<Self, rustls::Error> {
        Ok(Self {
            guard: Guard::new(config.allowed, config.denied),
            resolver: Resolver::new(network.lookup, config.limits),
            dial: network.dial,
            tls: client_config(config.roots)?,
            limits: config.limits,
        })
    }

    pub(crate) fn deny(&self, denied: Vec<SocketAddr>) {
        self.guard.deny(denied);
    }

    /// Judges a connection that was opened before.
    pub(crate) fn judge(&self, host: &Host, ends: Ends) -> Result<Verdict, Forbidden> {
        self.guard.judge_peer(host, ends.peer, ends.local)
    }

    /// Returns the addresses of the URL when every one may be dialled.
    pub(crate) async fn addresses(
        &self,
        organization: &str,
        url: &WebhookUrl,
    ) -> Result<(Vec<SocketAddr>, Verdict), CheckError> {
        let addresses = match url.host() {
            Host::Address(address) => vec![SocketAddr::new(*address, url.port())],
            Host::Name(name) => {
                // The trailing dot keeps search domains out: only a name that the operator lists
                // may be a short name of the own network.
                let listed = self.guard.allowed().names_port(url.host(), url.port());
                let query = if listed { name.clone() } else { format!("{name}.") };
                let addresses = self.resolver.resolve(organization, &query).await;
                let addresses =
                    addresses.map_err(|error| CheckError::Unresolved(error.to_string()))?;
                addresses.iter().map(|address| with_port(*address, url.port())).collect()
            }
        };
        let verdict = self.guard.judge(url.host(), &addresses).map_err(CheckError::Forbidden)?;
        Ok((addresses, verdict))
    }

    /// Opens a connection to the URL. The caller limits the time of the lookup and of TLS.
    pub(crate) async fn connect(
        &self,
        organization: &str,
        url: &WebhookUrl,
    ) -> Result<Established, Failure> {
        let (addresses, verdict) = self.addresses(organization, url).await?;
        let dialled = dial_in_turn(&*self.dial, &addresses, self.limits.dial_gap);
        let failed = |cause: String| Failure::new(OutcomeClass::Connect, cause);
        let stream = match timeout(self.limits.connect, dialled).await {
            Ok(stream) => stream.map_err(|error| failed(error.to_string()))?,
            Err(_) => return Err(failed("no TCP connection in time".to_owned())),
        };
        let ends = Ends::of(&stream).map_err(|error| failed(error.to_string()))?;
        let peer_verdict = self.judge(url.host(), ends).map_err(CheckError::Forbidden)?;
        let verdict = if peer_verdict == Verdict::Public { verdict } else { peer_verdict };
        let stream = self.secure(stream, url).await?;
        Ok(Established { stream: MeteredStream::new(stream), ends, verdict })
    }

    async fn secure(&self, stream: TcpStream, url: &WebhookUrl) -> Result<Transport, Failure> {
        if !url.is_secure() {
            return Ok(Transport::Plain(stream));
        }
        let failed = |cause: String| Failure::new(OutcomeClass::Tls, cause);
        let name = server_name(url.host()).map_err(failed)?;
        let connector = TlsConnector::from(Arc::clone(&self.tls));
        let stream = connector.connect(name, stream).await;
        Ok(Transport::Tls(Box::new(stream.map_err(|error| failed(error.to_string()))?)))
    }
}

/// Sets the port and keeps the scope id, which the guard refuses.
fn with_port(mut address: SocketAddr, port: u16) -> SocketAddr {
    address.set_port(port);
    address
}
