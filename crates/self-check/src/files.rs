//! The limit of open files.

use rustix::process::{Resource, getrlimit};

use crate::report::Report;

/// Checks that the hard limit of open files is at least `needed`. Both programs raise their soft
/// limit to the hard one at start.
pub fn open_files(report: &mut Report, needed: u64, purpose: &str) {
    compare(report, getrlimit(Resource::Nofile).maximum, needed, purpose);
}

fn compare(report: &mut Report, limit: Option<u64>, needed: u64, purpose: &str) {
    match limit {
        Some(limit) if limit < needed => report.warn(
            "open_files",
            format!("the limit is {limit}, and {purpose} need {needed}; raise it (ulimit -Hn, LimitNOFILE)"),
        ),
        Some(limit) => report.ok("open_files", format!("the limit is {limit}; {purpose} need {needed}")),
        None => report.ok("open_files", "there is no limit"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::Level;

    #[test]
    fn low_limit_is_a_warning() {
        let level = |limit| {
            let mut report = Report::default();
            compare(&mut report, limit, 25_000, "connections");
            report.level()
        };
        assert_eq!(level(Some(1_024)), Level::Warning);
        assert_eq!(level(Some(25_000)), Level::Ok);
        assert_eq!(level(None), Level::Ok);
    }
}
