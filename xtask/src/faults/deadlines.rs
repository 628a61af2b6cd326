//! How soon what is shown must be true, and the settings that shorten it for the small extent.

use std::time::Duration;

use super::Extent;

/// What is promised of a deployment that is partly silent.
#[derive(Clone, Copy, Debug)]
pub(super) struct Deadlines {
    /// A status that is wrong, or on its way, ends within this.
    pub(super) truth: Duration,
    /// Everything works within this after the fault is over.
    pub(super) recovery: Duration,
}

impl Deadlines {
    pub(super) fn of(extent: Extent) -> Self {
        let seconds = Duration::from_secs;
        extent.pick(
            Self { truth: seconds(15), recovery: seconds(20) },
            Self { truth: seconds(60), recovery: seconds(60) },
        )
    }
}

/// The router's settings; a full extent keeps the defaults.
pub(super) fn of_router(extent: Extent) -> Vec<(&'static str, String)> {
    let short = [("BERTH_LEASE", "4s"), ("BERTH_HEARTBEAT", "1s")];
    chosen(extent, &short)
}

/// The settings of a node; a full extent keeps the defaults.
pub(super) fn of_node(extent: Extent) -> Vec<(&'static str, String)> {
    chosen(extent, &[("BERTH_PROBE_INTERVAL", "1s")])
}

fn chosen(extent: Extent, short: &[(&'static str, &str)]) -> Vec<(&'static str, String)> {
    let short = short.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
    extent.pick(short, Vec::new())
}
