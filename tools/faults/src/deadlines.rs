//! How soon what is shown must be true, and the settings that shorten it for the small extent.

use std::time::Duration;

use crate::Extent;

/// What is promised of a deployment that is partly silent.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Deadlines {
    /// A status that is wrong, or on its way, ends within this.
    pub(crate) truth: Duration,
    /// Everything works within this after the fault is over.
    pub(crate) recovery: Duration,
}

impl Deadlines {
    pub(crate) fn of(extent: Extent) -> Self {
        let seconds = Duration::from_secs;
        extent.choose(
            Self { truth: seconds(15), recovery: seconds(20) },
            Self { truth: seconds(60), recovery: seconds(60) },
        )
    }

    /// The same where only the engine's keep-alive can notice that WhatsApp is silent. No setting shortens
    /// the keep-alive, so both extents keep the promise of the full one.
    pub(crate) fn by_the_engine() -> Self {
        Self::of(Extent::Full)
    }
}

/// The router's settings; its nodes are told of them. A full extent keeps the defaults.
pub(crate) fn settings(extent: Extent) -> Vec<(&'static str, String)> {
    let short = [("BERTH_LEASE", "4s"), ("BERTH_HEARTBEAT", "1s")];
    let short = short.map(|(name, value)| (name, value.to_owned())).to_vec();
    extent.choose(short, Vec::new())
}
