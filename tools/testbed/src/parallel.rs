//! One thing done by several threads at the same time.

use std::thread;

use anyhow::{Result, bail};

/// Has so many threads work, each told which it is, and answers what all of them came up with. The first
/// failure is everybody's, once all have ended.
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
    fn what_all_came_up_with_is_there_and_one_failure_is_everybodys() {
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
