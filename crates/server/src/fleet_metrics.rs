//! Reads figures of the whole fleet from the database, for the operator's metrics.

use std::{sync::Arc, time::Duration};

use auth::JwtVerifier;
use domain::{Desired, Status, Timestamp, ports::Environment};
use metrics::{describe_gauge, gauge};
use store_diesel::{Database, OperatorFigures};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// Time between two reads of a small database.
const INTERVAL: Duration = Duration::from_secs(15);
/// A read of a large database takes at most a hundredth of the time.
const SHARE: u32 = 100;

/// Reads the figures until `stop` is cancelled.
pub(crate) async fn run(
    database: Database,
    login: Option<Arc<JwtVerifier>>,
    environment: Arc<dyn Environment>,
    stop: CancellationToken,
) {
    describe();
    let reads = async {
        // The second read is on its own, because it is the slower one in a large database.
        tokio::join!(read_figures(&database, login, environment), read_desired(&database))
    };
    stop.run_until_cancelled(reads).await;
}

async fn read_figures(
    database: &Database,
    login: Option<Arc<JwtVerifier>>,
    environment: Arc<dyn Environment>,
) {
    loop {
        let began = Instant::now();
        match database.operator_figures().await {
            Ok(figures) => record(&figures, environment.now()),
            Err(error) => log_failure(&error),
        }
        if let Some(age) = login.as_ref().and_then(|login| login.key_set_age()) {
            gauge!("berth_jwks_age_seconds").set(age.as_secs_f64());
        }
        pause_since(began).await;
    }
}

async fn read_desired(database: &Database) {
    loop {
        let began = Instant::now();
        match database.sessions_by_desired().await {
            Ok(counts) => record_desired(&counts),
            Err(error) => log_failure(&error),
        }
        pause_since(began).await;
    }
}

/// Waits until the next read after one that began then and has just ended.
async fn pause_since(began: Instant) {
    tokio::time::sleep(INTERVAL.max(began.elapsed() * SHARE)).await;
}

fn log_failure(error: &(dyn std::error::Error + 'static)) {
    tracing::debug!(error, "the figures of the fleet cannot be read now");
}

fn describe() {
    describe_gauge!("berth_sessions", "sessions of all organizations by status");
    describe_gauge!(
        "berth_sessions_wanted",
        "sessions of all organizations by the connection state that their owners ask for"
    );
    describe_gauge!(
        "berth_due_age_seconds",
        "for how long the session that is due longest has been due"
    );
    describe_gauge!("berth_retirements", "deleted sessions that are not unlinked and wiped yet");
    describe_gauge!("berth_retirement_oldest_seconds", "time since the oldest of these deletions");
    describe_gauge!(
        "berth_jwks_age_seconds",
        "time since the last successful fetch of the key set of login tokens"
    );
}

fn record(figures: &OperatorFigures, now: Timestamp) {
    // A status without sessions shows 0.
    for status in Status::ALL {
        let name = status.as_str();
        gauge!("berth_sessions", "status" => name).set(count_of(&figures.sessions, name));
    }
    let age = |at: Option<Timestamp>| at.map_or(Duration::ZERO, |at| at.until(now)).as_secs_f64();
    gauge!("berth_due_age_seconds").set(age(figures.earliest_due));
    gauge!("berth_retirements").set(number(figures.cleanups));
    gauge!("berth_retirement_oldest_seconds").set(age(figures.oldest_cleanup));
}

fn record_desired(counts: &[(String, i64)]) {
    for desired in Desired::ALL {
        let name = desired.as_str();
        gauge!("berth_sessions_wanted", "desired" => name).set(count_of(counts, name));
    }
}

fn count_of(counts: &[(String, i64)], name: &str) -> f64 {
    let count = counts.iter().find(|(stored, _)| stored == name);
    number(count.map_or(0, |(_, count)| *count))
}

fn number(count: i64) -> f64 {
    f64::from(u32::try_from(count).unwrap_or(u32::MAX))
}
