//! PostgreSQL: connections, their health, and the errors that the server reports.

pub(crate) mod health;
pub(crate) mod migrate;
pub(crate) mod negotiation;
pub(crate) mod organization_permits;
pub(crate) mod pipelined_pool;
pub(crate) mod pool;
pub(crate) mod pooler_check;
pub(crate) mod server;
pub(crate) mod sqlstate;
pub(crate) mod tls;
