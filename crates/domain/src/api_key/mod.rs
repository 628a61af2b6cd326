//! API keys.

pub(crate) mod model;
pub(crate) mod service;
pub(crate) mod write;
