//! The licence of each crate, and the texts of the licences.

use std::{fs, path::Path};

use anyhow::{Context as _, Result};
use testbed::workspace::Workspace;

/// The crates that link the WhatsApp engine, whose Signal part is AGPL-3.0.
const AGPL: [&str; 2] = ["gateway", "whatsapp-sim"];
const PERMISSIVE: &str = "MIT OR Apache-2.0";

/// Returns crates with a wrong licence, and licences without a text.
pub(super) fn present(workspace: &Workspace) -> Result<Vec<String>> {
    let mut findings = Vec::new();
    for package in &workspace.packages {
        let name = package["name"].as_str().unwrap_or_default();
        let licence = package["license"].as_str().unwrap_or("nothing");
        let manifest = Path::new(package["manifest_path"].as_str().unwrap_or_default());
        let expected = if AGPL.contains(&name) { "AGPL-3.0-only" } else { PERMISSIVE };
        if licence != expected {
            findings.push(format!("{name} has the licence {licence} instead of {expected}"));
        }
        if AGPL.contains(&name) {
            let file = manifest.with_file_name("LICENSE");
            let text = fs::read_to_string(&file).with_context(|| file.display().to_string())?;
            if !text.contains("GNU AFFERO GENERAL PUBLIC LICENSE") {
                findings.push(format!("{} is not the text of the licence", file.display()));
            }
        }
    }
    for (file, words) in
        [("LICENSE-MIT", "Permission is hereby granted"), ("LICENSE-APACHE", "Apache License")]
    {
        let text = fs::read_to_string(workspace.root.join(file)).unwrap_or_default();
        if !text.contains(words) {
            findings.push(format!("{file} is missing"));
        }
    }
    Ok(findings)
}
