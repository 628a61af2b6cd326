//! What both programs tell operators: metrics in the text format of Prometheus, answers to health
//! probes, and log lines with the priorities of the journal of systemd.

mod disk;
mod exporter;
mod journal;
mod probe;

pub use self::{
    exporter::MetricsExporter,
    journal::{JournalFormat, stderr_is_journal, with_error_priority},
    probe::{ask, loopback_address},
};
