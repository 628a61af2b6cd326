//! Both directions between router and node over TLS with a private authority: a session links,
//! recovers from a cut, and is unlinked.

use anyhow::{Context as _, Result, anyhow};
use testbed::sessions::Owned;

use crate::{
    Plan,
    certificates::Certificates,
    deadlines::Deadlines,
    fleet::{Fleet, Wire},
    proxy::{Direction, Flow},
    watch::Watched,
};

/// The name of the case.
pub(super) const NAME: &str = "TLS between router and node";

/// Runs the case.
pub(super) fn run(plan: &Plan) -> Result<()> {
    let certificates = Certificates::make(&plan.logs.join("wires-tls"))?;
    let fleet = Fleet::start_with_tls(plan, "wires-tls", None, Some(&certificates))?;
    link_cut_and_unlink(plan, &fleet).map_err(|error| anyhow!("{error:#}\n{}", fleet.tail()))
}

fn link_cut_and_unlink(plan: &Plan, fleet: &Fleet) -> Result<()> {
    let watched = Watched::link(fleet.stack(), Owned::create(&fleet.client()?, "encrypted")?)?;
    for wire in [Wire::RouterToNode, Wire::NodeToRouter] {
        let wire = fleet.wire(wire)?;
        wire.set(&[Direction::There, Direction::Back], Flow::Cut);
        wire.mend();
        watched.must_recover(Deadlines::of(plan.extent).recovery).context("after a cut")?;
    }
    watched.session.delete()?;
    watched.session.must_be_gone(fleet.stack(), Some(watched.phone()))
}
