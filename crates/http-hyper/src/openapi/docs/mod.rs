//! The operation docs, one file per noun.

pub(crate) mod api_keys;
pub(crate) mod audit;
pub(crate) mod service;
pub(crate) mod sessions;
