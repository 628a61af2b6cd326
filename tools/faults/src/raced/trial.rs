//! One race: a phone scans while the owner acts on the session.

use std::{fmt, thread, time::Duration};

use anyhow::{Context as _, Result, anyhow, bail, ensure};
use serde_json::Value;
use testbed::{
    client::Api,
    phones::{Device, Phone, Phones},
    random::Random,
    sessions::{Owned, path, path_of},
    wait,
};

/// The action of the owner during the scan.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Action {
    Delete,
    Stop,
    Logout,
    Restart,
}

/// Restarts are rare, because a restart of an unpaired session is refused.
const ACTIONS: [Action; 7] = [
    Action::Delete,
    Action::Stop,
    Action::Logout,
    Action::Delete,
    Action::Stop,
    Action::Logout,
    Action::Restart,
];
/// A second phone scans in one of this number of races.
const SECOND_SCAN: usize = 5;
/// Latest moments of the action in milliseconds after the start of the scan: close to the link, and
/// well after the link.
const LATEST: [u64; 2] = [60, 400];

/// A race before its run.
#[derive(Clone, Copy, Debug)]
pub(super) struct Trial {
    number: usize,
    pub(super) action: Action,
    phones: usize,
    delay: Duration,
}

/// A race after its run.
#[derive(Debug)]
pub(super) struct Ran {
    pub(super) trial: Trial,
    session: Owned,
    scans: Vec<Scan>,
}

/// A phone, and whether the network confirmed its link.
#[derive(Debug)]
struct Scan {
    phone: Phone,
    linked: bool,
}

impl Trial {
    /// Returns the race of this number and seed.
    pub(super) fn of_seed(seed: u64, number: usize) -> Self {
        let mut random = Random::seeded(seed, number as u64);
        Self {
            number,
            action: ACTIONS[number % ACTIONS.len()],
            phones: if number.is_multiple_of(SECOND_SCAN) { 2 } else { 1 },
            delay: Duration::from_micros(random.below(LATEST[number / 2 % 2] * 1_000)),
        }
    }

    /// Runs the race.
    pub(super) fn run(self, api: &Api, phones: &Phones) -> Result<Ran> {
        let phones = (0..self.phones).map(|_| phones.new_phone("Racer"));
        let phones = phones.collect::<Result<Vec<_>>>()?;
        let session = Owned::create(api, &self.to_string())?;
        let code = session.qr()?;
        let (linked, acted) = thread::scope(|scope| {
            let scanning: Vec<_> =
                phones.iter().map(|phone| scope.spawn(|| phone.scan(&code).is_ok())).collect();
            thread::sleep(self.delay); // the action may hit any instant
            let acted = self.act(&session);
            let linked = scanning.into_iter().map(|one| one.join().map_err(|_| anyhow!("a scan")));
            (linked.collect::<Result<Vec<_>>>(), acted)
        });
        acted?;
        let scans = phones.into_iter().zip(linked?).map(|(phone, linked)| Scan { phone, linked });
        Ok(Ran { trial: self, session, scans: scans.collect() })
    }

    fn act(self, session: &Owned) -> Result<()> {
        let (api, id) = (&session.api, &session.id);
        let reply = match self.action {
            Action::Delete => api.delete(&path(id)),
            Action::Stop => api.action(&path_of(id, ":stop")),
            Action::Logout => api.action(&path_of(id, ":logout")),
            Action::Restart => api.action(&path_of(id, ":restart")),
        }?;
        let expected: &[u16] = match self.action {
            Action::Delete => &[204],
            Action::Stop | Action::Logout => &[200],
            Action::Restart => &[200, 409],
        };
        ensure!(expected.contains(&reply.status), "answered {}", reply.status);
        Ok(())
    }
}

impl Ran {
    /// Returns whether a link was confirmed to a phone.
    pub(super) fn linked(&self) -> bool {
        self.scans.iter().any(|scan| scan.linked)
    }

    /// Returns the id of the session.
    pub(super) fn session_id(&self) -> &str {
        &self.session.id
    }

    /// Waits until the phones and the API agree.
    pub(super) fn until_agreed(&self, patience: Duration) -> Result<()> {
        wait::until("phone and API agree", patience, || self.must_agree().map(Some))
    }

    fn must_agree(&self) -> Result<()> {
        let devices = self.devices()?;
        let view = self.session.api.get(&path(&self.session.id))?;
        if self.trial.action == Action::Delete {
            ensure!(view.status == 404, "a deleted session is answered {}", view.status);
            ensure!(devices.is_empty(), "deleted, but a phone still shows {devices:?}");
            return Ok(());
        }
        let view = view.expect(200)?.json();
        let known = view["phoneNumber"].as_str().zip(view["deviceId"].as_u64());
        let shown: Vec<_> = devices.iter().map(|(phone, d)| (phone.as_str(), d.id)).collect();
        let agreed = shown == known.into_iter().collect::<Vec<_>>();
        ensure!(agreed, "the API shows {known:?}, the phones show {shown:?}: {view}");
        match self.trial.action {
            Action::Logout => ensure!(shown.is_empty(), "logged out, but linked: {view}"),
            Action::Stop => {
                ensure!(view["status"] == "stopped", "stopped, but the session is {view}");
            }
            Action::Delete | Action::Restart => {}
        }
        Ok(())
    }

    /// Returns the devices of all phones, with the numbers of the phones.
    fn devices(&self) -> Result<Vec<(String, Device)>> {
        let mut all = Vec::new();
        for Scan { phone, .. } in &self.scans {
            all.extend(phone.devices()?.into_iter().map(|device| (phone.number.clone(), device)));
        }
        Ok(all)
    }

    /// Waits for the final event of a deleted session, and compares all events with the answers to
    /// the phones.
    pub(super) fn must_match_events(&self, patience: Duration) -> Result<()> {
        let events = wait::until("the final event", patience, || {
            let events = self.events()?;
            let over = self.trial.action != Action::Delete
                || !self.linked()
                || events.iter().any(|event| event["event"] == "session.retired");
            Ok(over.then_some(events))
        })?;
        for event in &events {
            let payload = &event["payload"];
            if payload["reason"] == "logged_out_by_phone" {
                bail!("no phone has unlinked the session: {event}");
            }
            if payload["unlink"] == "not_linked" && self.linked() {
                bail!("the link was confirmed to a phone: {event}");
            }
        }
        Ok(())
    }

    fn events(&self) -> Result<Vec<Value>> {
        let path = format!("/api/v1/audit?limit=200&sessionId={}", self.session.id);
        let page = self.session.api.get(&path)?.expect(200)?.json();
        page["data"].as_array().cloned().context("a list has data")
    }
}

impl fmt::Display for Trial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { number, action, phones, delay } = self;
        let phones = if *phones == 1 { "a scan" } else { "two scans" };
        write!(f, "race {number}, {action} {} ms into {phones}", delay.as_millis())
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Delete => "delete",
            Self::Stop => "stop",
            Self::Logout => "logout",
            Self::Restart => "restart",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn races_of_one_seed_are_equal() {
        let of_seed =
            |seed| (0..50).map(|n| Trial::of_seed(seed, n).to_string()).collect::<Vec<_>>();
        assert_eq!(of_seed(3), of_seed(3));
        assert_ne!(of_seed(3), of_seed(4));
    }

    #[test]
    fn every_action_has_one_and_two_scans_early_and_late() {
        let trials: Vec<_> = (0..200).map(|number| Trial::of_seed(1, number)).collect();
        for action in ACTIONS {
            for phones in [1, 2] {
                let some = trials.iter().filter(|t| t.action == action && t.phones == phones);
                assert!(some.clone().any(|trial| trial.delay < Duration::from_millis(60)));
                assert!(some.clone().any(|trial| trial.delay > Duration::from_millis(60)));
            }
        }
    }
}
