//! What the API promises, as scenarios anybody could run with `curl` and a phone.

mod bad_bodies;
mod bad_input;
mod conventions;
mod credentials;
mod document;
mod isolation;
mod kicks;
mod kills;
mod life;
mod outages;
mod repeats;

use anyhow::Result;
use testbed::{
    client::{Api, Credential},
    issuer::Issuer,
    postgres::Cluster,
    stack::Stack,
    workspace::Workspace,
};

use crate::suite::Suite;

/// The two organizations of every scenario.
pub(crate) const A: &str = "org-a";
pub(crate) const B: &str = "org-b";

/// Two organizations on one deployment, each with a client that may do everything in its own.
#[derive(Clone, Debug)]
pub(crate) struct Pair {
    pub(crate) a: Api,
    pub(crate) b: Api,
}

/// What can be run against any deployment: no phone is linked, and everything made is deleted.
pub(crate) fn run_remote(
    suite: &mut Suite<'_>,
    workspace: &Workspace,
    pair: &Pair,
    token: Option<Credential>,
) {
    conventions::run(suite, &pair.a);
    bad_input::run(suite, &pair.a);
    isolation::run_remote(suite, pair);
    document::run_remote(suite, workspace, pair);
    if let Some(token) = token {
        suite.run("a login token and a key of one organization see the same", || {
            credentials::same_sessions(&pair.a, &pair.a.asked_by(Some(token)))
        });
    }
}

/// Everything, on a stack of our own.
pub(crate) fn run_local(
    suite: &mut Suite<'_>,
    workspace: &Workspace,
    stack: &mut Stack,
    cluster: Option<&mut Cluster>,
    issuer: &Issuer,
) -> Result<()> {
    let pair = Pair {
        a: stack.api.asked_by(Some(stack.key(A, &["manage"])?)),
        b: stack.api.asked_by(Some(stack.key(B, &["manage"])?)),
    };
    let unanswered = life::begin_unanswered(suite, &pair.a);
    conventions::run(suite, &pair.a);
    bad_input::run(suite, &pair.a);
    life::run(suite, stack, &pair);
    isolation::run_local(suite, stack, &pair);
    credentials::run(suite, stack, &pair, issuer);
    kicks::run(suite, stack, &pair.a);
    document::run_local(suite, workspace, stack, &pair);
    life::end_unanswered(suite, stack, unanswered);
    kills::run(suite, stack, &pair.a);
    repeats::run(suite, stack);
    outages::run(suite, stack, &pair.a, cluster, issuer);
    suite.run_on(stack, "asked to stop, berth ends its gateway, then itself", Stack::stop_berth);
    Ok(())
}
