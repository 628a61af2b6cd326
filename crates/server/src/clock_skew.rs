//! Compares this router's clock with the database's. Deadlines are moments in rows that all routers
//! read: one whose clock is fast gives up nodes that live, and ends attempts at linking before their time.

use std::{sync::Arc, time::Duration};

use domain::{
    Timestamp,
    ports::{Environment, PortResult},
};
use store_diesel::{Database, DatabaseKind};
use tokio::time::{Instant, MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use crate::environment::Machine;

/// How often the clocks are compared.
const EVERY: Duration = Duration::from_secs(30);
/// From here on the clocks are said to be apart. A node that is heard of is given up after 40 s without
/// a heartbeat, and sends one every few seconds.
const APART: i64 = 2_000;
/// The clocks agree again below this, so that a skew at the limit is not told again and again.
const AGREE: i64 = 1_000;
/// Positive when the router's clock is ahead.
const GAUGE: &str = "berth_clock_skew_seconds";

/// Tells when the clocks are apart: once, until they agree again.
#[derive(Default)]
pub(crate) struct ClockSkew {
    apart: bool,
}

/// What is new about the clocks.
#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    Apart,
    AgreeAgain,
}

/// Compares the clocks until told to stop; at once when the database has no clock of its own.
pub(crate) async fn run(database: Database, machine: Arc<Machine>, stop: CancellationToken) {
    if database.kind() == DatabaseKind::Sqlite {
        return;
    }
    metrics::describe_gauge!(GAUGE, "this router's clock less the database's, in seconds");
    let (mut skew, mut due) = (ClockSkew::default(), interval(EVERY));
    due.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while stop.run_until_cancelled(due.tick()).await.is_some() {
        skew.compare(&*machine, database.clock()).await;
    }
}

impl ClockSkew {
    /// Compares the clocks once, and says what is new.
    async fn compare(
        &mut self,
        ours: &dyn Environment,
        theirs: impl Future<Output = PortResult<Option<Timestamp>>>,
    ) -> Option<Verdict> {
        let (began, asked) = (ours.now(), Instant::now());
        // A database that is away is told of by everything else.
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
                "the clocks of this router and of the database are apart: deadlines come early or \
                 late; synchronize the clocks of both machines"
            ),
            Verdict::AgreeAgain => tracing::info!(
                skew_seconds = seconds,
                "the clocks of this router and of the database agree again"
            ),
        }
        Some(verdict)
    }

    /// What is new when the clocks are so far apart, give or take half of the time the answer took.
    fn judge(&mut self, millis: i64, uncertain: i64) -> Option<Verdict> {
        let apart = millis.saturating_abs();
        if !self.apart && apart.saturating_sub(uncertain) >= APART {
            self.apart = true;
            return Some(Verdict::Apart);
        }
        if self.apart && apart.saturating_add(uncertain) < AGREE {
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
    fn skew_is_told_once_an_episode_and_shown_all_the_time() {
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
        assert_eq!(compare(database), None, "told once");
        let shown = recorder.handle().render();
        assert!(shown.contains("berth_clock_skew_seconds 5"), "{shown}");
        assert_eq!(compare(database.plus(Duration::from_millis(3_500))), None, "not yet over");
        assert_eq!(compare(database.plus(Duration::from_secs(5))), Some(Verdict::AgreeAgain));
        assert_eq!(compare(database.plus(Duration::from_secs(9))), Some(Verdict::Apart), "behind");
        let shown = recorder.handle().render();
        assert!(shown.contains("berth_clock_skew_seconds -4"), "{shown}");
    }

    #[test]
    fn slow_answer_is_no_skew() {
        let mut skew = ClockSkew::default();
        assert_eq!(skew.judge(3_000, 2_000), None);
        assert_eq!(skew.judge(-4_000, 2_000), Some(Verdict::Apart));
        assert_eq!(skew.judge(0, 2_000), None);
        assert_eq!(skew.judge(0, 10), Some(Verdict::AgreeAgain));
    }
}
