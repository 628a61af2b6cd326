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

    /// The same where only the engine's keep-alive can notice that WhatsApp is silent.
    ///
    /// No setting shortens the keep-alive. It took 57 s once, with twenty deployments of debug programs
    /// on two processors, and the node reports a drop 3 s later. The full extent keeps the promise of
    /// 60 s; the small one allows for its crowded processors.
    pub(super) fn by_the_engine(extent: Extent) -> Self {
        let full = Self::of(Extent::Full);
        Self { truth: extent.pick(Duration::from_secs(75), full.truth), ..full }
    }
}

/// The router's settings; its nodes are told of them. A full extent keeps the defaults.
pub(super) fn settings(extent: Extent) -> Vec<(&'static str, String)> {
    let short = [("BERTH_LEASE", "4s"), ("BERTH_HEARTBEAT", "1s")];
    let short = short.map(|(name, value)| (name, value.to_owned())).to_vec();
    extent.pick(short, Vec::new())
}
