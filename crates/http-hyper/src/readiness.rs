//! Whether the service can do its work now, and what it counts, asked of whoever put it together.

use async_trait::async_trait;

/// One thing the service needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Check {
    /// What is asked after: `database`, `key_set`.
    pub name: &'static str,
    /// Whether it can be used now. Why not is for the log of whoever checks, never for the answer.
    pub ready: bool,
}

/// Says what is ready.
#[async_trait]
pub trait Readiness: Send + Sync {
    /// Every check. Must end within a few seconds by itself; when it does not, the answer is that
    /// nothing is ready.
    async fn checks(&self) -> Vec<Check>;

    /// Checks that are shown with the others and do not make the service unready. Must not wait.
    fn informational(&self) -> Vec<Check> {
        Vec::new()
    }
}

/// Shows what is counted.
pub trait Exposition: Send + Sync {
    /// All metrics, in Prometheus' text format (version 0.0.4).
    fn text(&self) -> String;
}
