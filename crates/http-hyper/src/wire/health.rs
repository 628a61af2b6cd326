//! What `GET /readyz` shows.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::readiness::Check;

/// Whether the service can do its work, and which part of it cannot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ReadinessView {
    /// Every check is well.
    pub ready: bool,
    /// Each check, by name.
    pub checks: BTreeMap<&'static str, bool>,
}

impl ReadinessView {
    /// An example.
    pub fn sample() -> Self {
        Self::of(&[Check { name: "database", ready: true }, Check { name: "key_set", ready: true }])
    }

    pub(crate) fn of(checks: &[Check]) -> Self {
        let ready = checks.iter().all(|check| check.ready);
        Self { ready, checks: checks.iter().map(|check| (check.name, check.ready)).collect() }
    }

    /// The checks did not end in time.
    pub(crate) fn silent() -> Self {
        Self { ready: false, checks: BTreeMap::new() }
    }
}
