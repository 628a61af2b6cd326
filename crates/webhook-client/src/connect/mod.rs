//! Opens judged connections: lookup, address guard, dialling, TLS.

mod connector;
mod dial;
mod lookup;
mod lookup_cache;
mod lookup_permits;
mod network_access;
mod resolver;
mod stream;
mod tls;

pub(crate) use self::{
    connector::{Connector, Ends, Established},
    stream::{Fault, Meter},
};
pub use self::{
    dial::{Dial, SystemDial},
    lookup::{Lookup, SystemLookup},
    network_access::NetworkAccess,
    tls::default_roots,
};
