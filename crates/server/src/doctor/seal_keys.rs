//! Checks of the seal keys: readable, none missing, and a test unwrap.

use std::sync::Arc;

use sealing::{SealKeys, Sealer};
use self_check::{Report, secret_file};
use store_diesel::Database;

use crate::{environment::SystemEnvironment, seal};

const CHECK: &str = "seal_keys";

/// Checks the configured seal keys, or those in the key file.
pub(super) async fn check(report: &mut Report, database: &Database, configured: Option<SealKeys>) {
    if let Some(path) = seal::key_file(database).filter(|_| configured.is_none()) {
        secret_file(report, CHECK, &path);
    }
    let keys = match seal::present_keys(database, configured) {
        Ok(keys) => keys,
        Err(error) => return report.fault(CHECK, format!("{error:#}")),
    };
    let has_keys = !keys.is_empty();
    let sealer =
        Sealer::new(keys, Arc::new(database.clone()), Arc::new(SystemEnvironment::default()));
    let (uses, unopenable) =
        match (sealer.seal_key_uses().await, sealer.unopenable_data_keys().await) {
            (Ok(uses), Ok(unopenable)) => (uses, unopenable),
            (Err(error), _) | (_, Err(error)) => return report.fault(CHECK, error.to_string()),
        };
    let missing: Vec<_> = uses.iter().filter(|of| of.is_missing()).collect();
    for of in &missing {
        report.fault(
            CHECK,
            format!(
                "seal key {:?} is missing, and protects data keys of {} organizations; set \
                 BERTH_SEAL_KEYS or restore seal.key",
                of.id, of.data_keys
            ),
        );
    }
    if missing.is_empty() && unopenable > 0 {
        report.fault(
            CHECK,
            format!("{unopenable} data keys do not open with the seal key of their id: the key is another one"),
        );
    } else if !has_keys {
        report.warn(
            CHECK,
            "no seal key is configured: messages are stored in plain text, and webhooks have no \
             secrets; set BERTH_SEAL_KEYS",
        );
    } else if missing.is_empty() {
        report.ok(CHECK, format!("{} seal keys; every tested data key opens", uses.len()));
    }
}
