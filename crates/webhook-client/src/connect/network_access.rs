//! The replaceable steps of connecting.

use std::{fmt, sync::Arc};

use super::{
    dial::{Dial, SystemDial},
    lookup::{Lookup, SystemLookup},
};

/// The two steps that touch the network before a connection is open. Tests replace them.
#[derive(Clone)]
pub struct NetworkAccess {
    /// Looks up names.
    pub lookup: Arc<dyn Lookup>,
    /// Opens TCP connections.
    pub dial: Arc<dyn Dial>,
}

impl Default for NetworkAccess {
    fn default() -> Self {
        Self { lookup: Arc::new(SystemLookup), dial: Arc::new(SystemDial) }
    }
}

impl fmt::Debug for NetworkAccess {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Network").finish_non_exhaustive()
    }
}
