//! Checks of the images: the layout, and the life of a session on each of them.
//!
//! Decision: ADR 0059.

use std::{
    os::unix::fs::{MetadataExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use testbed::{
    checks::Checks,
    client::{Api, Credential},
    folder::{Folder, random_hex},
    phones::Phones,
    ports,
    programs::Programs,
    simulated_whatsapp::SimulatedWhatsapp,
    wait,
    workspace::{self, Workspace},
};

use crate::{
    container::{Container, Image, Run},
    dockerfile::{self, ImageConfig},
    life::Life,
};

const READY: Duration = Duration::from_secs(40);
/// The user of the base image's variant `nonroot`.
const USER: u32 = 65532;
/// The environment variable that skips the tests that need namespaces.
const WITHOUT_NAMESPACES: &str = "BERTH_TEST_NO_NAMESPACES";
const TARGETS: [&str; 3] = ["berth", "berth-gateway", "all-in-one"];

/// Checks the Dockerfile and runs its images.
pub(crate) fn check(workspace: &Workspace, programs: &Programs, checks: &mut Checks) {
    println!("\nimages");
    checks.check(
        "images: each target runs a program without a shell as an unprivileged user",
        || {
            let stages = dockerfile::read(workspace)?;
            for target in TARGETS {
                let config = stages.get(target).with_context(|| format!("no target {target}"))?;
                check_config(target, config).with_context(|| target.to_owned())?;
            }
            Ok(())
        },
    );
    checks.check("images: the script refuses a tree that the list does not have", || {
        let folder = Folder::new("tree")?;
        let mut script = Command::new(workspace.root.join("deploy/tree.sh"));
        script.arg("unknown").arg(programs.folder()).arg(folder.path());
        let refused = workspace::answer(&mut script).err().context("not refused")?.to_string();
        ensure!(refused.contains("has no tree unknown"), "{refused}");
        Ok(())
    });
    checks.check("images: the Dockerfile builds with the Rust version of the workspace", || {
        let text = std::fs::read_to_string(workspace.root.join("deploy/Dockerfile"))?;
        let package = workspace.packages.iter().find(|package| package["name"] == "server");
        let version = package.and_then(|package| package["rust_version"].as_str());
        let line = format!("ARG RUST_IMAGE=rust:{}-", version.context("no Rust version")?);
        ensure!(text.contains(&line), "there is no line {line}…");
        Ok(())
    });
    if !has_namespaces() {
        return;
    }
    checks.check("images: all-in-one carries a session as process 1 and as another", || {
        all_in_one(&Setting::new(workspace, programs)?)
    });
    checks.check(
        "images: berth and berth-gateway carry a session in containers of their own",
        || fleet(&Setting::new(workspace, programs)?),
    );
}

/// Whether the tests that need namespaces run. Prints why not.
pub(crate) fn has_namespaces() -> bool {
    let is_without = std::env::var_os(WITHOUT_NAMESPACES).is_some();
    if is_without {
        println!("  skipped: {WITHOUT_NAMESPACES} is set");
    }
    !is_without
}

fn check_config(target: &str, config: &ImageConfig) -> Result<()> {
    ensure!(config.base == "${BASE_IMAGE}", "the base is {}", config.base);
    ensure!(config.user == format!("{USER}:{USER}"), "the user is {}", config.user);
    ensure!(config.stop_signal == "SIGTERM", "the stop signal is {}", config.stop_signal);
    ensure!(config.folder == "/data" && config.volumes == ["/data"], "{:?}", config.volumes);
    let program = if target == "berth-gateway" { target } else { "berth" };
    ensure!(config.entrypoint == [format!("/usr/bin/{program}")], "{:?}", config.entrypoint);
    for label in ["title", "description", "version", "source", "licenses"] {
        let name = format!("org.opencontainers.image.{label}");
        ensure!(config.labels.contains_key(&name), "no label {name}");
    }
    let licence = &config.labels["org.opencontainers.image.licenses"];
    let is_agpl = target != "berth";
    ensure!(licence.contains("AGPL-3.0-only") == is_agpl, "the licence is {licence}");
    Ok(())
}

/// The machine around the containers: a simulated WhatsApp and the logs.
pub(crate) struct Setting<'a> {
    workspace: &'a Workspace,
    programs: &'a Programs,
    // Ends with the value.
    _whatsapp: SimulatedWhatsapp,
    pub(crate) phones: Phones,
    /// The variables that lead a program to the simulated WhatsApp.
    pub(crate) whatsapp_url: String,
    logs: PathBuf,
}

impl<'a> Setting<'a> {
    pub(crate) fn new(workspace: &'a Workspace, programs: &'a Programs) -> Result<Self> {
        ensure!(
            rustix::process::geteuid().is_root(),
            "namespaces and other users need root: run the test as root"
        );
        let logs = workspace.scratch("logs")?;
        let (chat, control) = (local(ports::free()?), local(ports::free()?));
        let log = logs.join("deploy-whatsapp-sim.log");
        let mut whatsapp = SimulatedWhatsapp::start(programs, (&chat, &control), None, &log)?;
        let phones = Phones::at(&format!("http://{control}"));
        whatsapp.wait_ready(&phones)?;
        let whatsapp_url = format!("ws://{chat}/ws/chat");
        Ok(Self { workspace, programs, _whatsapp: whatsapp, phones, whatsapp_url, logs })
    }

    fn image(&self, target: &str) -> Result<Image> {
        let stages = dockerfile::read(self.workspace)?;
        let config = stages.get(target).context("no such target")?;
        let image = Image::make(self.workspace, self.programs, target, config)?;
        let data = std::fs::metadata(image.root().join("data"))?;
        let (owner, mode) = (data.uid(), data.permissions().mode() & 0o7777);
        ensure!((owner, mode) == (USER, 0o700), "/data has the owner {owner} and mode {mode:o}");
        Ok(image)
    }

    fn log(&self, name: &str) -> Result<PathBuf> {
        let log = self.logs.join(format!("deploy-{name}.log"));
        std::fs::write(&log, "")?;
        Ok(log)
    }
}

pub(crate) fn local(port: u16) -> String {
    format!("127.0.0.1:{port}")
}

/// The clients of a router.
struct Clients {
    api: Api,
    operator: Api,
}

/// Returns the settings of a router with free ports, and its clients.
fn router_settings() -> Result<(Vec<(&'static str, String)>, Clients)> {
    let (public, operator) = (ports::free()?, ports::free()?);
    let settings = vec![
        ("BERTH_LISTEN", format!("0.0.0.0:{public}")),
        ("BERTH_NODE_LISTEN", local(ports::free()?)),
        ("BERTH_OPS_LISTEN", format!("0.0.0.0:{operator}")),
        ("BERTH_WEBHOOK_ALLOW", "127.0.0.0/8".to_owned()),
        ("BERTH_LOG_FORMAT", "text".to_owned()),
    ];
    let api = Api::new(&format!("http://{}", local(public)), None);
    let operator = Api::new(&format!("http://{}", local(operator)), None);
    Ok((settings, Clients { api, operator }))
}

impl Clients {
    fn wait_ready(&self, container: &mut Container) -> Result<()> {
        wait::until("berth is ready", READY, || {
            if let Err(ended) = container.must_run() {
                return Ok(Some(Err(ended)));
            }
            Ok((self.operator.get("/readyz")?.status == 200).then_some(Ok(())))
        })?
    }

    /// Creates a key by the program of the image, as `docker exec` does.
    fn with_key(&self, image: &Image, run: &Run) -> Result<Api> {
        let mut arguments = vec!["key", "create", "--org", "acme", "--name", "test"];
        for capability in ["manage", "read", "send"] {
            arguments.extend(["--capability", capability]);
        }
        let key = run.output(image, &arguments)?.trim().to_owned();
        Ok(self.api.with_credential(Some(Credential::Key(key))))
    }
}

/// Runs the life of a session, with a stop and a start in between.
fn all_in_one(setting: &Setting<'_>) -> Result<()> {
    let image = setting.image("all-in-one")?;
    let (mut settings, clients) = router_settings()?;
    settings.push(("BERTH_WHATSAPP_URL", setting.whatsapp_url.clone()));
    let run = Run::new(&image, settings)?;
    let log = setting.log("all-in-one")?;

    let mut first = Container::start(&image, &run, &log, true)?;
    clients.wait_ready(&mut first)?;
    must_be_confined(first.program_id()?, true)?;
    let api = clients.with_key(&image, &run)?;
    let life = Life::begin(&api, &setting.phones)?;
    must_be_healthy(&image, &run)?;
    let gateway = first.children("berth-gateway")?;
    ensure!(gateway.len() == 1, "berth has the gateways {gateway:?}");
    must_be_confined(gateway[0], true)?;
    first.stop(&gateway)?;

    let mut second = Container::start(&image, &run, &log, false)?;
    clients.wait_ready(&mut second)?;
    must_be_confined(second.program_id()?, false)?;
    life.session.until_status("working")?;
    life.talk("two")?;
    life.end()?;
    let gateway = second.children("berth-gateway")?;
    second.stop(&gateway)?;
    must_belong_to_the_user(&run.data())
}

/// Runs the health check of an image.
fn must_be_healthy(image: &Image, run: &Run) -> Result<()> {
    let check = image.config.health_check.split_first();
    let (program, arguments) = check.context("the image has no health check")?;
    ensure!(Some(program) == image.config.entrypoint.first(), "the health check runs {program}");
    let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
    run.output(image, &arguments).context("the health check fails").map(drop)
}

/// Runs the life of a session on a router and a node in containers of their own.
fn fleet(setting: &Setting<'_>) -> Result<()> {
    let (router, node) = (setting.image("berth")?, setting.image("berth-gateway")?);
    let (settings, clients) = router_settings()?;
    let run = Run::new(&router, settings)?;
    let listener = run.settings.iter().find(|(name, _)| *name == "BERTH_NODE_LISTEN");
    let listener = listener.context("the router listens for nodes")?.1.clone();
    let secret = format!("{}\n", random_hex(32)?);
    run.add_secret("fleet-secret", &secret)?;
    let mut run = run;
    run.settings.push(("BERTH_DATABASE_URL", "sqlite:/data/berth.db".to_owned()));
    let file = ("BERTH_FLEET_SECRET_FILE", "/run/secrets/fleet-secret".to_owned());
    run.settings.push(file.clone());
    run.settings.push(("BERTH_FLEET_NODES", "gw-*".to_owned()));
    let mut berth = Container::start(&router, &run, &setting.log("berth")?, true)?;
    clients.wait_ready(&mut berth)?;

    let (address, operator) = (local(ports::free()?), local(ports::free()?));
    let node_run = Run::new(
        &node,
        vec![
            ("BERTH_GATEWAY_ID", "gw-1".to_owned()),
            ("BERTH_GATEWAY_ROUTER", format!("http://{listener}")),
            ("BERTH_GATEWAY_LISTEN", address.clone()),
            ("BERTH_GATEWAY_OPS_LISTEN", operator),
            file,
            ("BERTH_WHATSAPP_URL", setting.whatsapp_url.clone()),
            ("BERTH_LOG_FORMAT", "text".to_owned()),
        ],
    )?;
    node_run.add_secret("fleet-secret", &secret)?;
    let mut gateway = Container::start(&node, &node_run, &setting.log("berth-gateway")?, true)?;
    wait::until_true("the node is registered", READY, || {
        gateway.must_run()?;
        let metrics = clients.operator.get("/metrics")?.expect(200)?.body;
        Ok(String::from_utf8(metrics)?.contains("berth_gateway_up{gateway=\"gw-1\"} 1"))
    })?;
    must_be_confined(gateway.program_id()?, true)?;
    must_be_healthy(&router, &run)?;
    must_be_healthy(&node, &node_run)?;
    let api = clients.with_key(&router, &run)?;
    Life::begin(&api, &setting.phones)?.end()?;
    gateway.stop(&[])?;
    berth.stop(&[])?;
    must_belong_to_the_user(&run.data())?;
    must_belong_to_the_user(&node_run.data())
}

/// Checks that a process has no privileges, a root that cannot be written, and the expected id.
fn must_be_confined(pid: u32, own_processes: bool) -> Result<()> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let field = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        line.map(|value| value.trim_start_matches(':').trim().replace('\t', " "))
            .context(name.to_owned())
    };
    let user = format!("{USER} {USER} {USER} {USER}");
    ensure!(field("Uid")? == user && field("Gid")? == user, "the user is {}", field("Uid")?);
    ensure!(field("Groups")?.is_empty(), "the groups are {}", field("Groups")?);
    ensure!(field("NoNewPrivs")? == "1", "the process may get new privileges");
    ensure!(u64::from_str_radix(&field("CapEff")?, 16)? == 0, "privileges: {}", field("CapEff")?);
    let mounts = std::fs::read_to_string(format!("/proc/{pid}/mountinfo"))?;
    let root = mounts.lines().find(|line| line.split(' ').nth(4) == Some("/"));
    let options = root.and_then(|line| line.split(' ').nth(5)).context("no root is mounted")?;
    ensure!(options.split(',').any(|option| option == "ro"), "the root has the options {options}");
    let ids = field("NSpid")?;
    let ids: Vec<_> = ids.split(' ').collect();
    ensure!(ids.len() == if own_processes { 2 } else { 1 }, "the process ids are {ids:?}");
    Ok(())
}

/// Checks that the program has written to the volume, as its user.
fn must_belong_to_the_user(data: &Path) -> Result<()> {
    let mut count = 0;
    let mut folders = vec![data.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder)? {
            let entry = entry?;
            let (path, metadata) = (entry.path(), entry.metadata()?);
            ensure!(metadata.uid() == USER, "{} belongs to {}", path.display(), metadata.uid());
            count += 1;
            if metadata.is_dir() {
                folders.push(path);
            }
        }
    }
    ensure!(count > 0, "{} is empty", data.display());
    Ok(())
}
