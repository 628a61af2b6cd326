//! A fleet on PostgreSQL whose programs are replaced one by one, at the same addresses.

use std::{collections::BTreeMap, path::PathBuf, process::Command, time::Duration};

use anyhow::{Context as _, Result, ensure};
use testbed::{
    client::{Api, Credential},
    folder::{Folder, random_hex},
    phones::Phones,
    ports,
    process::Process,
    programs::Programs,
    simulated_whatsapp::SimulatedWhatsapp,
    wait,
    workspace::{self, Workspace},
};

use super::{CAPABILITIES, WEBHOOKS};

const READY: Duration = Duration::from_secs(60);
const NODE: &str = "gw-1";

/// A process of the fleet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Member {
    /// The router that the node calls.
    FirstRouter,
    /// The other router.
    SecondRouter,
    /// The only node, which calls the first router.
    Node,
}

/// The ports of a router.
struct Ports {
    public: u16,
    nodes: u16,
    operator: u16,
}

/// The processes and what they share.
pub(super) struct Fleet {
    // Dropped in this order: the folder is removed after the programs have ended.
    running: BTreeMap<Member, Process>,
    _whatsapp: SimulatedWhatsapp,
    /// The simulated network with its phones.
    pub(super) phones: Phones,
    folder: Folder,
    logs: PathBuf,
    name: &'static str,
    database: String,
    whatsapp_url: String,
    token: String,
    seal_key: String,
    routers: [Ports; 2],
    programs: Programs,
}

impl Fleet {
    /// Starts the simulated network of `programs`, and no member yet.
    pub(super) fn start(
        workspace: &Workspace,
        programs: &Programs,
        name: &'static str,
        database: &str,
    ) -> Result<Self> {
        let logs = workspace.scratch("logs")?;
        let (chat, control) = (local(ports::free()?), local(ports::free()?));
        let log = logs.join(format!("{name}-whatsapp-sim.log"));
        let mut whatsapp = SimulatedWhatsapp::start(programs, (&chat, &control), None, &log)?;
        let phones = Phones::at(&format!("http://{control}"));
        whatsapp.wait_ready(&phones)?;
        let ports = || {
            let (public, nodes, operator) = (ports::free()?, ports::free()?, ports::free()?);
            anyhow::Ok(Ports { public, nodes, operator })
        };
        Ok(Self {
            running: BTreeMap::new(),
            _whatsapp: whatsapp,
            phones,
            folder: Folder::new(name)?,
            logs,
            name,
            database: database.to_owned(),
            whatsapp_url: format!("ws://{chat}/ws/chat"),
            token: random_hex(20)?,
            seal_key: "a=AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=".to_owned(),
            routers: [ports()?, ports()?],
            programs: programs.clone(),
        })
    }

    /// Stops the member if it runs, starts these programs in its place, and waits until a router is
    /// ready.
    pub(super) fn run(&mut self, member: Member, programs: &Programs) -> Result<()> {
        if let Some(mut before) = self.running.remove(&member) {
            let status = before.stop()?;
            ensure!(status.success(), "{member:?} ended with {status} after SIGTERM");
        }
        let mut command = match member {
            Member::Node => self.node(programs),
            Member::FirstRouter => self.router(programs, &self.routers[0], "serve"),
            Member::SecondRouter => self.router(programs, &self.routers[1], "serve"),
        };
        let log = self.logs.join(format!("{}-{member:?}.log", self.name));
        let mut process = Process::spawn(&format!("{member:?}"), &mut command, Some(&log))?;
        if let Some(router) = self.router_of(member) {
            let operator = Api::new(&format!("http://{}", local(router.operator)), None);
            let ready = wait::until("the router is ready", READY, || {
                if let Err(ended) = process.must_run() {
                    return Ok(Some(Err(ended)));
                }
                Ok((operator.get("/readyz")?.status == 200).then_some(Ok(())))
            });
            ready.and_then(|outcome| outcome)?;
        }
        self.running.insert(member, process);
        Ok(())
    }

    fn router_of(&self, member: Member) -> Option<&Ports> {
        match member {
            Member::FirstRouter => Some(&self.routers[0]),
            Member::SecondRouter => Some(&self.routers[1]),
            Member::Node => None,
        }
    }

    /// Waits until the first router has a heartbeat of the node.
    pub(super) fn until_node_is_registered(&self) -> Result<()> {
        let operator = Api::new(&format!("http://{}", local(self.routers[0].operator)), None);
        let line = format!("berth_gateway_up{{gateway=\"{NODE}\"}} 1");
        wait::until_true("the node is registered", READY, || {
            let text = String::from_utf8(operator.get("/metrics")?.expect(200)?.body)?;
            Ok(text.lines().any(|exposed| exposed == line))
        })
    }

    /// Returns clients of both routers, with one key.
    pub(super) fn apis(&self) -> Result<[Api; 2]> {
        let mut command = self.router(&self.programs, &self.routers[0], "key");
        command.args(["create", "--org", "acme", "--name", "upgrade"]);
        for capability in CAPABILITIES {
            command.args(["--capability", capability]);
        }
        let key = workspace::answer(&mut command).context("the key")?;
        let key = Credential::Key(key.trim().to_owned());
        let api = |router: &Ports| {
            Api::new(&format!("http://{}", local(router.public)), Some(key.clone()))
        };
        Ok([api(&self.routers[0]), api(&self.routers[1])])
    }

    /// Stops everything in order.
    pub(super) fn stop(mut self) -> Result<()> {
        for member in [Member::Node, Member::SecondRouter, Member::FirstRouter] {
            if let Some(mut process) = self.running.remove(&member) {
                let status = process.stop()?;
                ensure!(status.success(), "{member:?} ended with {status} after SIGTERM");
            }
        }
        Ok(())
    }

    fn router(&self, programs: &Programs, router: &Ports, action: &str) -> Command {
        let mut command = self.command(programs, "berth");
        command
            .arg(action)
            .env("BERTH_DATABASE_URL", &self.database)
            .env("BERTH_LISTEN", local(router.public))
            .env("BERTH_NODE_LISTEN", local(router.nodes))
            .env("BERTH_OPS_LISTEN", local(router.operator))
            .env("BERTH_NODE_TOKENS", format!("{NODE}={}", self.token))
            .env("BERTH_SEAL_KEYS", &self.seal_key)
            .env(WEBHOOKS.0, WEBHOOKS.1);
        command
    }

    fn node(&self, programs: &Programs) -> Command {
        let mut command = self.command(programs, "berth-gateway");
        command
            .env("BERTH_GATEWAY_ID", NODE)
            .env("BERTH_GATEWAY_ROUTER", format!("http://{}", local(self.routers[0].nodes)))
            .env("BERTH_GATEWAY_DATA", self.folder.path().join("node"))
            .env("BERTH_NODE_TOKEN", &self.token)
            .env("BERTH_WHATSAPP_URL", &self.whatsapp_url);
        command
    }

    fn command(&self, programs: &Programs, name: &str) -> Command {
        let mut command = Command::new(programs.program(name));
        command.current_dir(self.folder.path());
        for (variable, _) in std::env::vars_os() {
            if variable.to_string_lossy().starts_with("BERTH_") {
                command.env_remove(variable);
            }
        }
        // The log tells which call between router and node failed, and why.
        command.env("BERTH_LOG", "info,gateway_client=debug");
        command
    }
}

fn local(port: u16) -> String {
    format!("127.0.0.1:{port}")
}
