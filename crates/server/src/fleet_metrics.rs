//! Reads figures of the whole fleet from the database, for the operator's metrics.

use std::{sync::Arc, time::Duration};

use auth::JwtVerifier;
use domain::{Status, Timestamp, ports::Environment};
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
    loop {
        let began = Instant::now();
        match database.operator_figures().await {
            Ok(figures) => record(&figures, environment.now()),
            Err(error) => {
                let error = &error as &dyn std::error::Error;
                tracing::debug!(error, "the figures of the fleet cannot be read now");
            }
        }
        if let Some(age) = login.as_ref().and_then(|login| login.key_set_age()) {
            gauge!("berth_jwks_age_seconds").set(age.as_secs_f64());
        }
        let pause = INTERVAL.max(began.elapsed() * SHARE);
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = stop.cancelled() => return,
        }
    }
}

fn describe() {
    describe_gauge!("berth_sessions", "sessions of all organizations by status");
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
        let count = figures.sessions.iter().find(|(stored, _)| stored == name);
        gauge!("berth_sessions", "status" => name)
            .set(number(count.map_or(0, |(_, count)| *count)));
    }
    let age = |at: Option<Timestamp>| at.map_or(Duration::ZERO, |at| at.until(now)).as_secs_f64();
    gauge!("berth_due_age_seconds").set(age(figures.earliest_due));
    gauge!("berth_retirements").set(number(figures.cleanups));
    gauge!("berth_retirement_oldest_seconds").set(age(figures.oldest_cleanup));
}

fn number(count: i64) -> f64 {
    f64::from(u32::try_from(count).unwrap_or(u32::MAX))
}
