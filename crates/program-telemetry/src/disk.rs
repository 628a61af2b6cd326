//! Measures the file system of a folder.

use std::{
    io,
    path::{Path, PathBuf},
    thread,
    time::Duration,
};

use metrics::{describe_gauge, gauge};
use rustix::fs::statvfs;

/// Time between two measurements.
const INTERVAL: Duration = Duration::from_secs(15);

/// Measures the file system of a folder for the life of the process. The measurements have a thread of
/// their own, because `statvfs` never returns while a network file system does not answer.
pub(crate) fn watch(folder: PathBuf) -> io::Result<()> {
    describe_gauge!(
        "berth_disk_free_bytes",
        "bytes that the program can still write to the file system of its data"
    );
    describe_gauge!("berth_disk_size_bytes", "size of this file system in bytes");
    let work = move || {
        loop {
            measure(&folder);
            thread::sleep(INTERVAL);
        }
    };
    thread::Builder::new().name("disk-space".to_owned()).spawn(work).map(drop)
}

fn measure(folder: &Path) {
    match statvfs(folder) {
        Ok(space) => {
            gauge!("berth_disk_free_bytes").set(bytes(space.f_bavail, space.f_frsize));
            gauge!("berth_disk_size_bytes").set(bytes(space.f_blocks, space.f_frsize));
        }
        Err(error) => tracing::debug!(%error, "the free space of the data folder is unknown"),
    }
}

#[expect(clippy::cast_precision_loss, reason = "a gauge")]
fn bytes(blocks: u64, size: u64) -> f64 {
    blocks.saturating_mul(size) as f64
}
