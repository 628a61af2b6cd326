//! Nobody can tell by the time of a refusal what is behind it: another's session from none, a key that was
//! good from one that never was.
//!
//! Decision: ADR 0013.

use anyhow::{Context as _, Result};
use testbed::postgres::Cluster;

use crate::{
    Stand,
    chapter::{Chapter, Table},
    duel::Duel,
    refusals::{KEYS, NAMES, Place, Promise},
    spread::{float, number},
    welch::{LIMIT, Verdict},
};

/// Takes the figures.
pub(crate) fn measure(stand: &Stand) -> Result<Chapter> {
    let cluster = Cluster::start()?;
    let sqlite = Place::start(stand, "bench-sqlite", None)?;
    let postgres = Place::start(stand, "bench-postgres", Some(cluster.create_database("bench")?))?;
    let mut table = Table::new([
        "compared, by the time of the answer",
        "pairs",
        "left of either",
        "means, µs",
        "difference, ns",
        "seen from, ns",
        "t",
    ]);
    let (mut findings, mut broken) = (Vec::new(), Vec::new());
    // Keys of the one deployment are well made and unknown at the other.
    for (name, place, other) in [("SQLite", &sqlite, &postgres), ("PostgreSQL", &postgres, &sqlite)]
    {
        println!("  on {name}");
        for (duel, promise) in place.duels(other, stand.size.pairs)? {
            let verdict = duel.fight(place.address).with_context(|| place.stack.tail())?;
            table.row(row(name, &duel, &verdict));
            println!("    t = {:.2}", verdict.t());
            broken.extend(judged(name, &duel, &verdict, promise));
        }
    }
    findings.push(format!(
        "A difference is |t| ≥ {LIMIT}; by chance alone it would be one in about 150,000 comparisons. {}",
        if broken.is_empty() {
            "There is none where there must be none, and one where there must be one."
        } else {
            "What is not as it must be is marked."
        }
    ));
    Ok(Chapter { title: "Isolation by time", method: method(), table, findings, broken })
}

fn row(database: &str, duel: &Duel, verdict: &Verdict) -> Vec<String> {
    let [left, right] = verdict.counts.map(|count| number(float(count as u64), 0));
    let [one, other] = verdict.means.map(|nanos| number(nanos / 1e3, 1));
    vec![
        format!("{database}: {}", duel.name),
        number(float(duel.pairs as u64), 0),
        format!("{left} and {right}"),
        format!("{one} and {other}"),
        number(verdict.difference(), 0),
        number(verdict.seen_from(), 0),
        number(verdict.t(), 2),
    ]
}

/// What is wrong with it.
fn judged(database: &str, duel: &Duel, verdict: &Verdict, promise: Promise) -> Option<String> {
    let (t, name) = (verdict.t(), &duel.name);
    match promise {
        Promise::Same if t.abs() >= LIMIT => {
            Some(format!("{database}, {name}: they can be told apart (t = {t:.1})"))
        }
        Promise::Differs if t.abs() < LIMIT => {
            Some(format!("{database}, {name}: nothing would be seen (t = {t:.1})"))
        }
        Promise::Same | Promise::Differs | Promise::None => None,
    }
}

fn method() -> String {
    format!(
        "Two kinds of request over HTTP/1.1 on one connection that stays open, in pairs whose order is \
         thrown, after a warm-up; which session or key of its kind is asked for is thrown each time, out of \
         {NAMES} sessions and {KEYS} keys of each kind, made in turns. A session that never was has the \
         name of one that is, but for the letters that are not its time; an unknown key is another \
         deployment's, so that it is well made. A time runs from before the request is sent until its \
         answer is whole. Both samples are cut where 5 % of the two together lie below and above; *means* \
         are of what is left, *t* is Welch's, and *seen from* is the difference that would have been one. \
         *Own session and none* shows that one is seen, *no session and none* that none is made up; a \
         mistyped key is refused by its checksum and may differ."
    )
}
