//! Clients with a moderate load, and the record of their answers.

use std::{
    collections::BTreeMap,
    fmt,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, anyhow, ensure};
use serde_json::json;
use testbed::{
    client::Api,
    sessions::{Owned, SESSIONS, path, path_of},
};

/// Interval between the requests of a client.
const PACE: Duration = Duration::from_millis(50);
/// Number of simultaneous clients.
const CLIENTS: usize = 2;
/// Interval between pairing attempts, whose rate is limited.
const BETWEEN_CODES: Duration = Duration::from_millis(500);
/// Upper bound of the time to an answer.
const PATIENCE: Duration = Duration::from_secs(20);
/// Upper bound of the time to a QR code.
const QR: Duration = Duration::from_secs(5);

/// The answers to the clients.
#[derive(Clone, Default)]
pub(crate) struct ClientReport {
    /// Status and duration of each answer; status 0 stands for no answer.
    answers: Vec<(u16, Duration)>,
    /// Duration to each QR code, or the reason for its absence.
    codes: Vec<Result<Duration, String>>,
}

/// Sends requests for this duration; with `codes`, also for QR codes of new sessions.
pub(crate) fn ask(api: &Api, duration: Duration, codes: bool) -> Result<ClientReport> {
    let api = api.with_timeout(PATIENCE);
    let session = Owned::create(&api, "ordinary")?;
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        let asking: Vec<_> = (0..CLIENTS)
            .map(|which| {
                scope.spawn({
                    let (api, session, over) = (&api, &session, &over);
                    move || ask_around(api, session, which, over)
                })
            })
            .collect();
        let scanning = codes.then(|| scope.spawn(|| ask_for_codes(&api, &over)));
        thread::sleep(duration); // duration of the load
        over.store(true, Ordering::Relaxed);
        let mut report = ClientReport::default();
        for one in asking {
            report.answers.extend(one.join().map_err(|_| anyhow!("a client panicked"))?);
        }
        if let Some(one) = scanning {
            report.codes = one.join().map_err(|_| anyhow!("a client panicked"))?;
        }
        Ok(report)
    })
}

/// Reads, lists, updates, creates and deletes in turn.
fn ask_around(api: &Api, session: &Owned, which: usize, over: &AtomicBool) -> Vec<(u16, Duration)> {
    let one = path(&session.id);
    let label = json!({ "label": "ordinary" }).to_string();
    let (mut answers, mut made) = (Vec::new(), Vec::new());
    for turn in which.. {
        if over.load(Ordering::Relaxed) {
            break;
        }
        let began = Instant::now();
        let reply = match turn % 6 {
            0 | 2 => api.get(&one),
            1 => api.get(&format!("{SESSIONS}?limit=20")),
            3 => api.send("PATCH", &one, &[], Some(label.as_bytes())),
            4 => api.send("POST", SESSIONS, &[], Some(label.as_bytes())),
            _ => made.pop().map_or_else(|| api.get(&one), |id: String| api.delete(&path(&id))),
        };
        let took = began.elapsed();
        if let Ok(reply) = &reply
            && reply.status == 201
            && let Some(id) = reply.json()["id"].as_str()
        {
            made.push(id.to_owned());
        }
        answers.push((reply.map_or(0, |reply| reply.status), took));
        thread::sleep(PACE.saturating_sub(took));
    }
    answers
}

fn ask_for_codes(api: &Api, over: &AtomicBool) -> Vec<Result<Duration, String>> {
    let mut codes = Vec::new();
    while codes.is_empty() || !over.load(Ordering::Relaxed) {
        codes.push(code_of_new_session(api).map_err(|error| format!("{error:#}")));
        thread::sleep(BETWEEN_CODES);
    }
    codes
}

/// Returns the time to the QR code of a new session; polls as a page does.
fn code_of_new_session(api: &Api) -> Result<Duration> {
    let session = Owned::create(api, "ordinary")?;
    let began = Instant::now();
    let mut last = api.get(&path_of(&session.id, "/qr?wait=5"))?;
    while last.status != 200 && began.elapsed() < QR {
        thread::sleep(PACE);
        last = api.get(&path_of(&session.id, "/qr?wait=5"))?;
    }
    let took = began.elapsed();
    let why = format!("{} after {} ms", last.status, took.as_millis());
    api.delete(&path(&session.id))?;
    ensure!(last.status == 200 && took <= QR, "no QR code in time: {why}");
    Ok(took)
}

impl ClientReport {
    /// Returns the share of answers that are neither missing nor 429 nor 5xx.
    fn good(&self) -> f64 {
        let bad = |status: u16| status == 0 || status == 429 || status >= 500;
        let good = self.answers.iter().filter(|(status, _)| !bad(*status)).count();
        let all = u32::try_from(self.answers.len()).unwrap_or(u32::MAX).max(1);
        f64::from(u32::try_from(good).unwrap_or(u32::MAX)) / f64::from(all)
    }

    /// Returns the 99th percentile of the durations.
    fn p99(&self) -> Duration {
        let mut took: Vec<_> = self.answers.iter().map(|(_, took)| *took).collect();
        took.sort_unstable();
        let rank = (took.len() * 99).div_ceil(100).max(1);
        took.get(rank - 1).copied().unwrap_or_default()
    }

    /// Checks that 99 % of the answers are good and every QR code came in time.
    pub(crate) fn must_be_served(&self) -> Result<()> {
        ensure!(self.good() >= 0.99, "{self}");
        match self.codes.iter().find_map(|code| code.as_ref().err()) {
            Some(why) => Err(anyhow!("{why}")).context(self.to_string()),
            None => Ok(()),
        }
    }

    /// Checks that the p99 is below the limit and 99 % of the answers are good.
    pub(crate) fn must_be_answered_within(&self, limit: Duration) -> Result<()> {
        ensure!(self.p99() < limit && self.good() >= 0.99, "{self}");
        Ok(())
    }
}

impl fmt::Display for ClientReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut statuses = BTreeMap::<u16, usize>::new();
        for (status, _) in &self.answers {
            *statuses.entry(*status).or_default() += 1;
        }
        let slowest = self.answers.iter().map(|(_, took)| *took).max().unwrap_or_default();
        let codes = self.codes.iter().filter_map(|code| code.as_ref().ok());
        let slowest_code = codes.clone().max().copied().unwrap_or_default();
        write!(
            f,
            "{} answers {statuses:?}, p99 {} ms, slowest {} ms; {} of {} QR codes, slowest {} ms",
            self.answers.len(),
            self.p99().as_millis(),
            slowest.as_millis(),
            codes.count(),
            self.codes.len(),
            slowest_code.as_millis(),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(statuses: &[u16]) -> ClientReport {
        let answers = statuses.iter().map(|status| (*status, Duration::from_millis(3))).collect();
        ClientReport { answers, codes: Vec::new() }
    }

    #[test]
    fn missing_429_and_5xx_answers_are_bad() {
        let mostly = |bad| report(&[&[200; 98][..], &[404, bad]].concat());
        assert!(mostly(412).must_be_served().is_ok());
        assert!(mostly(503).must_be_served().is_ok());
        for bad in [0, 429, 500, 503] {
            assert!(report(&[200, bad]).must_be_served().is_err(), "{bad}");
        }
    }

    #[test]
    fn one_missing_qr_code_fails() {
        let codes = vec![Ok(Duration::from_secs(1)), Err("no".to_owned())];
        assert!(ClientReport { codes, ..report(&[200]) }.must_be_served().is_err());
    }

    #[test]
    fn one_percent_of_slow_answers_is_allowed() {
        let mut answers = report(&[200; 200]).answers;
        answers[..2].fill((200, Duration::from_secs(9)));
        let report = |answers: &[_]| ClientReport { answers: answers.to_vec(), codes: Vec::new() };
        assert!(report(&answers).must_be_answered_within(Duration::from_secs(1)).is_ok());
        answers[2] = (200, Duration::from_secs(9));
        assert!(report(&answers).must_be_answered_within(Duration::from_secs(1)).is_err());
    }
}
