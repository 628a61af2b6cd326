//! Interfaces to the parts of the program that know its readiness and its metrics.

use async_trait::async_trait;

/// The result of one readiness check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Check {
    /// The name in responses: `database`, `key_set`.
    pub name: &'static str,
    /// Whether the dependency can be used now. The implementation logs the cause; responses do not
    /// state it.
    pub ready: bool,
}

/// Checks the dependencies of the service.
#[async_trait]
pub trait Readiness: Send + Sync {
    /// Runs the checks that decide about readiness. Without a result within 5 s the service is not
    /// ready.
    async fn checks(&self) -> Vec<Check>;

    /// Returns checks that are shown and do not decide about readiness. Must not block.
    fn informational(&self) -> Vec<Check> {
        Vec::new()
    }
}

/// Renders the metrics of the program.
pub trait Exposition: Send + Sync {
    /// Returns all metrics in the text format of Prometheus (version 0.0.4).
    fn text(&self) -> String;
}
