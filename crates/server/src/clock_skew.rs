//! Compares the clock of this router with the clock of the database. All routers read deadlines
//! from rows: a router with a fast clock marks live nodes as lost and ends pairing attempts too
//! early.

use std::{sync::Arc, time::Duration};

use domain::{
    Timestamp,
    ports::{Environment, PortResult},
};
use store_diesel::{Database, DatabaseKind};
use tokio::time::{Instant, MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use crate::environment::SystemEnvironment;

/// The time between two comparisons.
const COMPARE_INTERVAL: Duration = Duration::from_secs(30);
/// A skew of this size or more is logged. For comparison: a node is marked as lost 40 s after its
/// last heartbeat and sends a heartbeat every few seconds.
const SKEW_LIMIT_MILLIS: i64 = 2_000;
/// Below this skew the clocks agree again. Lower than the limit, so that a skew near the limit is
/// not logged repeatedly.
const AGREE_LIMIT_MILLIS: i64 = 1_000;
/// Positive when the clock of the router is ahead.
const GAUGE: &str = "berth_clock_skew_seconds";

/// Logs once when the clocks differ, and once when they agree again.
#[derive(Default)]
pub(crate) struct ClockSkew {
    apart: bool,
}

/// A change of the state of the clocks.
#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    Apart,
    AgreeAgain,
}

/// Compares the clocks until `stop` is cancelled. Returns at once for SQLite, which has no clock of
/// its own.
pub(crate) async fn run(
    database: Database,
    environment: Arc<SystemEnvironment>,
    stop: CancellationToken,
) {
    if database.kind() == DatabaseKind::Sqlite {
        return;
    }
    metrics::describe_gauge!(GAUGE, "clock of this router minus clock of the database, in seconds");
    let (mut skew, mut due) = (ClockSkew::default(), interval(COMPARE_INTERVAL));
    due.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while stop.run_until_cancelled(due.tick()).await.is_some() {
        skew.compare(&*environment, database.clock()).await;
    }
}

impl ClockSkew {
    /// Compares the clocks once, and logs and returns a change.
    async fn compare(
        &mut self,
        ours: &dyn Environment,
        theirs: impl Future<Output = PortResult<Option<Timestamp>>>,
    ) -> Option<Verdict> {
        let (began, asked) = (ours.now(), Instant::now());
        // Other parts log an unreachable database.
        let theirs = theirs.await.ok()??;
        let half = asked.elapsed() / 2;
        let millis = began.plus(half).millis().saturating_sub(theirs.millis());
        #[expect(clippy::cast_precision_loss, reason = "a gauge")]
        let seconds = millis as f64 / 1000.0;
        metrics::gauge!(GAUGE).set(seconds);
        let verdict = self.judge(millis, i64::try_from(half.as_millis()).unwrap_or(i64::MAX))?;
        match verdict {
            Verdict::Apart => tracing::warn!(
                skew_seconds = seconds,
                "the clocks of this router and of the database differ: deadlines come early or \
                 late; synchronize the clocks of both machines"
            ),
            Verdict::AgreeAgain => tracing::info!(
                skew_seconds = seconds,
                "the clocks of this router and of the database agree again"
            ),
        }
        Some(verdict)
    }

    /// Returns the change for a skew of `millis`. `uncertain` is half of the time that the answer
    /// took.
    fn judge(&mut self, millis: i64, uncertain: i64) -> Option<Verdict> {
        let apart = millis.saturating_abs();
        if !self.apart && apart.saturating_sub(uncertain) >= SKEW_LIMIT_MILLIS {
            self.apart = true;
            return Some(Verdict::Apart);
        }
        if self.apart && apart.saturating_add(uncertain) < AGREE_LIMIT_MILLIS {
            self.apart = false;
            return Some(Verdict::AgreeAgain);
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use domain::testing::TestEnvironment;
    use metrics_exporter_prometheus::PrometheusBuilder;

    use super::*;

    #[test]
    fn skew_is_logged_once_and_always_shown_in_the_metric() {
        let recorder = PrometheusBuilder::new().build_recorder();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let (ours, mut skew) = (TestEnvironment::new(), ClockSkew::default());
        let database = ours.now();
        let mut compare = |theirs: Timestamp| {
            let answer = async { Ok(Some(theirs)) };
            metrics::with_local_recorder(&recorder, || {
                runtime.block_on(skew.compare(&*ours, answer))
            })
        };
        assert_eq!(compare(database), None);
        ours.advance(Duration::from_secs(5));
        assert_eq!(compare(database), Some(Verdict::Apart));
        assert_eq!(compare(database), None, "logged once");
        let shown = recorder.handle().render();
        assert!(shown.contains("berth_clock_skew_seconds 5"), "{shown}");
        assert_eq!(compare(database.plus(Duration::from_millis(3_500))), None, "not yet over");
        assert_eq!(compare(database.plus(Duration::from_secs(5))), Some(Verdict::AgreeAgain));
        assert_eq!(compare(database.plus(Duration::from_secs(9))), Some(Verdict::Apart), "behind");
        let shown = recorder.handle().render();
        assert!(shown.contains("berth_clock_skew_seconds -4"), "{shown}");
    }

    #[test]
    fn slow_answer_is_not_a_skew() {
        let mut skew = ClockSkew::default();
        assert_eq!(skew.judge(3_000, 2_000), None);
        assert_eq!(skew.judge(-4_000, 2_000), Some(Verdict::Apart));
        assert_eq!(skew.judge(0, 2_000), None);
        assert_eq!(skew.judge(0, 10), Some(Verdict::AgreeAgain));
    }
}
