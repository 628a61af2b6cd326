//! Checks of rolling upgrades: the programs of the previous release beside those of this checkout.

mod fleet;
mod previous;

use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use testbed::{
    checks::Checks,
    postgres::Cluster,
    programs::Programs,
    stack::Stack,
    workspace::{self, Workspace},
};

use self::fleet::{Fleet, Member};
use crate::life::Life;

/// Lets receivers of the test get webhooks.
const WEBHOOKS: (&str, &str) = ("BERTH_WEBHOOK_ALLOW", "127.0.0.0/8");
const CAPABILITIES: [&str; 3] = ["manage", "read", "send"];

/// Checks upgrades from the previous release.
pub(crate) fn check(workspace: &Workspace, programs: &Programs, checks: &mut Checks) {
    println!("\nupgrade");
    if !has_history(workspace) {
        println!("the checkout has no history: upgrades from the previous release are not tested");
        return;
    }
    let mut previous = None;
    checks.check("upgrade: the programs of the previous release are built", || {
        previous = Some(previous::programs(workspace)?);
        Ok(())
    });
    let Some(previous) = previous else { return };
    checks.check("upgrade: routers, then nodes, one by one on PostgreSQL, during a life", || {
        one_by_one(workspace, &previous, programs)
    });
    checks.check(
        "upgrade: a node that is newer than its router works until the router follows",
        || node_first(workspace, &previous, programs),
    );
    checks.check("upgrade: berth with its own node on SQLite", || {
        on_sqlite(workspace, &previous, programs)
    });
}

/// Returns whether the checkout has commits before the present one.
fn has_history(workspace: &Workspace) -> bool {
    let mut git = Command::new("git");
    git.args(["rev-list", "--count", "--max-count=2", "HEAD"]).current_dir(&workspace.root);
    let mut shallow = Command::new("git");
    shallow.args(["rev-parse", "--is-shallow-repository"]).current_dir(&workspace.root);
    let answers = |command: &mut Command, expected: &str| {
        workspace::answer(command).is_ok_and(|answer| answer.trim() == expected)
    };
    answers(&mut git, "2") && answers(&mut shallow, "false")
}

/// Replaces two routers one by one, and then the node. In every step, both routers serve the session.
fn one_by_one(workspace: &Workspace, old: &Programs, new: &Programs) -> Result<()> {
    let cluster = Cluster::start()?;
    let mut fleet = Fleet::start(workspace, new, "upgrade", &cluster.create_database("upgrade")?)?;
    for router in [Member::FirstRouter, Member::SecondRouter] {
        fleet.run(router, old)?;
    }
    fleet.run(Member::Node, old)?;
    fleet.until_node_is_registered()?;
    let apis = fleet.apis()?;
    let mut life = Life::begin(&apis[0], &fleet.phones)?;
    let devices = life.devices()?;
    let mut texts = 0;
    for (step, member) in
        [Member::SecondRouter, Member::FirstRouter, Member::Node].into_iter().enumerate()
    {
        fleet.run(member, new)?;
        if member == Member::Node {
            life.session.until("the session is back", |session| session["status"] == "working")?;
        }
        fleet.until_node_is_registered()?;
        for api in &apis {
            life.session.api = api.clone();
            texts += 1;
            life.talk(&format!("step {step}, text {texts}"))
                .with_context(|| format!("after {member:?} was replaced"))?;
        }
    }
    let after = life.devices()?;
    ensure!(after == devices, "the phone has the devices {after:?} instead of {devices:?}");
    life.end()?;
    fleet.stop()
}

fn node_first(workspace: &Workspace, old: &Programs, new: &Programs) -> Result<()> {
    let cluster = Cluster::start()?;
    let url = cluster.create_database("upgrade")?;
    let mut fleet = Fleet::start(workspace, new, "upgrade-node-first", &url)?;
    fleet.run(Member::FirstRouter, old)?;
    fleet.run(Member::Node, new)?;
    fleet.until_node_is_registered()?;
    let life = Life::begin(&fleet.apis()?[0], &fleet.phones)?;
    fleet.run(Member::FirstRouter, new)?;
    fleet.until_node_is_registered()?;
    life.talk("after the router was replaced")?;
    life.end()?;
    fleet.stop()
}

fn on_sqlite(workspace: &Workspace, old: &Programs, new: &Programs) -> Result<()> {
    let logs = workspace.scratch("logs")?;
    let settings = [(WEBHOOKS.0, WEBHOOKS.1.to_owned())];
    let mut stack = Stack::start(old, "upgrade-sqlite", &logs, None, &settings)?;
    let api = stack.api.with_credential(Some(stack.key("acme", &CAPABILITIES)?));
    let life = Life::begin(&api, &stack.phones)?;
    let devices = life.devices()?;
    stack.stop_berth()?;
    stack.replace_programs(new);
    stack.start_berth()?;
    life.session.until_status("working")?;
    life.talk("after the upgrade")?;
    let after = life.devices()?;
    ensure!(after == devices, "the phone has the devices {after:?} instead of {devices:?}");
    life.end()?;
    stack.stop_berth()
}
