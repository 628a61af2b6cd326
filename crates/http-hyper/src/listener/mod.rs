//! The HTTP listener: connections, limits, permits, request bodies and graceful stop. Knows no operation.

pub(crate) mod activity;
pub(crate) mod address;
pub(crate) mod connection;
pub(crate) mod connections;
pub(crate) mod limits;
pub(crate) mod lingering_stream;
pub(crate) mod request_body;
pub(crate) mod request_id;
pub(crate) mod request_permits;
pub(crate) mod serve;
pub(crate) mod service;
pub(crate) mod shared_permits;
pub(crate) mod tracked_body;
