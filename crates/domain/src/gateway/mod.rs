//! Gateway nodes: registration, leases, reports and placement.

pub(crate) mod leases;
pub(crate) mod node;
pub mod placement;
pub(crate) mod service;
