//! `berth backup` and `berth restore`: sealed copies of an SQLite database. PostgreSQL has tools of its
//! own, `pg_dump` and `pg_restore`; `berth restore --adapt` then does the second half.
//!
//! Decision: ADR 0060.

use std::{
    collections::BTreeSet,
    fs,
    io::{Write as _, stdout},
    path::{Path, PathBuf},
    sync::Arc,
};

use anyhow::{Context as _, Result, bail};
use backup::{Archive, Manifest, NewFolder, sqlite};
use domain::ports::{DataKeyStore as _, Environment as _};
use sealing::{FileKey, SealKeys, Sealer, read_or_create};
use secrecy::{ExposeSecret as _, SecretString};
use store_diesel::{Database, Inspection};

use crate::{
    cli::{Backup, BackupKey, Restore},
    config::{self, Log},
    environment::SystemEnvironment,
    invalid::Invalid,
    seal::KEY_FILE,
    settings::{Flags, warn_of_variables},
    store, telemetry,
};

/// The name of the program in manifests.
const PROGRAM: &str = "berth";
/// The name of the database in archives.
const PART: &str = "berth.db";
/// The suffix of the unsealed copy, which exists while a back-up is written.
const COPY_SUFFIX: &str = "-backup-copy";
/// The suffix of the folder with the files of an unfinished restore.
const RESTORE_SUFFIX: &str = "-unfinished-restore";

/// Writes a back-up of an SQLite database, while berth serves or not.
pub(crate) async fn back_up(command: Backup) -> Result<()> {
    let settings = Flags::from(command.database_location).gather()?;
    telemetry::start(&Log::check(settings.log)?, "warn")?;
    warn_of_variables();
    let key = file_key(command.key)?;
    let inspection = Inspection::read(&config::database(settings.database)).await?;
    let (Some(file), Some(database)) = (&inspection.file, &inspection.database) else {
        let reason = match &inspection.file {
            Some(file) => format!("{} does not exist", file.display()),
            None => {
                "a PostgreSQL database is backed up by pg_dump; see docs/operating.md".to_owned()
            }
        };
        return Err(Invalid::new(reason).into());
    };
    let mut manifest = manifest(database, &inspection).await?;
    let copy = with_suffix(file, COPY_SUFFIX);
    sqlite::remove(&copy);
    let written = sqlite::copy(file, &copy).and_then(|()| {
        manifest.sessions = sqlite::count_sessions(&copy)?;
        backup::write(&command.to, manifest, &[(PART, copy.as_path())], &key)
    });
    sqlite::remove(&copy);
    let manifest = written?;
    let mut out = stdout();
    writeln!(
        out,
        "{}: {} sessions, sealed by the key {}",
        command.to.display(),
        manifest.sessions,
        manifest.key
    )?;
    if !manifest.seal_keys.is_empty() {
        let ids = manifest.seal_keys.join(", ");
        writeln!(out, "The back-up does not contain the seal keys. Keep them elsewhere: {ids}")?;
    }
    Ok(())
}

async fn manifest(database: &Database, inspection: &Inspection) -> Result<Manifest> {
    let now = SystemEnvironment::default().now().millis();
    let mut manifest = Manifest::new(PROGRAM, env!("CARGO_PKG_VERSION"), now);
    let newest = inspection.newest.clone().unwrap_or_default();
    manifest.layouts.insert(PART.to_owned(), newest);
    if !inspection.pending.is_empty() {
        bail!(
            "the database has not been migrated by this program yet; back it up by the program that serves"
        );
    }
    manifest.seal_keys = database.count_by_seal_key().await?.into_keys().collect();
    Ok(manifest)
}

/// Removes the unsealed copy that a killed back-up left.
pub(crate) fn remove_copy(database: &Database) {
    if let Some(file) = database.file() {
        sqlite::remove(&with_suffix(file, COPY_SUFFIX));
    }
}

/// Restores a back-up to the file of the configured database, which must not exist; or, with
/// `--adapt`, adapts a database that other tools restored.
pub(crate) async fn restore(command: Restore) -> Result<()> {
    let mut flags = Flags::from(command.database_location);
    flags.settings.sealing = command.sealing;
    let settings = flags.gather()?;
    telemetry::start(&Log::check(settings.log)?, "warn")?;
    warn_of_variables();
    let configured = config::seal_keys(settings.sealing)?;
    let location = config::database(settings.database);
    let Some(from) = command.from.filter(|_| !command.adapt) else {
        let database = store::open(&location).await?;
        return adapt(&database, None).await;
    };
    let inspection = Inspection::read(&location).await?;
    let Some(file) = &inspection.file else {
        let reason =
            "a PostgreSQL database is restored by pg_restore and then `berth restore --adapt`";
        return Err(Invalid::new(format!("{reason}; see docs/operating.md")).into());
    };
    let key = file_key(command.key)?;
    let archive = Archive::open(&from)?;
    let known = inspection.pending.last().cloned().unwrap_or_default();
    for suffix in ["", "-wal", "-shm"] {
        let path = with_suffix(file, suffix);
        if path.exists() {
            bail!("{} exists already and is not replaced: restore to a new file", path.display());
        }
    }
    archive.manifest().expect_program(PROGRAM)?;
    archive.manifest().expect_layout(PART, &known)?;
    let seal_keys = seal_keys(configured, file)?;
    expect_seal_keys(&seal_keys, &archive.manifest().seal_keys)?;

    let folder = NewFolder::create(&with_suffix(file, RESTORE_SUFFIX))?;
    let part = folder.unfinished().join(PART);
    let manifest = archive.extract(&key, &folder.unfinished())?;
    sqlite::check(&part)?;
    let url = format!("sqlite:{}", part.display());
    let database = store::open(&store_diesel::Config::new(url)).await?;
    let sealer =
        Sealer::new(seal_keys, Arc::new(database.clone()), Arc::new(SystemEnvironment::default()));
    let unopenable = sealer.unopenable_data_keys().await?;
    if unopenable > 0 {
        bail!("{unopenable} data keys of the back-up do not open with the seal keys of their ids");
    }
    adapt(&database, Some(&manifest)).await?;
    drop((sealer, database));
    sqlite::settle(&part)?;
    // A hard link replaces no file, unlike a rename.
    fs::hard_link(&part, file).with_context(|| format!("{} cannot be created", file.display()))?;
    backup::sync_folder_of(file)?;
    drop(folder);
    writeln!(stdout(), "{}: restored", file.display())?;
    Ok(())
}

/// Adapts a restored database and prints what the operator must know.
async fn adapt(database: &Database, manifest: Option<&Manifest>) -> Result<()> {
    let now = SystemEnvironment::default().now();
    let adapted = database.adapt_restored_copy(now).await?;
    let mut out = stdout();
    let at = manifest.map_or_else(|| "the copy".to_owned(), Manifest::time);
    writeln!(
        out,
        "{} sessions of {at}; {} logins of browsers and all open share links were ended.\n\
         API keys that were revoked after {at} work again: revoke them again (berth key revoke).\n\
         Sessions that were deleted after {at} are there again and cannot connect where their keys \
         were wiped: delete them again.\n\
         Sessions that were created after {at} are listed by `berth orphan list` when their node has \
         registered.",
        adapted.sessions, adapted.logins
    )?;
    Ok(())
}

/// Returns the configured seal keys, or those in the file next to the database.
fn seal_keys(configured: Option<SealKeys>, file: &Path) -> Result<SealKeys> {
    if let Some(keys) = configured {
        return Ok(keys);
    }
    let path = file.with_file_name(KEY_FILE);
    let keys = read_or_create(&path, false);
    keys.with_context(|| format!("the seal keys in {}", path.display()))
}

/// Refuses a back-up whose secrets the given seal keys cannot open.
fn expect_seal_keys(given: &SealKeys, needed: &[String]) -> Result<()> {
    let given: BTreeSet<_> = given.ids().collect();
    let missing: Vec<_> = needed.iter().filter(|id| !given.contains(id.as_str())).collect();
    if missing.is_empty() {
        return Ok(());
    }
    bail!(
        "the back-up needs the seal keys {missing:?}, which are not given; set BERTH_SEAL_KEYS, or put \
         the file {KEY_FILE} next to the database"
    );
}

fn file_key(key: BackupKey) -> Result<FileKey, Invalid> {
    let key: SecretString = key.backup_key.ok_or_else(|| {
        Invalid::new(
            "BERTH_BACKUP_KEY_FILE must be set: the path of a file with 32 bytes as base64 \
             (openssl rand -base64 32)",
        )
    })?;
    let key = key.expose_secret().parse::<FileKey>();
    key.map_err(|error| Invalid::new(format!("BERTH_BACKUP_KEY {error}")))
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}
