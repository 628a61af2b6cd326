//! Reads the stages of `deploy/Dockerfile`: how each image starts its program.

use std::{collections::BTreeMap, fs};

use anyhow::{Context as _, Result, bail, ensure};
use testbed::workspace::Workspace;

/// The configuration of an image, as the last stage of its target gives it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct ImageConfig {
    pub(crate) base: String,
    pub(crate) environment: Vec<(String, String)>,
    pub(crate) labels: BTreeMap<String, String>,
    /// The program with the arguments that are always passed.
    pub(crate) entrypoint: Vec<String>,
    /// The arguments that `docker run` may replace.
    pub(crate) command: Vec<String>,
    pub(crate) health_check: Vec<String>,
    pub(crate) user: String,
    pub(crate) folder: String,
    pub(crate) volumes: Vec<String>,
    pub(crate) stop_signal: String,
    /// Owner, source and destination of each copy from the first stage.
    pub(crate) copies: Vec<(String, String, String)>,
}

/// Reads the stages by name.
pub(crate) fn read(workspace: &Workspace) -> Result<BTreeMap<String, ImageConfig>> {
    let path = workspace.root.join("deploy/Dockerfile");
    parse(&fs::read_to_string(&path).with_context(|| path.display().to_string())?)
}

fn parse(text: &str) -> Result<BTreeMap<String, ImageConfig>> {
    let mut stages = BTreeMap::new();
    let mut current: Option<(String, ImageConfig)> = None;
    for line in instructions(text) {
        let (instruction, rest) = line.split_once(' ').context("an instruction has an argument")?;
        if instruction == "FROM" {
            stages.extend(current.take());
            let (base, name) = rest.split_once(" AS ").context("a stage has a name")?;
            let base = base.to_owned();
            current = Some((name.to_owned(), ImageConfig { base, ..ImageConfig::default() }));
        } else if let Some((_, stage)) = &mut current {
            stage.apply(instruction, rest.trim()).with_context(|| line.clone())?;
        } else {
            ensure!(instruction == "ARG", "{line} stands before the first stage");
        }
    }
    stages.extend(current);
    Ok(stages)
}

/// Joins continued lines, without comments.
fn instructions(text: &str) -> Vec<String> {
    let lines = text.lines().map(str::trim);
    let lines = lines.filter(|line| !line.is_empty() && !line.starts_with('#'));
    let mut instructions = vec![String::new()];
    for line in lines {
        let Some(last) = instructions.last_mut() else { continue };
        last.push_str(line.trim_end_matches('\\'));
        if !line.ends_with('\\') {
            instructions.push(String::new());
        }
    }
    instructions.retain(|instruction| !instruction.is_empty());
    instructions
}

impl ImageConfig {
    fn apply(&mut self, instruction: &str, rest: &str) -> Result<()> {
        match instruction {
            "ENV" => self.environment.extend(pairs(rest)?),
            "LABEL" => self.labels.extend(pairs(rest)?),
            "ENTRYPOINT" => self.entrypoint = json_list(rest)?,
            "CMD" => self.command = json_list(rest)?,
            "HEALTHCHECK" => {
                let (_, command) = rest.split_once("CMD ").context("a health check has CMD")?;
                self.health_check = json_list(command)?;
            }
            "USER" => rest.clone_into(&mut self.user),
            "WORKDIR" => rest.clone_into(&mut self.folder),
            "VOLUME" => self.volumes = json_list(rest)?,
            "STOPSIGNAL" => rest.clone_into(&mut self.stop_signal),
            "COPY" if rest.starts_with("--from=build ") => self.copies.push(copy(rest)?),
            "ARG" | "COPY" | "EXPOSE" | "RUN" => {}
            other => bail!("the test does not know {other}"),
        }
        Ok(())
    }
}

/// Reads `["a", "b"]`: the form without a shell, which a distroless image needs.
fn json_list(json: &str) -> Result<Vec<String>> {
    serde_json::from_str(json).context("not in the form without a shell")
}

/// Reads `NAME=value OTHER="a value"`.
fn pairs(text: &str) -> Result<Vec<(String, String)>> {
    let mut pairs = Vec::new();
    let mut rest = text.trim();
    while !rest.is_empty() {
        let (name, after) = rest.split_once('=').context("a variable has a value")?;
        let (value, after) = match after.strip_prefix('"') {
            Some(quoted) => quoted.split_once('"').context("an open quotation mark")?,
            None => after.split_once(' ').unwrap_or((after, "")),
        };
        pairs.push((name.to_owned(), value.to_owned()));
        rest = after.trim_start();
    }
    Ok(pairs)
}

fn copy(rest: &str) -> Result<(String, String, String)> {
    let parts: Vec<_> = rest.split_whitespace().collect();
    let [_, owner, source, destination] = parts[..] else { bail!("a copy has four words") };
    let owner = owner.strip_prefix("--chown=").context("a copy names the owner")?;
    Ok((owner.to_owned(), source.to_owned(), destination.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stage_has_environment_and_program() {
        let text = "ARG X\nFROM x AS build\nRUN a && \\\n    b\n\nFROM ${Y} AS z\n# comment\n\
                    ENV A=1 \\\n    B=\"2 3\"\nUSER 1:1\nENTRYPOINT [\"/p\"]\nCMD [\"q\", \"r\"]\n\
                    COPY --from=build --chown=1:1 /a/ /\n";
        let stages = parse(text).unwrap();
        let z = &stages["z"];
        assert_eq!(stages.len(), 2);
        assert_eq!(z.base, "${Y}");
        assert_eq!(
            z.environment,
            [("A", "1"), ("B", "2 3")].map(|(n, v)| (n.to_owned(), v.to_owned()))
        );
        assert_eq!((z.user.as_str(), &*z.entrypoint[0], z.command.len()), ("1:1", "/p", 2));
        assert_eq!(z.copies, [("1:1".to_owned(), "/a/".to_owned(), "/".to_owned())]);
    }

    #[test]
    fn program_started_by_a_shell_is_an_error() {
        assert!(parse("FROM x AS y\nENTRYPOINT /p\n").is_err());
    }
}
