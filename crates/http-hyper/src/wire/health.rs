//! The responses of `GET /livez` and `GET /readyz`.

use std::collections::BTreeMap;

use serde::Serialize;
use utoipa::ToSchema;

use super::example::example_is_sample;
use crate::readiness::Check;

/// The state of the process.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Liveness)]
pub struct LivenessView {
    /// Always true: a process that does not run sends no response.
    pub live: bool,
}

/// The readiness of the service and of each dependency.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Readiness)]
pub struct ReadinessView {
    /// Whether every check that requests depend on succeeded.
    pub ready: bool,
    /// The result of each check, by name. `key_set` concerns login tokens only and does not affect
    /// `ready`.
    pub checks: BTreeMap<&'static str, bool>,
}

example_is_sample!(LivenessView, ReadinessView);

impl LivenessView {
    /// Returns an example.
    pub fn sample() -> Self {
        Self { live: true }
    }
}

impl ReadinessView {
    /// Returns an example.
    pub fn sample() -> Self {
        Self::of(
            &[Check { name: "database", ready: true }],
            &[Check { name: "key_set", ready: true }],
        )
    }

    /// Returns the view of the checks that decide about readiness and of the informational ones.
    pub(crate) fn of(checks: &[Check], informational: &[Check]) -> Self {
        let ready = checks.iter().all(|check| check.ready);
        let shown = checks.iter().chain(informational);
        Self { ready, checks: shown.map(|check| (check.name, check.ready)).collect() }
    }

    /// Returns the view of checks that did not end in time.
    pub(crate) fn timed_out() -> Self {
        Self { ready: false, checks: BTreeMap::new() }
    }
}
