//! Checks of the database: reachable, not damaged, known migrations, settings, clock.

use domain::ports::Environment as _;
use self_check::{Report, folder, secret_file};
use store_diesel::{Config, Database, Inspection, StoreError};

use crate::environment::SystemEnvironment;

const CHECK: &str = "database";
/// A skew of the clocks that delays or hastens deadlines, in milliseconds; see `clock_skew`.
const SKEW_LIMIT_MILLIS: i64 = 2_000;

/// Checks the database, and returns the database if its tables can be read.
pub(super) async fn check(report: &mut Report, config: &Config) -> Option<Database> {
    let inspection = match Inspection::read(config).await {
        Ok(inspection) => inspection,
        Err(StoreError::Url(why)) => {
            report.fault(CHECK, format!("the database URL {why}"));
            return None;
        }
        Err(error) => {
            report.fault(CHECK, format!("{:#}", anyhow::Error::new(error)));
            return None;
        }
    };
    if let Some(file) = &inspection.file {
        if let Some(parent) = file.parent() {
            folder(report, "database_folder", parent);
        }
        secret_file(report, "database_folder", file);
    }
    for fault in &inspection.faults {
        report.fault(CHECK, fault.clone());
    }
    if !migrations(report, &inspection) {
        return None;
    }
    let database = inspection.database?;
    report.ok(CHECK, format!("{} answers", inspection.version));
    clock(report, &database).await;
    Some(database)
}

/// Returns whether the tables are those of this program.
fn migrations(report: &mut Report, inspection: &Inspection) -> bool {
    let Inspection { database, pending, unknown, file, .. } = inspection;
    if database.is_none() {
        let file = file.as_deref().unwrap_or_else(|| "the database".as_ref()).display();
        report
            .warn("migrations", format!("{file} does not exist; the first start creates the file"));
        return false;
    }
    if let Some(newest) = unknown.last() {
        report.fault(
            "migrations",
            format!(
                "a newer program has run migration {newest}; use a program that is at least as new"
            ),
        );
        return false;
    }
    if let Some(next) = pending.first() {
        let count = pending.len();
        report.warn(
            "migrations",
            format!("{count} migrations from {next} on are pending; the next start runs them"),
        );
        return false;
    }
    report.ok("migrations", "all migrations of this program are applied");
    true
}

async fn clock(report: &mut Report, database: &Database) {
    let environment = SystemEnvironment::default();
    let before = environment.now();
    let Ok(Some(theirs)) = database.clock().await else { return };
    let after = environment.now();
    let (early, late) = (theirs.millis() - after.millis(), before.millis() - theirs.millis());
    let skew = early.max(late);
    if skew >= SKEW_LIMIT_MILLIS {
        report.fault(
            "clock",
            format!("the clocks of this machine and of the database differ by {skew} ms; synchronize both"),
        );
    } else {
        report.ok("clock", "the clocks of this machine and of the database agree");
    }
}
