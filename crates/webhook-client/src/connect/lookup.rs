//! The lookup of names as a replaceable step.

use std::{
    io,
    net::{SocketAddr, ToSocketAddrs as _},
    sync::Arc,
};

/// Looks up the addresses of a name. Calls run on threads of their own and may block.
pub trait Lookup: Send + Sync + 'static {
    /// Returns every address of `name`; ports are ignored. A name with a trailing dot is complete:
    /// search domains do not apply.
    ///
    /// # Errors
    /// When the name does not exist or no name server answers.
    fn addresses(&self, name: &str) -> io::Result<Vec<SocketAddr>>;
}

/// The resolver of the operating system (`getaddrinfo`), which also reads the file of hosts.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemLookup;

impl Lookup for SystemLookup {
    fn addresses(&self, name: &str) -> io::Result<Vec<SocketAddr>> {
        (name, 0).to_socket_addrs().map(Iterator::collect)
    }
}

/// The maximum number of addresses of a name. Services behind one name have far fewer.
pub(super) const MAX_ADDRESSES: usize = 64;

/// The addresses of a name, at least one, or the failure.
pub(super) type Answer = Result<Arc<[SocketAddr]>, LookupError>;

/// The failure of a lookup. The texts are for the operator.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum LookupError {
    #[error("{0}")]
    Failed(Arc<str>),
    #[error("the name has no address")]
    NoAddress,
    #[error("the name has more than {MAX_ADDRESSES} addresses")]
    TooManyAddresses,
    #[error("no answer in time")]
    TimedOut,
}

/// Returns the result of a lookup as an answer.
pub(super) fn answer(addresses: io::Result<Vec<SocketAddr>>) -> Answer {
    match addresses {
        Err(error) => Err(LookupError::Failed(error.to_string().into())),
        Ok(addresses) if addresses.is_empty() => Err(LookupError::NoAddress),
        Ok(addresses) if addresses.len() > MAX_ADDRESSES => Err(LookupError::TooManyAddresses),
        Ok(addresses) => Ok(addresses.into()),
    }
}
