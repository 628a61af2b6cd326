//! What `GET /livez` and `GET /readyz` show.

use std::collections::BTreeMap;

use serde::Serialize;
use utoipa::ToSchema;

use crate::readiness::Check;

/// That the process lives.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Liveness)]
pub struct LivenessView {
    /// Always true: who does not live does not answer.
    pub live: bool,
}

/// Whether the service can do its work, and which part of it cannot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Readiness)]
pub struct ReadinessView {
    /// Every check that requests need is well.
    pub ready: bool,
    /// Each check, by name. `key_set` is for login tokens alone and does not count for `ready`.
    pub checks: BTreeMap<&'static str, bool>,
}

impl LivenessView {
    /// An example.
    pub fn sample() -> Self {
        Self { live: true }
    }
}

impl ReadinessView {
    /// An example.
    pub fn sample() -> Self {
        Self::of(
            &[Check { name: "database", ready: true }],
            &[Check { name: "key_set", ready: true }],
        )
    }

    /// The view of what decides, and of what is merely shown.
    pub(crate) fn of(checks: &[Check], informational: &[Check]) -> Self {
        let ready = checks.iter().all(|check| check.ready);
        let shown = checks.iter().chain(informational);
        Self { ready, checks: shown.map(|check| (check.name, check.ready)).collect() }
    }

    /// The checks did not end in time.
    pub(crate) fn timed_out() -> Self {
        Self { ready: false, checks: BTreeMap::new() }
    }
}
