//! The memory of berth under full load, with a thousand waiting requests, and after each.

use std::{thread, time::Duration};

use anyhow::{Result, anyhow};
use testbed::resident::Resident;

use crate::{
    Setup,
    aim::Aim,
    spread::{float, number},
    waiting::{Nodeless, WAITING},
};

/// Connections of the load.
const ASKING: usize = 64;
/// Duration of the load.
const LOAD: Duration = Duration::from_secs(10);
/// Target of the memory under load, in kB.
const AIM: Aim = Aim::AtMost(60.0 * 1024.0);

/// The memory of berth at consecutive moments.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LoadedMemory {
    before: Resident,
    asked: Resident,
    rested: Resident,
    waiting: Resident,
    left: Resident,
}

impl LoadedMemory {
    /// Runs the load and the waiting requests.
    pub(crate) fn read(setup: &Setup) -> Result<Self> {
        let berth = Nodeless::start(setup, "bench-busy")?;
        let pid = berth.process()?;
        let before = Resident::settled(pid)?;
        println!("  asking over {ASKING} connections");
        let load = berth.load(ASKING);
        let asked = thread::scope(|scope| {
            let asking = scope.spawn(|| load.run(LOAD));
            thread::sleep(LOAD.mul_f64(0.9));
            let asked = Resident::of(pid);
            asking.join().map_err(|_| anyhow!("the load panicked"))??;
            asked
        })?;
        let rested = Resident::settled(pid)?;
        println!("  waiting over {WAITING} connections");
        let connections = berth.wait()?;
        let waiting = Resident::settled(pid)?;
        connections.close()?;
        let left = Resident::settled(pid)?;
        Ok(Self { before, asked, rested, waiting, left })
    }

    /// Returns each moment with its name.
    pub(crate) fn moments(&self) -> [(String, Resident); 5] {
        let wait = number(float(WAITING as u64), 0);
        [
            ("without a node".to_owned(), self.before),
            (format!("{ASKING} connections sending"), self.asked),
            ("after they have closed".to_owned(), self.rested),
            (format!("{wait} connections waiting"), self.waiting),
            ("after they have closed".to_owned(), self.left),
        ]
    }

    /// Returns the conclusions.
    pub(crate) fn findings(&self) -> [String; 2] {
        let most = float(self.asked.peak);
        let sentence = format!(
            "Under load over {ASKING} connections `berth` uses at most {} kB",
            number(most, 0)
        );
        let held = |moment: &Resident| float(moment.all);
        let each = (held(&self.waiting) - held(&self.rested)) / float(WAITING as u64);
        [
            AIM.judge(most, &sentence, 0),
            format!(
                "A waiting connection costs {} kB; after they have closed, {} kB stay \
                 resident.",
                number(each, 1),
                number(held(&self.left), 0)
            ),
        ]
    }
}
