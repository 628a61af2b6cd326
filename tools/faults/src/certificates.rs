//! A private authority with a certificate for this machine, made as `docs/operating.md` says.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, ensure};

const NEW_KEY: [&str; 9] = [
    "req",
    "-x509",
    "-newkey",
    "ec",
    "-pkeyopt",
    "ec_paramgen_curve:P-256",
    "-nodes",
    "-days",
    "30",
];

/// The files of an authority, and of a certificate for 127.0.0.1 that router and node share.
#[derive(Clone, Debug)]
pub(crate) struct Certificates {
    pub(crate) authority: PathBuf,
    pub(crate) certificate: PathBuf,
    pub(crate) key: PathBuf,
}

impl Certificates {
    /// Makes the files in a folder.
    pub(crate) fn make(folder: &Path) -> Result<Self> {
        fs::create_dir_all(folder)?;
        let file = |name: &str| folder.join(name);
        let (authority, authority_key) = (file("ca.pem"), file("ca.key"));
        let (certificate, key) = (file("tls.pem"), file("tls.key"));
        let mut first = Command::new("openssl");
        first.args(NEW_KEY).args(["-subj", "/CN=berth nodes"]);
        finish(first.arg("-keyout").arg(&authority_key).arg("-out").arg(&authority))?;
        let mut second = Command::new("openssl");
        second.args(NEW_KEY).arg("-CA").arg(&authority).arg("-CAkey").arg(&authority_key);
        second.args(["-subj", "/CN=gw-1", "-addext", "basicConstraints=critical,CA:FALSE"]);
        second.args(["-addext", "subjectAltName=IP:127.0.0.1"]);
        finish(second.arg("-keyout").arg(&key).arg("-out").arg(&certificate))?;
        Ok(Self { authority, certificate, key })
    }

    /// Returns the settings of the router.
    pub(crate) fn of_router(&self) -> [(&'static str, String); 3] {
        let text = |path: &Path| path.display().to_string();
        [
            ("BERTH_NODE_TLS_CERT", text(&self.certificate)),
            ("BERTH_NODE_TLS_KEY", text(&self.key)),
            ("BERTH_NODE_TLS_CA", text(&self.authority)),
        ]
    }

    /// Returns the settings of the node.
    pub(crate) fn of_node(&self) -> [(&'static str, &Path); 3] {
        [
            ("BERTH_GATEWAY_TLS_CERT", &self.certificate),
            ("BERTH_GATEWAY_TLS_KEY", &self.key),
            ("BERTH_NODE_TLS_CA", &self.authority),
        ]
    }
}

fn finish(command: &mut Command) -> Result<()> {
    let ended = command.output().context("openssl is not installed")?;
    ensure!(ended.status.success(), "openssl: {}", String::from_utf8_lossy(&ended.stderr));
    Ok(())
}
