//! Dependencies that a manifest declares and no source names.

use std::{collections::BTreeSet, fs};

use anyhow::{Context as _, Result};
use proc_macro2::TokenStream;
use rust_tokens::mentions;
use serde_json::Value;
use testbed::workspace::Workspace;

/// Dependencies that are declared for their features or their version alone: package, dependency.
const UNNAMED: [(&str, &str); 0] = [];

/// Returns the dependencies of a package that none of these sources names.
pub(super) fn unused(package: &Value, sources: &[TokenStream]) -> Vec<String> {
    let name = package["name"].as_str().unwrap_or_default();
    let declared = package["dependencies"].as_array().into_iter().flatten();
    let mut unused = BTreeSet::new();
    for dependency in declared {
        let of = dependency["name"].as_str().unwrap_or_default();
        let renamed = dependency["rename"].as_str().unwrap_or(of);
        let word = renamed.replace('-', "_");
        let used = sources.iter().any(|source| mentions(source.clone(), &word));
        if !used && !UNNAMED.contains(&(name, of)) {
            unused.insert(format!("{name} declares {renamed}, and no source names it"));
        }
    }
    unused.into_iter().collect()
}

/// Returns the dependencies of the workspace that no package declares.
pub(super) fn unused_by_all(workspace: &Workspace) -> Result<Vec<String>> {
    let manifest = workspace.root.join("Cargo.toml");
    let text = fs::read_to_string(&manifest).with_context(|| manifest.display().to_string())?;
    let declared = workspace.packages.iter().flat_map(|package| {
        let dependencies = package["dependencies"].as_array().into_iter().flatten();
        dependencies.filter_map(|dependency| dependency["name"].as_str())
    });
    Ok(undeclared(&text, &declared.collect()))
}

fn undeclared(manifest: &str, declared: &BTreeSet<&str>) -> Vec<String> {
    let section = manifest.split("[workspace.dependencies]").nth(1).unwrap_or_default();
    let section = section.split("\n[").next().unwrap_or_default();
    let names = section.lines().filter(|line| !line.starts_with('#'));
    let names = names.filter_map(|line| Some(line.split_once('=')?.0.trim()));
    let unused = names.filter(|name| !declared.contains(name));
    unused.map(|name| format!("Cargo.toml offers {name}, and no package takes it")).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn dependency_without_a_mention_is_unused() {
        let package = json!({ "name": "p", "dependencies": [
            { "name": "serde-json" }, { "name": "idle" }, { "name": "a", "rename": "b" },
        ] });
        let source = "// idle\nuse serde_json::Value; fn f() { b::g(\"idle\") }".parse().unwrap();
        assert_eq!(unused(&package, &[source]), ["p declares idle, and no source names it"]);
    }

    #[test]
    fn workspace_dependency_without_a_package_is_unused() {
        let manifest =
            "[workspace.dependencies]\n# ours\na = \"1\"\nb = { version = \"2\" }\n\n[x]\nc = 1\n";
        let unused = undeclared(manifest, &BTreeSet::from(["a"]));
        assert_eq!(unused, ["Cargo.toml offers b, and no package takes it"]);
    }
}
