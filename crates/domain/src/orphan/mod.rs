//! Keys on nodes whose sessions the database does not know: after an old copy of the database, or of a
//! node's folder, was restored. A linked device must not be lost silently, so the keys stay until an
//! operator says whose they are.
//!
//! Decision: ADR 0035.

pub(crate) mod model;
pub(crate) mod service;
