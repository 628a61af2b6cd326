//! berth with the sessions of several organizations, each of which has an API key. No session is
//! linked, so that no node works beside the requests.

use anyhow::{Context as _, Result};
use testbed::{
    http::{self, Reply},
    parallel::run_on_threads,
    programs::Programs,
    random::Random,
    sessions,
    stack::Stack,
};

use super::{
    changes::Changes,
    owner::{SESSIONS, SessionOwner},
    traffic::Traffic,
};
use crate::{
    Setup,
    connection::request,
    load::{Ask, ExpectedBody, Load},
};

pub(crate) const ORGANIZATIONS: usize = 20;
/// The part of the sessions that half of the `GET`s are for: one in this number.
pub(crate) const FREQUENT: usize = 10;
/// Sessions on a page.
pub(crate) const SHOWN: usize = 50;
/// Connections of the `GET`s, each with one request at a time.
pub(crate) const READERS: usize = 32;
/// Connections of the lists.
const LISTERS: usize = 8;
/// Connections that create the sessions.
const CREATORS: usize = 10;

/// berth with the sessions of several organizations.
#[derive(Debug)]
pub(crate) struct PopulatedStack {
    stack: Stack,
    owners: Vec<SessionOwner>,
    /// The answer for one session.
    pub(crate) reply: Reply,
}

impl PopulatedStack {
    /// Starts these programs and creates the sessions.
    pub(crate) fn start(
        setup: &Setup,
        programs: &Programs,
        name: &str,
        database: Option<String>,
    ) -> Result<Self> {
        let stack = Stack::start(programs, name, setup.scratch.path(), database, &[])?;
        println!("  creating {} sessions: {name}", ORGANIZATIONS * SESSIONS);
        let owners = run_on_threads(CREATORS, |which| {
            let own = (which..ORGANIZATIONS).step_by(CREATORS);
            own.map(|number| SessionOwner::create(&stack, number)).collect()
        })?;
        let first = owners.first().context("no organizations")?;
        let api = stack.api.with_credential(Some(first.credential.clone()));
        let path = sessions::path(&first.sessions[0]);
        let reply = api.send_raw("GET", &path, &[], None)?.expect(200)?;
        Ok(Self { stack, owners, reply })
    }

    /// Returns the process id of the router.
    pub(crate) fn process(&self) -> Result<u32> {
        self.stack.berth_id().context("berth does not run")
    }

    /// Returns the requests for this deployment.
    pub(crate) fn traffic(&self) -> Result<Traffic> {
        let address = http::address(self.stack.api.base())?;
        let mut gets = Vec::new();
        let mut lists = Vec::new();
        for SessionOwner { credential, sessions } in &self.owners {
            let get = |path: &str, start: String| Ask {
                request: request("GET", address, path, Some(credential)),
                body: ExpectedBody::Start(start.into_bytes()),
            };
            for (number, session) in sessions.iter().enumerate() {
                // With FREQUENT - 1 entries instead of one, a tenth gets half of the requests.
                let entries = if number.is_multiple_of(FREQUENT) { FREQUENT - 1 } else { 1 };
                let path = sessions::path(session);
                let ask = get(&path, format!(r#"{{"id":"{session}""#));
                gets.extend(std::iter::repeat_n(ask, entries));
            }
            let path = format!("{}?limit={SHOWN}", sessions::SESSIONS);
            lists.push(get(&path, r#"{"data":[{"id":"sess_"#.to_owned()));
        }
        shuffle(&mut gets)?;
        let load = |asks, connections| Load { connections, ..Load::of_changing(address, asks) };
        let changes = Changes::new(address, &self.owners);
        Ok(Traffic { gets: load(gets, READERS), lists: load(lists, LISTERS), changes })
    }
}

/// Puts the values into a random order (Fisher and Yates).
fn shuffle<T>(values: &mut [T]) -> Result<()> {
    let mut random = Random::new()?;
    for last in (1..values.len()).rev() {
        let other = random.below(last as u64 + 1);
        values.swap(last, usize::try_from(other).unwrap_or_default());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shuffled_values_are_the_same_values() {
        let mut values: Vec<_> = (0..1_000).collect();
        shuffle(&mut values).unwrap();
        assert!(!values.is_sorted());
        values.sort_unstable();
        assert!(values.iter().copied().eq(0..1_000));
    }
}
