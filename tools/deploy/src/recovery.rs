//! Checks of back-up and restore: a machine is lost, and its sessions go on from copies at other places.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, ensure};
use testbed::{
    checks::Checks,
    folder::Folder,
    postgres::Cluster,
    programs::Programs,
    sessions::Owned,
    stack::Stack,
    workspace::{self, Workspace},
};

use crate::life::Life;

/// 32 bytes, as base64.
const BACKUP_KEY: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
const SEAL_KEY: &str = "a=AQECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
const TEXTS_AFTER_THE_COPY: usize = 3;

/// Checks the restore of both databases.
pub(crate) fn check(workspace: &Workspace, programs: &Programs, checks: &mut Checks) {
    println!("\nrecovery");
    checks.check("recovery: SQLite and the node's folder, to other folders", || {
        recover(workspace, programs, None)
    });
    checks.check("recovery: PostgreSQL by pg_dump, and the node's folder", || {
        recover(workspace, programs, Some(&Cluster::start()?))
    });
}

/// A stack whose data is copied and restored.
struct CopiedStack<'a> {
    stack: &'a Stack,
    programs: &'a Programs,
    cluster: Option<&'a Cluster>,
    copies: &'a Path,
}

/// Links a session, copies everything while the session is used, goes on for a while, and stops. Then the
/// copies are restored to other places, and the same session must go on in both directions.
fn recover(workspace: &Workspace, programs: &Programs, cluster: Option<&Cluster>) -> Result<()> {
    let (logs, folder) = (workspace.scratch("logs")?, Folder::new("recovery")?);
    let database = cluster.map(|cluster| cluster.create_database("old")).transpose()?;
    let mut settings = vec![("BERTH_WEBHOOK_ALLOW", "127.0.0.0/8".to_owned())];
    settings.push(("BERTH_SEAL_KEYS", SEAL_KEY.to_owned()));
    let name = if cluster.is_none() { "recovery-sqlite" } else { "recovery-postgres" };
    let mut stack = Stack::start(programs, name, &logs, database, &settings)?;
    let key = stack.key("acme", &["manage", "read", "send"])?;
    let api = stack.api.with_credential(Some(key));
    let life = Life::begin(&api, &stack.phones)?;
    let devices = life.devices()?;
    let unlinked = Owned::create(&api, "never linked")?;

    let copies = folder.path().join("copies");
    fs::create_dir(&copies)?;
    fs::write(copies.join("key"), format!("{BACKUP_KEY}\n"))?;
    let original = CopiedStack { stack: &stack, programs, cluster, copies: &copies };
    original.back_up()?;
    for number in 0..TEXTS_AFTER_THE_COPY {
        life.talk(&format!("after the copy, {number}"))?;
    }
    stack.stop_berth()?;

    let new = folder.path().join("another/machine");
    fs::create_dir_all(&new)?;
    let original = CopiedStack { stack: &stack, programs, cluster, copies: &copies };
    let (url, node) = original.restore(&new)?;
    fs::remove_dir_all(stack.node_disk())?;
    stack.replace_setting("BERTH_DATABASE_URL", url);
    stack.replace_setting("BERTH_GATEWAY_DATA", node.display().to_string());
    stack.start_berth()?;

    life.session.until_status("working").context("the session comes back")?;
    for number in 0..TEXTS_AFTER_THE_COPY {
        life.talk(&format!("after the restore, {number}"))?;
    }
    let after = life.devices()?;
    ensure!(after == devices, "the phone has the devices {after:?} instead of {devices:?}");
    ensure!(unlinked.view()?["identity"].is_null(), "{}", unlinked.view()?);
    unlinked.delete()?;
    life.end()?;
    stack.stop_berth()
}

impl CopiedStack<'_> {
    /// Runs a command with the key of back-ups, and returns its output.
    fn run(&self, command: &mut Command) -> Result<String> {
        workspace::answer(command.env("BERTH_BACKUP_KEY_FILE", self.copies.join("key")))
    }

    /// Copies the database and the folder of the node, while both are used.
    fn back_up(&self) -> Result<()> {
        if let Some(cluster) = self.cluster {
            let mut dump = Command::new(cluster.program("pg_dump"));
            dump.args(["--format=custom", "--dbname", &cluster.url("old"), "--file"]);
            self.run(dump.arg(self.copies.join("dump")))?;
        } else {
            let mut back_up = self.stack.command();
            self.run(back_up.args(["backup", "--to"]).arg(self.copies.join("router")))?;
        }
        self.run(&mut self.gateway("backup", &self.stack.node_disk(), "--to")).map(drop)
    }

    /// Restores everything below a folder. Returns the URL of the database and the folder of the node.
    fn restore(&self, new: &Path) -> Result<(String, PathBuf)> {
        let url = match self.cluster {
            Some(cluster) => self.restore_postgres(cluster)?,
            None => self.restore_sqlite(new)?,
        };
        let node = new.join("node");
        let restored = self.run(&mut self.gateway("restore", &node, "--from"))?;
        ensure!(restored.contains(": 1 of "), "the node's restore says {restored}");
        Ok((url, node))
    }

    fn gateway(&self, action: &str, data: &Path, direction: &str) -> Command {
        let mut command = Command::new(self.programs.program("berth-gateway"));
        command.args([action, "--data"]).arg(data).arg(direction).arg(self.copies.join("node"));
        command
    }

    /// Restores the database to a file, and returns its URL.
    fn restore_sqlite(&self, new: &Path) -> Result<String> {
        let url = format!("sqlite:{}", new.join("other.db").display());
        let mut restore = self.stack.command();
        restore.args(["restore", "--from"]).arg(self.copies.join("router"));
        let without = restore.env("BERTH_DATABASE_URL", &url).env_remove("BERTH_SEAL_KEYS");
        let refused = self.run(without).err().map(|error| format!("{error:#}")).unwrap_or_default();
        ensure!(refused.contains("seal.key"), "not refused: {refused}");
        self.run(restore.env("BERTH_SEAL_KEYS", SEAL_KEY))?;
        Ok(url)
    }

    /// Restores the dump to another database, and returns its URL.
    fn restore_postgres(&self, cluster: &Cluster) -> Result<String> {
        let url = cluster.create_database("new")?;
        let mut load = Command::new(cluster.program("pg_restore"));
        self.run(load.args(["--exit-on-error", "--dbname", &url]).arg(self.copies.join("dump")))?;
        let mut adapt = self.stack.command();
        self.run(adapt.args(["restore", "--adapt"]).env("BERTH_DATABASE_URL", &url))?;
        Ok(url)
    }
}
