//! Response times do not distinguish refusals: another organization's session, webhook or event and
//! a missing one, a revoked key and one that never existed.
//!
//! Decision: ADR 0013.

use anyhow::{Context as _, Result};
use testbed::postgres::Cluster;

use crate::{
    Setup,
    chapter::{Chapter, Table},
    paired_requests::PairedRequests,
    refusals::{Deployment, EVENTS, Expectation, KEYS, NAMES, WEBHOOKS},
    spread::{float, number},
    welch::{LIMIT, Verdict},
};

/// Runs the measurement.
pub(crate) fn measure(setup: &Setup) -> Result<Chapter> {
    let cluster = Cluster::start()?;
    let sqlite = Deployment::start(setup, "bench-sqlite", None)?;
    let postgres =
        Deployment::start(setup, "bench-postgres", Some(cluster.create_database("bench")?))?;
    let mut table = Table::new([
        "comparison of response times",
        "pairs",
        "trimmed samples",
        "means, µs",
        "difference, ns",
        "detectable, ns",
        "t",
    ]);
    let (mut findings, mut broken) = (Vec::new(), Vec::new());
    // Keys of one deployment are well-formed and unknown in the other.
    for (name, deployment, other) in
        [("SQLite", &sqlite, &postgres), ("PostgreSQL", &postgres, &sqlite)]
    {
        println!("  on {name}");
        for (paired_requests, promise) in deployment.comparisons(other, setup.size.pairs)? {
            let verdict = paired_requests
                .compare(deployment.address)
                .with_context(|| deployment.stack.tail())?;
            table.row(row(name, &paired_requests, &verdict));
            println!("    t = {:.2}", verdict.t());
            broken.extend(judged(name, &paired_requests, &verdict, promise));
        }
    }
    findings.push(format!(
        "A difference is |t| ≥ {LIMIT}; by chance alone it would be one in about 150,000 comparisons. {}",
        if broken.is_empty() {
            "Every comparison has its expected result."
        } else {
            "Comparisons with an unexpected result are marked."
        }
    ));
    Ok(Chapter { title: "Isolation by response time", method: method(), table, findings, broken })
}

fn row(database: &str, paired_requests: &PairedRequests, verdict: &Verdict) -> Vec<String> {
    let [left, right] = verdict.counts.map(|count| number(float(count as u64), 0));
    let [one, other] = verdict.means.map(|nanos| number(nanos / 1e3, 1));
    vec![
        format!("{database}: {}", paired_requests.name),
        number(float(paired_requests.pairs as u64), 0),
        format!("{left} and {right}"),
        format!("{one} and {other}"),
        number(verdict.difference(), 0),
        number(verdict.detectable(), 0),
        number(verdict.t(), 2),
    ]
}

/// Returns the broken guarantee, if any.
fn judged(
    database: &str,
    paired_requests: &PairedRequests,
    verdict: &Verdict,
    promise: Expectation,
) -> Option<String> {
    let (t, name) = (verdict.t(), &paired_requests.name);
    match promise {
        Expectation::Same if t.abs() >= LIMIT => {
            Some(format!("{database}, {name}: they can be told apart (t = {t:.1})"))
        }
        Expectation::Differs if t.abs() < LIMIT => {
            Some(format!("{database}, {name}: nothing would be seen (t = {t:.1})"))
        }
        Expectation::Same | Expectation::Differs | Expectation::None => None,
    }
}

fn method() -> String {
    format!(
        "Two kinds of request over HTTP/1.1 on one open connection, in pairs with random order, \
         after a warm-up. Each request is for a random session, webhook, event or key of its kind, \
         out of {NAMES} sessions, {WEBHOOKS} webhooks, {EVENTS} events and {KEYS} keys of each \
         kind; sessions and keys are created in turns. An unused id differs from an existing one only in characters that are not its time; an unknown key belongs to \
         another deployment, so that its checksum is correct. A time runs from before the request \
         is sent to the complete answer. Both samples are trimmed by 5 % of the joint sample at \
         each end. *means* are those of the trimmed samples, *t* is Welch's t, and *detectable* is \
         the smallest difference that counts as one. *Own session and none* shows that a \
         difference is measurable, *no session and none* that equal requests have no difference. A \
         mistyped key is refused by its checksum and may differ."
    )
}
