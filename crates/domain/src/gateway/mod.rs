//! Gateway nodes: who they are, what they are told, and what they say.

pub(crate) mod leases;
pub(crate) mod node;
pub mod placement;
pub(crate) mod service;
