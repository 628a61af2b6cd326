//! Errors of ports.

/// Any error, for the log.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Result of a port.
pub type PortResult<T> = std::result::Result<T, PortError>;

/// Error of a port.
#[derive(Debug, thiserror::Error)]
pub enum PortError {
    /// The dependency is not reachable now. Whether a write happened is unknown.
    #[error("unavailable")]
    Unavailable(#[source] BoxError),
    /// The dependency returned invalid data.
    #[error("broken")]
    Broken(#[source] BoxError),
}
