//! `docs/benchmarks.md`: the latest chapter of every measurement. A new chapter leaves the others
//! unchanged.

use std::{fmt::Write as _, fs, io};

use anyhow::{Context as _, Result};
use testbed::workspace::Workspace;

use crate::{ALL, options::Measure};

const PATH: &str = "docs/benchmarks.md";

const HEAD: &str = "\
# Benchmarks

<!-- Written by `cargo xtask bench`. Do not edit: run it again. -->

Figures of release builds over real sockets on loopback. `cargo xtask bench` measures all of them, and
`cargo xtask bench NAME` one of them. Each figure of speed stands beside a reference that the same run
measured; compare the ratios rather than the figures. Load and server share the cores of the machine.
`cargo xtask bench mixed writes --programs FOLDER --against FOLDER` compares two builds in one run and leaves this page
unchanged.
";

/// Replaces a chapter of the page.
pub(crate) fn keep(workspace: &Workspace, name: Measure, chapter: &str) -> Result<()> {
    let path = workspace.root.join(PATH);
    let old = match fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
        Err(error) => return Err(error).context(PATH),
    };
    fs::write(&path, merged(&old, name, chapter)).context(PATH)
}

/// Returns the page with this chapter instead of the chapter of the same name.
fn merged(old: &str, name: Measure, chapter: &str) -> String {
    let mut page = HEAD.to_owned();
    for (each, _) in ALL {
        let kept = if each == name { Some(chapter) } else { chapter_of(old, each) };
        if let Some(kept) = kept {
            let _ = writeln!(page, "\n{}\n{}", mark(each), kept.trim());
        }
    }
    page
}

/// Returns the text between the mark of a chapter and the next mark.
fn chapter_of(page: &str, name: Measure) -> Option<&str> {
    let (_, rest) = page.split_once(&mark(name))?;
    Some(rest.split("<!-- bench: ").next().unwrap_or(rest))
}

fn mark(name: Measure) -> String {
    format!("<!-- bench: {} -->", name.name())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn new_chapter_replaces_the_old_one() {
        let page = merged("", Measure::Get, "## G1");
        let page = merged(&page, Measure::Start, "## S1");
        let page = merged(&page, Measure::Get, "## G2\n\ntext");
        let (start, get) =
            ("<!-- bench: start -->\n## S1\n", "<!-- bench: get -->\n## G2\n\ntext\n");
        assert_eq!(page, format!("{HEAD}\n{start}\n{get}"));
        assert_eq!(merged(&page, Measure::Start, "## S1"), page);
    }
}
