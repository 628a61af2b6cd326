//! The programs of a deployment: `berth`, the gateway that it starts, and a simulated WhatsApp.
//!
//! The tests run the shipped programs, not libraries, and kill them as processes are killed.

mod victim;

use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use anyhow::{Context as _, Result};
use rustix::process::Signal;
use serde_json::Value;

use crate::{
    client::{Api, Credential},
    folder::Folder,
    phones::Phones,
    ports,
    process::{self, Process},
    programs::Programs,
    simulated_whatsapp::SimulatedWhatsapp,
    wait, workspace,
};

pub use self::victim::Victim;

const GATEWAY: &str = "berth-gateway";
const READY: Duration = Duration::from_secs(40);
/// Time after which a node without a router ends itself.
const ORPHAN: Duration = Duration::from_secs(20);

/// The running programs in a temporary folder.
#[derive(Debug)]
pub struct Stack {
    // Dropped in this order: the folder is removed after the programs have ended.
    berth: Option<Process>,
    whatsapp: SimulatedWhatsapp,
    folder: Folder,
    programs: Programs,
    log: PathBuf,
    settings: Vec<(&'static str, String)>,
    /// Client of the public listener, without a credential.
    pub api: Api,
    /// Client of the operator's listener.
    pub operator: Api,
    /// The simulated network with its phones.
    pub phones: Phones,
}

impl Stack {
    /// Starts the programs. `database` is a URL; `None` means SQLite in the folder.
    pub fn start(
        programs: &Programs,
        name: &str,
        logs: &Path,
        database: Option<String>,
        extra: &[(&'static str, String)],
    ) -> Result<Self> {
        Self::start_in(Folder::new(name)?, programs, (name, logs), database, extra, false)
    }

    /// As [`start`](Self::start), with a simulated WhatsApp that stores its state, so that
    /// [`kill_whatsapp`](Self::kill_whatsapp) is an outage and loses nothing.
    pub fn start_with_stored_whatsapp(
        programs: &Programs,
        name: &str,
        logs: &Path,
        database: Option<String>,
        extra: &[(&'static str, String)],
    ) -> Result<Self> {
        Self::start_in(Folder::new(name)?, programs, (name, logs), database, extra, true)
    }

    fn start_in(
        folder: Folder,
        programs: &Programs,
        (name, logs): (&str, &Path),
        database: Option<String>,
        extra: &[(&'static str, String)],
        stored_whatsapp: bool,
    ) -> Result<Self> {
        let (chat, control) = (ports::free()?, ports::free()?);
        let (public, node, operator) = (ports::free()?, ports::free()?, ports::free()?);
        let local = |port: u16| format!("127.0.0.1:{port}");
        let sqlite = || format!("sqlite:{}", folder.path().join("berth.db").display());
        let mut settings = vec![
            ("BERTH_DATABASE_URL", database.unwrap_or_else(sqlite)),
            ("BERTH_LISTEN", local(public)),
            ("BERTH_NODE_LISTEN", local(node)),
            ("BERTH_OPS_LISTEN", local(operator)),
            ("BERTH_GATEWAY_BIN", programs.program(GATEWAY).display().to_string()),
            ("BERTH_GATEWAY_DATA", folder.path().join("gateway").display().to_string()),
            ("BERTH_WHATSAPP_URL", format!("ws://{}/ws/chat", local(chat))),
            ("BERTH_LOG_FORMAT", "text".to_owned()),
            // Rate limits are off: other settings switch them on where a test needs them.
            ("BERTH_CREDENTIAL_RATE", "0".to_owned()),
            ("BERTH_ORGANIZATION_RATE", "0".to_owned()),
        ];
        settings.extend_from_slice(extra);
        let whatsapp_log = fresh(logs.join(format!("{name}-whatsapp-sim.log")))?;
        // Not beside the database: the state contains messages in plain text.
        let state = stored_whatsapp.then(|| folder.path().join("whatsapp"));
        let addresses = (local(chat), local(control));
        let addresses = (addresses.0.as_str(), addresses.1.as_str());
        let mut stack = Self {
            berth: None,
            whatsapp: SimulatedWhatsapp::start(
                programs,
                addresses,
                state.as_deref(),
                &whatsapp_log,
            )?,
            programs: programs.clone(),
            log: fresh(logs.join(format!("{name}-berth.log")))?,
            settings,
            api: Api::new(&format!("http://{}", local(public)), None),
            operator: Api::new(&format!("http://{}", local(operator)), None),
            phones: Phones::at(&format!("http://{}", local(control))),
            folder,
        };
        stack.whatsapp.wait_ready(&stack.phones)?;
        stack.start_berth()?;
        Ok(stack)
    }

    /// Kills the simulated WhatsApp: an outage until [`restart_whatsapp`](Self::restart_whatsapp).
    pub fn kill_whatsapp(&mut self) -> Result<()> {
        self.whatsapp.kill()
    }

    /// Starts the simulated WhatsApp again. Without a stored state, phones and links are gone.
    pub fn restart_whatsapp(&mut self) -> Result<()> {
        self.whatsapp.restart(&self.phones)
    }

    /// Starts the router with the present data and waits until the router is ready.
    pub fn start_berth(&mut self) -> Result<()> {
        let mut command = self.command();
        let log = self.log.clone();
        self.start_berth_as(command.arg("serve"), Some(&log))
    }

    /// As [`start_berth`](Self::start_berth), with this command. Without a log, the command defines
    /// the outputs.
    pub fn start_berth_as(&mut self, command: &mut Command, log: Option<&Path>) -> Result<()> {
        let mut berth = Process::spawn("berth", command, log)?;
        let ready = wait::until("berth is ready", READY, || {
            if let Err(ended) = berth.must_run() {
                return Ok(Some(Err(ended)));
            }
            let ready = self.operator.get("/readyz")?.status == 200;
            Ok(ready.then_some(Ok(())))
        });
        let ready = ready.and_then(|outcome| outcome);
        self.berth = Some(berth);
        ready.with_context(|| self.tail())
    }

    /// Uses other programs from the next start of the router on.
    pub fn replace_programs(&mut self, programs: &Programs) {
        self.programs = programs.clone();
        self.replace_setting("BERTH_GATEWAY_BIN", programs.program(GATEWAY).display().to_string());
    }

    /// Uses another value of a setting from the next start of the router on.
    pub fn replace_setting(&mut self, setting: &'static str, value: String) {
        self.settings.retain(|(name, _)| *name != setting);
        self.settings.push((setting, value));
    }

    /// Creates a key by the operator's command line.
    pub fn key(&self, organization: &str, capabilities: &[&str]) -> Result<Credential> {
        self.named_key(organization, "contract", capabilities)
    }

    /// Creates a key of this name by the operator's command line.
    pub fn named_key(
        &self,
        organization: &str,
        name: &str,
        capabilities: &[&str],
    ) -> Result<Credential> {
        let mut command = self.command();
        command.args(["key", "create", "--org", organization, "--name", name]);
        for capability in capabilities {
            command.args(["--capability", capability]);
        }
        let key = workspace::answer(&mut command)?;
        let key = key.strip_suffix('\n').unwrap_or(&key);
        anyhow::ensure!(
            key.starts_with("wa_") && !key.contains(char::is_whitespace),
            "the key is not alone on stdout: {key:?}"
        );
        Ok(Credential::Key(key.to_owned()))
    }

    /// Revokes the key of this name by the operator's command line.
    pub fn revoke_key(&self, organization: &str, name: &str) -> Result<()> {
        let listed = self.listed_keys(organization)?;
        let key = listed.iter().find(|key| key["name"] == name).context("the key is not listed")?;
        let id = key["id"].as_str().context("the key has no id")?;
        let mut command = self.command();
        command.args(["key", "revoke", "--org", organization, id]);
        workspace::answer(&mut command).map(drop)
    }

    /// Returns the keys of an organization as the operator's command line lists them.
    pub fn listed_keys(&self, organization: &str) -> Result<Vec<Value>> {
        let mut command = self.command();
        command.args(["key", "list", "--org", organization, "--json"]);
        Ok(serde_json::from_str(&workspace::answer(&mut command)?)?)
    }

    /// Returns `berth` with the settings of this stack and without the `BERTH_` variables of the
    /// shell.
    pub fn command(&self) -> Command {
        let mut command = Command::new(self.programs.program("berth"));
        command.current_dir(self.folder.path());
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("BERTH_") {
                command.env_remove(name);
            }
        }
        command.envs(self.settings.iter().map(|(name, value)| (name, value)));
        command
    }

    /// Kills programs. [`recover`](Self::recover) brings them back.
    pub fn kill(&mut self, victim: Victim) -> Result<()> {
        let gateway = self.gateway();
        if victim != Victim::Berth {
            anyhow::ensure!(!gateway.is_empty(), "there is no gateway to kill");
            for pid in &gateway {
                process::signal(*pid, Signal::KILL);
            }
            wait::until_true("a killed gateway is gone", ORPHAN, || Ok(!any_runs(&gateway)))?;
        }
        if victim != Victim::Gateway
            && let Some(mut berth) = self.berth.take()
        {
            berth.kill()?;
            let gone = wait::until_true("a gateway ends when its berth is gone", ORPHAN, || {
                Ok(!any_runs(&gateway))
            });
            drop(berth); // kills the rest of the process group
            gone?;
        }
        Ok(())
    }

    /// Waits until everything runs again: starts a killed router; the router restarts its gateway.
    pub fn recover(&mut self) -> Result<()> {
        if self.berth.is_none() {
            self.start_berth()?;
        }
        wait::until_true("berth has a gateway again", READY, || {
            self.berth.as_mut().map_or(Ok(()), Process::must_run)?;
            Ok(!self.gateway().is_empty())
        })
    }

    /// Returns the address of a listener by the name of its setting.
    pub fn address(&self, setting: &str) -> Result<SocketAddr> {
        let (_, value) = self
            .settings
            .iter()
            .find(|(name, _)| *name == setting)
            .with_context(|| format!("{setting} is not set"))?;
        let value = value.strip_prefix("ws://").unwrap_or(value);
        let value = value.split('/').next().unwrap_or_default();
        value.parse().with_context(|| format!("{setting} holds no address"))
    }

    /// Returns the process id of the router; `None` while the router does not run.
    pub fn berth_id(&self) -> Option<u32> {
        self.berth.as_ref().map(Process::id)
    }

    /// Returns the process id of the gateway; empty while the gateway restarts.
    pub fn gateway(&self) -> Vec<u32> {
        self.berth.as_ref().map(|b| process::children(b.id(), GATEWAY)).unwrap_or_default()
    }

    /// Stops the router as an operator does; the router must end its gateway first.
    pub fn stop_berth(&mut self) -> Result<()> {
        let gateway = self.gateway();
        let Some(mut berth) = self.berth.take() else { return Ok(()) };
        let status = berth.stop()?;
        anyhow::ensure!(status.success(), "berth ended with {status} after SIGTERM");
        anyhow::ensure!(!any_runs(&gateway), "berth ended before its gateway");
        Ok(())
    }

    /// Returns the file with the log of the router.
    pub fn log(&self) -> &Path {
        &self.log
    }

    /// Returns the folder with the keys of the node.
    pub fn node_disk(&self) -> PathBuf {
        self.folder.path().join("gateway")
    }

    /// Returns whether a file of this stack's folder, or the log, contains the bytes. The files
    /// include the database of SQLite.
    pub fn has_written(&self, bytes: &[u8]) -> Result<bool> {
        let mut files = vec![self.log.clone()];
        for entry in fs::read_dir(self.folder.path())? {
            files.push(entry?.path());
        }
        let holds = |file: &PathBuf| contains(&fs::read(file).unwrap_or_default(), bytes);
        Ok(files.iter().filter(|file| file.is_file()).any(holds))
    }

    /// Returns the size in bytes of the database's files for SQLite in this stack's folder;
    /// otherwise 0.
    pub fn database_files(&self) -> Result<u64> {
        let mut size = 0;
        for entry in fs::read_dir(self.folder.path())? {
            let entry = entry?;
            if entry.file_name().to_string_lossy().starts_with("berth.db") {
                size += entry.metadata()?.len();
            }
        }
        Ok(size)
    }

    /// Returns the files on the node's disk that contain the session's id in the name or the
    /// content.
    pub fn files_of(&self, session: &str) -> Result<Vec<PathBuf>> {
        let mut found = Vec::new();
        let mut folders = vec![self.node_disk()];
        while let Some(folder) = folders.pop() {
            let Ok(entries) = fs::read_dir(&folder) else { continue };
            for entry in entries {
                let path = entry?.path();
                if path.is_dir() {
                    folders.push(path);
                } else if names(&path, session) {
                    found.push(path);
                }
            }
        }
        Ok(found)
    }

    /// Returns the log lines of router and gateway that name this session, without the access log.
    pub fn log_of(&self, session: &str) -> String {
        let text = fs::read(&self.log).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let about = |line: &&str| line.contains(session) && !line.contains(" request method=");
        text.lines().filter(about).collect::<Vec<_>>().join("\n")
    }

    /// Returns the end of the router's log, which contains the gateway's log.
    pub fn tail(&self) -> String {
        let text = fs::read(&self.log).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        // Tests poll with these requests.
        let looks = |line: &&str| {
            line.contains("\"session_view\" status=200")
                || line.contains("\"session_identity\" status=200")
        };
        let lines: Vec<_> = text.lines().filter(|line| !looks(line)).collect();
        let end = lines[lines.len().saturating_sub(25)..].join("\n");
        format!("the end of {}:\n{end}", self.log.display())
    }
}

fn names(file: &Path, session: &str) -> bool {
    let held = fs::read(file).unwrap_or_default();
    contains(&held, session.as_bytes()) || file.to_string_lossy().contains(session)
}

pub(crate) fn contains(bytes: &[u8], wanted: &[u8]) -> bool {
    bytes.windows(wanted.len()).any(|window| window == wanted)
}

fn any_runs(gateways: &[u32]) -> bool {
    gateways.iter().any(|pid| process::runs(*pid, GATEWAY))
}

/// Empties a log and returns its path.
fn fresh(path: PathBuf) -> Result<PathBuf> {
    fs::write(&path, "").with_context(|| path.display().to_string())?;
    Ok(path)
}
