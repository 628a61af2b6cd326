//! Many sessions, each linked to its own phone.

use std::{
    sync::atomic::{AtomicUsize, Ordering},
    thread,
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use testbed::{
    client::Api,
    parallel::run_on_threads,
    phones::Phone,
    sessions::{self, Owned, PATIENCE},
    stack::Stack,
    wait,
};

/// Interval between two checks of all sessions, which would disturb the measurement.
const POLL: Duration = Duration::from_millis(250);

/// The phones of linked sessions.
#[derive(Debug, Default)]
pub(crate) struct LinkedSessions {
    phones: Vec<Phone>,
}

impl LinkedSessions {
    /// Creates and links sessions, `side_by_side` at the same time, and waits until all of them
    /// work. Each may take as long as a single one, and all together `patience`.
    pub(crate) fn link(
        stack: &Stack,
        api: &Api,
        count: usize,
        side_by_side: usize,
        patience: Duration,
    ) -> Result<Self> {
        let next = AtomicUsize::new(0);
        let phones = run_on_threads(side_by_side, |_| {
            let mut scanned = Vec::new();
            while next.fetch_add(1, Ordering::Relaxed) < count {
                let phone = stack.phones.new_phone("Bench")?;
                scan(&Owned::create(api, "bench")?, &phone)?;
                scanned.push(phone);
            }
            Ok(scanned)
        })?;
        let linked_sessions = Self { phones };
        until_working(api, count, patience)?;
        linked_sessions.until_connected(patience)?;
        Ok(linked_sessions)
    }

    /// Waits until every phone shows its device as connected.
    pub(crate) fn until_connected(&self, patience: Duration) -> Result<()> {
        let mut away: Vec<_> = self.phones.iter().collect();
        wait::until_true("every session is connected", patience, || {
            // One after the other: repeated requests for all phones would slow down the
            // measurement.
            while away.pop_if(|phone| is_connected(phone)).is_some() {}
            Ok(away.is_empty())
        })
    }

    /// Returns the phones of the sessions.
    pub(crate) fn phones(&self) -> &[Phone] {
        &self.phones
    }

    /// Returns the number of sessions.
    pub(crate) fn count(&self) -> usize {
        self.phones.len()
    }

    /// Returns the number of phones without a connected device.
    pub(crate) fn away(&self) -> usize {
        self.phones.iter().filter(|phone| !is_connected(phone)).count()
    }
}

/// Waits for the session's QR code and scans the code with the phone.
pub(crate) fn scan(session: &Owned, phone: &Phone) -> Result<()> {
    let code = wait::until("a QR code", PATIENCE, || Ok(session.qr().ok()))?;
    phone.scan(&code).map(drop)
}

/// Waits until the caller has this number of sessions and all of them work.
pub(crate) fn until_working(api: &Api, count: usize, patience: Duration) -> Result<()> {
    let mut last = String::new();
    let all = wait::until_true("every session works", patience, || {
        let all = sessions::list(api)?;
        ensure!(all.len() == count, "{} sessions instead of {count}", all.len());
        let mut others = all.iter().filter(|session| session["status"] != "working");
        let first = others.next();
        last =
            first.map(|other| format!("{} more, and {other}", others.count())).unwrap_or_default();
        if first.is_some() {
            thread::sleep(POLL);
        }
        Ok(first.is_none())
    });
    all.with_context(|| last)
}

fn is_connected(phone: &Phone) -> bool {
    phone.devices().is_ok_and(|devices| devices.iter().any(|device| device.connected))
}
