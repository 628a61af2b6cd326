//! Deadlines for the status during and after a fault, and the settings that shorten them for the
//! small size.

use std::time::Duration;

use crate::Extent;

/// The deadlines for a deployment with a fault.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Deadlines {
    /// Time within which a wrong or transitional status ends.
    pub(crate) truth: Duration,
    /// Time within which everything works after the end of the fault.
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

    /// Returns the deadlines where only the engine's keep-alive can notice that WhatsApp is silent.
    /// No setting shortens the keep-alive, so both sizes have the deadlines of the full one.
    pub(crate) fn by_the_engine() -> Self {
        Self::of(Extent::Full)
    }
}

/// Returns the settings of the router, which passes them to its nodes. The full size has the
/// defaults.
pub(crate) fn settings(extent: Extent) -> Vec<(&'static str, String)> {
    let short = [("BERTH_LEASE", "4s"), ("BERTH_HEARTBEAT", "1s")];
    let short = short.map(|(name, value)| (name, value.to_owned())).to_vec();
    extent.choose(short, Vec::new())
}
