//! Orphans: device keys on nodes without a session in the database. They occur after an old backup
//! of the database or of a node's folder was restored. A linked device must not be lost silently,
//! so the keys stay until an operator assigns or unlinks them.
//!
//! Decision: ADR 0035.

pub(crate) mod model;
pub(crate) mod service;
