//! Work on several threads at the same time.

use std::thread;

use anyhow::{Result, bail};

/// Runs `work` on this number of threads with the index of each thread, and returns all results.
/// Returns the first error after all threads have ended.
pub fn run_on_threads<T: Send>(
    threads: usize,
    work: impl Fn(usize) -> Result<Vec<T>> + Sync,
) -> Result<Vec<T>> {
    let work = &work;
    thread::scope(|scope| {
        let working: Vec<_> = (0..threads).map(|which| scope.spawn(move || work(which))).collect();
        let mut all = Vec::new();
        for one in working {
            match one.join() {
                Ok(done) => all.extend(done?),
                Err(_) => bail!("one of {threads} threads panicked"),
            }
        }
        Ok(all)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_of_all_threads_are_returned_and_one_failure_fails_all() {
        let mut all = run_on_threads(3, |which| Ok(vec![which; which])).unwrap();
        all.sort_unstable();
        assert_eq!(all, [1, 2, 2]);
        let failed = run_on_threads(3, |which| if which == 1 { bail!("no") } else { Ok(vec![()]) });
        assert_eq!(failed.unwrap_err().to_string(), "no");
        assert!(
            run_on_threads::<()>(2, |which| if which == 0 { panic!("no") } else { Ok(vec![]) })
                .is_err()
        );
    }
}
