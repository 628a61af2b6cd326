//! One router and one separate node, with a proxy on every connection between the programs and to
//! the outside.

use std::{net::SocketAddr, process::Command, time::Duration};

use anyhow::{Context as _, Result};
use testbed::{
    client::Api, folder::random_hex, ports, postgres::Cluster, process::Process, stack::Stack, wait,
};

use crate::{Plan, certificates::Certificates, deadlines, proxy::Proxy};

const NODE: &str = "gw-1";
const READY: Duration = Duration::from_secs(40);

/// A connection, from the side that connects to the side that accepts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wire {
    RouterToNode,
    NodeToRouter,
    NodeToWhatsApp,
    RouterToDatabase,
}

/// The programs and the proxies between them.
#[derive(Debug)]
pub(crate) struct Fleet {
    // Dropped in this order: each program ends before the programs that it needs.
    node: Process,
    stack: Stack,
    router_to_node: Proxy,
    node_to_router: Proxy,
    whatsapp: Proxy,
    database: Option<Proxy>,
}

impl Fleet {
    /// Starts the programs. With a cluster, the router uses a new database of the cluster.
    pub(crate) fn start(plan: &Plan, name: &str, cluster: Option<&Cluster>) -> Result<Self> {
        Self::start_with_tls(plan, name, cluster, None)
    }

    /// Like [`start`](Self::start). With certificates, router and node speak TLS.
    pub(crate) fn start_with_tls(
        plan: &Plan,
        name: &str,
        cluster: Option<&Cluster>,
        tls: Option<&Certificates>,
    ) -> Result<Self> {
        let token = random_hex(20)?;
        let (database, url) = match cluster {
            Some(cluster) => {
                let url = cluster.create_database(&name.replace('-', "_"))?;
                let proxy = Proxy::to(address_of(&url)?)?;
                let url = url.replace(&address_of(&url)?.to_string(), &proxy.address().to_string());
                (Some(proxy), Some(url))
            }
            None => (None, None),
        };
        let mut settings = deadlines::settings(plan.extent);
        settings.push(("BERTH_NODE_TOKENS", format!("{NODE}={token}")));
        settings.extend(tls.into_iter().flat_map(Certificates::of_router));
        let stack = Stack::start(&plan.programs, name, &plan.logs, url, &settings)?;
        let listen = SocketAddr::from(([127, 0, 0, 1], ports::free()?));
        let router_to_node = Proxy::to(listen)?;
        let node_to_router = Proxy::to(stack.address("BERTH_NODE_LISTEN")?)?;
        let whatsapp = Proxy::to(stack.address("BERTH_WHATSAPP_URL")?)?;
        let scheme = if tls.is_some() { "https" } else { "http" };
        let mut command = Command::new(plan.programs.program("berth-gateway"));
        command
            .envs(tls.into_iter().flat_map(Certificates::of_node))
            .args(["--id", NODE, "--listen", &listen.to_string()])
            .args(["--advertise", &format!("{scheme}://{}", router_to_node.address())])
            .args(["--router", &format!("{scheme}://{}", node_to_router.address())])
            .args(["--whatsapp-url", &format!("ws://{}/ws/chat", whatsapp.address())])
            .arg("--data")
            .arg(stack.node_disk())
            .env("BERTH_NODE_TOKEN", token);
        let log = plan.logs.join(format!("{name}-node.log"));
        std::fs::write(&log, "")?;
        let node = Process::spawn("berth-gateway", &mut command, Some(&log))?;
        let fleet = Self { node, stack, router_to_node, node_to_router, whatsapp, database };
        fleet.until_registered()?;
        Ok(fleet)
    }

    fn until_registered(&self) -> Result<()> {
        wait::until_true("the node has registered", READY, || {
            let metrics = self.stack.operator.get("/metrics")?.expect(200)?;
            let up = format!("berth_gateway_up{{gateway=\"{NODE}\"}} 1");
            Ok(String::from_utf8_lossy(&metrics.body).contains(&up))
        })
        .with_context(|| self.tail())
    }

    /// Returns a client of an organization.
    pub(crate) fn client(&self) -> Result<Api> {
        Ok(self.stack.api.with_credential(Some(self.stack.key("wires", &["manage"])?)))
    }

    /// Restarts the router with this command.
    pub(crate) fn restart_router(&mut self, command: &mut Command) -> Result<()> {
        self.stack.stop_berth()?;
        self.stack.start_berth_as(command, None)?;
        self.until_registered()
    }

    /// Returns the router and the simulated WhatsApp.
    pub(crate) fn stack(&self) -> &Stack {
        &self.stack
    }

    /// Returns the proxy of a connection.
    pub(crate) fn wire(&self, wire: Wire) -> Result<&Proxy> {
        match wire {
            Wire::RouterToNode => Ok(&self.router_to_node),
            Wire::NodeToRouter => Ok(&self.node_to_router),
            Wire::NodeToWhatsApp => Ok(&self.whatsapp),
            Wire::RouterToDatabase => self.database.as_ref().context("SQLite is not wired"),
        }
    }

    /// Returns the ends of the logs of the router and the node.
    pub(crate) fn tail(&self) -> String {
        format!("{}\nthe end of the node's log:\n{}", self.stack.tail(), self.node.tail(15))
    }
}

/// Returns the address of the server in the URL of a database.
fn address_of(url: &str) -> Result<SocketAddr> {
    let host = url.rsplit('@').next().and_then(|rest| rest.split('/').next());
    host.unwrap_or_default().parse().context("a database without an address")
}
