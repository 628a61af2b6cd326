//! Errors of ports.

/// Any error, for the log.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// What a port answers.
pub type PortResult<T> = std::result::Result<T, PortError>;

/// How a port fails.
#[derive(Debug, thiserror::Error)]
pub enum PortError {
    /// It cannot be reached now; nothing is known to have changed.
    #[error("unavailable")]
    Unavailable(#[source] BoxError),
    /// It answered something that cannot be.
    #[error("broken")]
    Broken(#[source] BoxError),
}
