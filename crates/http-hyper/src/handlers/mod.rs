//! One function an operation: take what was asked, have the domain do it, show what came of it.

pub(crate) mod admin;
pub(crate) mod api_keys;
pub(crate) mod audit;
pub(crate) mod docs;
pub(crate) mod health;
pub(crate) mod sessions;
