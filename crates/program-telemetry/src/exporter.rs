//! The metrics of the process: the recorder of the crate `metrics`, and their text for Prometheus.

use std::{path::PathBuf, time::Duration};

use anyhow::{Context as _, Result};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use metrics_process::Collector;
use tokio_util::task::AbortOnDropHandle;

use crate::disk;

/// Upper bounds of the buckets of every histogram of durations, in seconds: from half a millisecond to the
/// longest time that a request may take.
const DURATION_BUCKETS: [f64; 12] =
    [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1.0, 5.0, 35.0];
/// The recorder stores samples one by one until the metrics are read, or until this time has passed.
const UPKEEP_INTERVAL: Duration = Duration::from_secs(5);

/// The metrics of this process.
pub struct MetricsExporter {
    handle: PrometheusHandle,
    process: Collector,
    _upkeep: AbortOnDropHandle<()>,
}

impl MetricsExporter {
    /// Installs the recorder of the process: everything that is counted from now on is exported. `data` is
    /// the folder whose file system is measured. Needs a tokio runtime.
    ///
    /// # Errors
    /// Fails when the process has a recorder already.
    pub fn start(data: Option<PathBuf>) -> Result<Self> {
        let recorder = PrometheusBuilder::new()
            .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &DURATION_BUCKETS)
            .context("the buckets of the metrics")?
            .build_recorder();
        let handle = recorder.handle();
        metrics::set_global_recorder(recorder).context("the metrics cannot be counted")?;
        let process = Collector::default();
        process.describe();
        if let Some(data) = data {
            disk::watch(data).context("the thread that measures the disk cannot be started")?;
        }
        let upkeep = handle.clone();
        let upkeep = tokio::spawn(async move {
            let mut due = tokio::time::interval(UPKEEP_INTERVAL);
            loop {
                due.tick().await;
                upkeep.run_upkeep();
            }
        });
        Ok(Self { handle, process, _upkeep: AbortOnDropHandle::new(upkeep) })
    }

    /// Returns all metrics in the text format of Prometheus (version 0.0.4).
    pub fn text(&self) -> String {
        self.process.collect();
        self.handle.render()
    }
}
