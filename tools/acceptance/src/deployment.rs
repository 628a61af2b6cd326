//! Deployments of the programs: shared by tests that harm no other test, exclusive for tests that kill
//! programs, and fresh for tests that leave a deployment unusable.
//!
//! A deployment ends when the last test that uses it ends.

use std::{
    path::PathBuf,
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak,
        atomic::{AtomicUsize, Ordering},
    },
};

use anyhow::{Result, anyhow};
use testbed::{
    client::{Api, Credential},
    interrupt,
    issuer::Issuer,
    options::{DatabaseKind, Prebuilt},
    postgres::Cluster,
    process,
    programs::Programs,
    stack::Stack,
    workspace::Workspace,
};

/// The environment variable with the folder of the programs. Without the variable the tests are
/// skipped.
pub const PROGRAMS: &str = "BERTH_ACCEPTANCE_BIN";

/// A seal key for tests: 32 bytes in base64.
const SEAL_KEY: &str = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=";

/// Running programs with a database and a login issuer.
#[derive(Debug)]
pub struct Deployment {
    // Dropped in this order: the programs end before the database.
    /// The programs.
    pub stack: Stack,
    /// The PostgreSQL server; `None` with SQLite.
    pub cluster: Option<Cluster>,
    /// The issuer whose tokens the programs accept.
    pub issuer: Issuer,
}

/// An organization and a client of a caller that has `manage` in it.
#[derive(Clone, Debug)]
pub struct Organization {
    /// The name, unique in the process.
    pub name: String,
    /// The client.
    pub api: Api,
}

/// A slot for the deployment of one database.
type InUse<T> = Mutex<Weak<T>>;

static SHARED: [InUse<Deployment>; 2] = [const { Mutex::new(Weak::new()) }; 2];
static EXCLUSIVE: [InUse<Mutex<Option<Deployment>>>; 2] = [const { Mutex::new(Weak::new()) }; 2];

/// Runs a test on the deployment that tests of one database share.
///
/// # Errors
/// When the deployment does not start, or the test fails; with the end of the log.
pub fn shared(database: DatabaseKind, test: fn(&Deployment) -> Result<()>) -> Result<()> {
    let Some(programs) = programs()? else { return Ok(()) };
    let deployment = {
        let mut in_use = lock(&SHARED[database as usize]);
        if let Some(deployment) = in_use.upgrade() {
            deployment
        } else {
            let started = Arc::new(Deployment::start(&programs, database, "contract", &[])?);
            *in_use = Arc::downgrade(&started);
            started
        }
    };
    test(&deployment).map_err(|error| deployment.with_log(&error))
}

/// Runs a test alone on a deployment that further tests use afterwards. A failed test leaves a new
/// deployment to the next test.
///
/// # Errors
/// When the deployment does not start, or the test fails; with the end of the log.
pub fn exclusive(database: DatabaseKind, test: fn(&mut Deployment) -> Result<()>) -> Result<()> {
    let Some(programs) = programs()? else { return Ok(()) };
    let shared = {
        let mut in_use = lock(&EXCLUSIVE[database as usize]);
        let shared = in_use.upgrade().unwrap_or_default();
        *in_use = Arc::downgrade(&shared);
        shared
    };
    let mut in_use = lock(&shared);
    let mut deployment = match in_use.take() {
        Some(deployment) => deployment,
        None => Deployment::start(&programs, database, "contract-kill", &[])?,
    };
    test(&mut deployment).map_err(|error| deployment.with_log(&error))?;
    *in_use = Some(deployment);
    Ok(())
}

/// Runs a test on a new deployment.
///
/// # Errors
/// When the deployment does not start, or the test fails; with the end of the log.
pub fn fresh(
    database: DatabaseKind,
    name: &str,
    test: impl FnOnce(&mut Deployment) -> Result<()>,
) -> Result<()> {
    fresh_with(database, name, &[], test)
}

/// As [`fresh`], with these settings beside the usual ones.
///
/// # Errors
/// As [`fresh`].
pub fn fresh_with(
    database: DatabaseKind,
    name: &str,
    settings: &[(&'static str, String)],
    test: impl FnOnce(&mut Deployment) -> Result<()>,
) -> Result<()> {
    let Some(programs) = programs()? else { return Ok(()) };
    let mut deployment = Deployment::start(&programs, database, name, settings)?;
    test(&mut deployment).map_err(|error| deployment.with_log(&error))
}

/// As [`fresh_with`], with a simulated WhatsApp that stores its state, so that its end is an outage.
///
/// # Errors
/// As [`fresh`].
pub fn fresh_with_stored_whatsapp(
    database: DatabaseKind,
    name: &str,
    test: impl FnOnce(&mut Deployment) -> Result<()>,
) -> Result<()> {
    let Some(programs) = programs()? else { return Ok(()) };
    let mut deployment = Deployment::start_as(&programs, database, name, &[], true)?;
    test(&mut deployment).map_err(|error| deployment.with_log(&error))
}

/// Returns whether tests run; says so otherwise.
///
/// # Errors
/// When the folder does not have the programs.
pub fn has_programs() -> Result<bool> {
    Ok(programs()?.is_some())
}

/// Returns the programs under test; `None` when [`PROGRAMS`] is not set.
fn programs() -> Result<Option<Programs>> {
    static WATCHED: OnceLock<()> = OnceLock::new();
    let Some(folder) = std::env::var_os(PROGRAMS).map(PathBuf::from) else {
        println!("skipped: `cargo xtask contract` sets {PROGRAMS}");
        return Ok(None);
    };
    if WATCHED.set(()).is_ok() {
        interrupt::watch()?;
        process::allow_connections()?;
    }
    Programs::find(&Workspace::find()?, &Prebuilt { programs: Some(folder) }).map(Some)
}

impl Deployment {
    fn start(
        programs: &Programs,
        database: DatabaseKind,
        name: &str,
        settings: &[(&'static str, String)],
    ) -> Result<Self> {
        Self::start_as(programs, database, name, settings, false)
    }

    fn start_as(
        programs: &Programs,
        database: DatabaseKind,
        name: &str,
        settings: &[(&'static str, String)],
        has_stored_whatsapp: bool,
    ) -> Result<Self> {
        let cluster = match database {
            DatabaseKind::Sqlite => None,
            DatabaseKind::Postgres => Some(Cluster::start()?),
        };
        let url =
            cluster.as_ref().map(|cluster| cluster.create_database("contract")).transpose()?;
        let issuer = Issuer::start()?;
        let logs = Workspace::find()?.scratch("logs")?;
        let mut all = issuer.settings().to_vec();
        // The receivers of the tests are on loopback.
        all.push(("BERTH_WEBHOOK_ALLOW", "127.0.0.0/8".to_owned()));
        if database == DatabaseKind::Postgres {
            // On SQLite berth makes a key of its own.
            all.push(("BERTH_SEAL_KEYS", format!("contract={SEAL_KEY}")));
        }
        all.extend_from_slice(settings);
        let start =
            if has_stored_whatsapp { Stack::start_with_stored_whatsapp } else { Stack::start };
        let stack = start(programs, &log_name(name, database), &logs, url, &all)?;
        Ok(Self { stack, cluster, issuer })
    }

    /// Creates a key of a new organization. Tests on one deployment share no organization.
    ///
    /// # Errors
    /// When the command that creates the key fails.
    pub fn organization(&self) -> Result<Organization> {
        static NUMBER: AtomicUsize = AtomicUsize::new(1);
        let name = format!("org-{}", NUMBER.fetch_add(1, Ordering::Relaxed));
        let api = self.with_credential(self.stack.key(&name, &["manage"])?);
        Ok(Organization { name, api })
    }

    /// Returns a client of the public listener with this credential.
    pub fn with_credential(&self, credential: Credential) -> Api {
        self.stack.api.with_credential(Some(credential))
    }

    fn with_log(&self, error: &anyhow::Error) -> anyhow::Error {
        anyhow!("{error:#}\n{}", self.stack.tail())
    }
}

/// The name of a deployment's logs. Processes of nextest run at the same time and must not share a log.
fn log_name(name: &str, database: DatabaseKind) -> String {
    let own = std::env::var_os("NEXTEST").map(|_| format!("-{}", std::process::id()));
    format!("{name}-{}{}", database.name(), own.unwrap_or_default())
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_database_has_a_slot() {
        assert_eq!([DatabaseKind::Sqlite, DatabaseKind::Postgres].map(|one| one as usize), [0, 1]);
        assert_eq!((SHARED.len(), EXCLUSIVE.len()), (2, 2));
    }
}
