//! A network namespace in which a test runs again, with every address on its own loopback device and
//! no way out.

use std::{
    env, fs,
    net::SocketAddr,
    path::Path,
    process::{Command, Stdio},
};

use anyhow::{Context as _, Result, ensure};
use testbed::folder::Folder;

use crate::deployment::has_programs;

/// The environment variable that is set inside the namespace.
const INSIDE: &str = "BERTH_ACCEPTANCE_NAMESPACE";
/// The environment variable that skips the tests that need a namespace.
const WITHOUT: &str = "BERTH_TEST_NO_NAMESPACES";
/// Address of the name server inside the namespace.
pub const NAME_SERVER: SocketAddr =
    SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 53);

/// Makes every IPv4 and IPv6 address local, so that a connection to any of them ends at a listener
/// of the namespace, and no packet leaves. The name server and the file of hosts are those of the
/// folder `$1`; the rest is the command.
const SETUP: &str = r#"set -e
ip link set lo up
ip route add local 0.0.0.0/0 dev lo
ip -6 route add local ::/0 dev lo
for file in resolv.conf hosts nsswitch.conf; do mount --bind "$1/$file" "/etc/$file"; done
shift
exec "$@"
"#;
const NSSWITCH: &str = "hosts: files dns\n";
const HOSTS: &str = "127.0.0.1 localhost\n::1 localhost ip6-localhost\n";

/// Runs a test of the present program again inside a new namespace; `test` runs inside alone. `name`
/// is the test's full name.
///
/// # Errors
/// When the machine makes no namespaces, or the test fails inside; with the output of the test.
pub fn isolated(name: &str, test: impl FnOnce() -> Result<()>) -> Result<()> {
    if !has_programs()? {
        return Ok(());
    }
    if env::var_os(INSIDE).is_some() {
        return test();
    }
    if env::var_os(WITHOUT).is_some() {
        println!("skipped: {WITHOUT} is set");
        return Ok(());
    }
    let folder = Folder::new("namespace")?;
    fs::write(folder.path().join("resolv.conf"), resolver())?;
    fs::write(folder.path().join("hosts"), HOSTS)?;
    fs::write(folder.path().join("nsswitch.conf"), NSSWITCH)?;
    check(folder.path())?;
    let mut command = entering(folder.path());
    command.arg(env::current_exe()?).args(["--exact", name, "--nocapture", "--test-threads=1"]);
    let output = command.env(INSIDE, "1").stdin(Stdio::null()).output()?;
    let printed = [output.stdout, output.stderr].concat();
    let printed = String::from_utf8_lossy(&printed);
    ensure!(output.status.success(), "in the namespace:\n{printed}");
    ensure!(printed.contains("test result: ok. 1 passed;"), "{name} did not run:\n{printed}");
    Ok(())
}

/// Checks that the machine makes a namespace.
fn check(folder: &Path) -> Result<()> {
    let output = entering(folder).arg("true").stdin(Stdio::null()).output();
    let failure = || {
        format!(
            "no network namespace: this test needs root, or user namespaces, with `unshare` \
             (util-linux) and `ip` (iproute2); {WITHOUT}=1 skips it"
        )
    };
    let output = output.with_context(failure)?;
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    ensure!(output.status.success(), "{}:\n{errors}", failure());
    Ok(())
}

/// Returns a command that enters a new namespace, without the command to run.
fn entering(folder: &Path) -> Command {
    let mut command = Command::new("unshare");
    if !rustix::process::geteuid().is_root() {
        command.args(["--user", "--map-root-user"]);
    }
    command.args(["--net", "--mount", "--", "sh", "-c", SETUP, "sh"]).arg(folder);
    command
}

fn resolver() -> String {
    format!("nameserver {}\noptions timeout:1 attempts:2\n", NAME_SERVER.ip())
}
