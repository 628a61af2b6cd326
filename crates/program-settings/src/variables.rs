//! The environment: `NAME_FILE` for every `NAME`, and variables that neither program reads.

use std::{
    collections::{BTreeMap, BTreeSet},
    ffi::{OsStr, OsString},
    fs::File,
    io::{Error, ErrorKind, Read as _, Result as IoResult},
    path::Path,
};

use clap::Command;

use crate::{
    names::{FILE_SUFFIX, PREFIX, is_known},
    text::clean,
    unknown::{UnknownVariable, is_service_link},
};

/// The maximum length of a value; a key set has some kilobytes.
const MAX_VALUE_BYTES: u64 = 1024 * 1024;

/// A variable cannot be used. The message has one line and never contains the value.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct InvalidVariable(String);

/// The `BERTH_*` variables at the start of the program.
pub struct Variables(BTreeMap<OsString, OsString>);

impl FromIterator<(OsString, OsString)> for Variables {
    fn from_iter<T: IntoIterator<Item = (OsString, OsString)>>(all: T) -> Self {
        let ours = |name: &OsStr| name.as_encoded_bytes().starts_with(PREFIX.as_bytes());
        Self(all.into_iter().filter(|(name, _)| ours(name)).collect())
    }
}

impl Variables {
    /// Returns the variables of this process.
    pub fn of_process() -> Self {
        std::env::vars_os().collect()
    }

    /// Returns the value of a setting: the value of the variable, or the content of the file that
    /// `NAME_FILE` names, without one final newline. `None` if neither is given.
    ///
    /// # Errors
    /// Fails when both are given, when the value is not UTF-8, and when the file is blank or cannot
    /// be read.
    pub fn value(&self, name: &str) -> Result<Option<String>, InvalidVariable> {
        let (given, file) = (self.text(name)?, format!("{name}{FILE_SUFFIX}"));
        let Some(path) = self.text(&file)? else { return Ok(given.map(str::to_owned)) };
        if given.is_some() {
            return Err(InvalidVariable(format!(
                "{name} and {file} are both given; unset one of them"
            )));
        }
        let path = clean(path)
            .map_err(|invisible| InvalidVariable(format!("{file} is wrong: {invisible}")))?;
        let path = path.unwrap_or_default();
        match read(Path::new(path)) {
            Ok(text) if text.trim().is_empty() => {
                Err(InvalidVariable(format!("{file} names the empty file {path:?}")))
            }
            Ok(text) => Ok(Some(text)),
            Err(error) => Err(InvalidVariable(format!(
                "{file} names {path:?}, which cannot be read: {error}"
            ))),
        }
    }

    /// Sets the values of `NAME_FILE` as defaults of every argument that can be given as `NAME`.
    /// Flags win over both. A blank variable counts as not given.
    ///
    /// # Errors
    /// Fails like [`value`](Self::value), for any argument of the command and of its subcommands.
    pub fn fill(&self, command: Command) -> Result<Command, InvalidVariable> {
        let mut names = BTreeSet::new();
        collect_variables(&command, &mut names);
        let mut others = BTreeMap::new();
        // Each variable is read once: a pipe can be read only once, and subcommands share settings.
        for name in names {
            let value = self.value(&name)?;
            let is_there = self.0.contains_key(OsStr::new(&name));
            if self.text(&name)?.is_none() && (is_there || value.is_some()) {
                others.insert(name, value);
            }
        }
        Ok(fill_arguments(command, &others))
    }

    /// Returns the variables that neither program reads. Variables that Kubernetes sets for a
    /// Service are left out.
    pub fn unknown(&self) -> Vec<UnknownVariable> {
        let unknown = self.0.iter().filter(|(name, value)| {
            let name = name.to_string_lossy();
            !is_known(&name) && !is_service_link(&name, &value.to_string_lossy())
        });
        unknown.map(|(name, _)| UnknownVariable::new(&name.to_string_lossy())).collect()
    }

    /// Logs warnings with the names of the unknown variables, and of those with white space around their
    /// values. An unknown variable may be a setting with a typing error, whose default is then in force.
    pub fn log_warnings(&self) {
        let unknown = self.unknown();
        if !unknown.is_empty() {
            let variables = unknown.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
            tracing::warn!(variables, "unknown environment variables are ignored");
        }
        let padded = self.padded();
        if !padded.is_empty() {
            let variables = padded.join(", ");
            tracing::warn!(variables, "white space around the values of variables is ignored");
        }
    }

    /// Returns the known variables whose values have white space around them, which both programs
    /// ignore. A secret that ends with a newline is a common mistake, and other programs that get
    /// the same secret may not ignore the newline.
    pub fn padded(&self) -> Vec<&str> {
        let padded = self.0.iter().filter_map(|(name, value)| {
            let (name, value) = (name.to_str()?, value.to_str()?);
            (is_known(name) && !value.trim().is_empty() && value.trim() != value).then_some(name)
        });
        padded.collect()
    }

    /// Returns the text of a variable; `None` if the text is blank.
    fn text(&self, name: &str) -> Result<Option<&str>, InvalidVariable> {
        let Some(value) = self.0.get(OsStr::new(name)) else { return Ok(None) };
        let text = value.to_str().ok_or_else(|| InvalidVariable(format!("{name} is not UTF-8")))?;
        Ok(Some(text).filter(|text| !text.trim().is_empty()))
    }
}

fn read(path: &Path) -> IoResult<String> {
    let mut text = String::new();
    File::open(path)?.take(MAX_VALUE_BYTES + 1).read_to_string(&mut text)?;
    if u64::try_from(text.len()).is_ok_and(|length| length > MAX_VALUE_BYTES) {
        return Err(Error::new(ErrorKind::FileTooLarge, "the file is longer than 1 MiB"));
    }
    if text.ends_with('\n') {
        text.pop();
    }
    Ok(text)
}

fn collect_variables(command: &Command, names: &mut BTreeSet<String>) {
    let variables = command.get_arguments().filter_map(|argument| argument.get_env()?.to_str());
    names.extend(variables.map(str::to_owned));
    command.get_subcommands().for_each(|command| collect_variables(command, names));
}

/// Sets defaults for arguments whose variable is unset or blank.
fn fill_arguments(command: Command, values: &BTreeMap<String, Option<String>>) -> Command {
    let command = command.mut_args(|argument| {
        let name = argument.get_env().and_then(OsStr::to_str);
        let Some(value) = name.and_then(|name| values.get(name)) else { return argument };
        // `clap` takes a blank variable as a value.
        let argument = argument.env(None::<&'static str>);
        match value {
            Some(text) => {
                argument.default_value(text.clone()).hide_default_value(true).required(false)
            }
            None => argument,
        }
    });
    command.mut_subcommands(|command| fill_arguments(command, values))
}

#[cfg(test)]
mod tests {
    use clap::Arg;

    use super::*;

    fn variables(given: &[(&str, &str)]) -> Variables {
        given.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect()
    }

    /// Creates a file with this content; the file lives as long as its folder.
    fn file(content: &[u8]) -> (tempfile::TempDir, String) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret");
        std::fs::write(&path, content).unwrap();
        let path = path.to_str().unwrap().to_owned();
        (folder, path)
    }

    fn value(given: &[(&str, &str)]) -> Result<Option<String>, String> {
        variables(given).value("BERTH_LOG").map_err(|error| error.to_string())
    }

    #[test]
    fn value_is_read_from_the_variable_or_from_the_file_without_one_newline() {
        assert_eq!(value(&[]), Ok(None));
        assert_eq!(value(&[("BERTH_LOG", "\n")]), Ok(None));
        assert_eq!(value(&[("BERTH_LOG", "info")]), Ok(Some("info".into())));
        for (content, text) in [("info", "info"), ("info\n", "info"), ("info\n\n", "info\n")] {
            let (_folder, path) = file(content.as_bytes());
            assert_eq!(value(&[("BERTH_LOG_FILE", &path)]), Ok(Some(text.into())));
            let blank = [("BERTH_LOG", " "), ("BERTH_LOG_FILE", &format!("{path}\n"))];
            assert_eq!(value(&blank), Ok(Some(text.into())), "a blank variable is not given");
        }
    }

    #[test]
    fn unusable_value_is_rejected_by_name_and_never_shown() {
        let (_folder, path) = file(b"canary");
        let both = value(&[("BERTH_LOG", "canary"), ("BERTH_LOG_FILE", &path)]).unwrap_err();
        assert!(both.contains("BERTH_LOG and BERTH_LOG_FILE"), "{both}");
        let missing = format!("{path}-not");
        let (_empty, empty) = file(b"\n");
        let (_binary, binary) = file(b"canary\xff");
        let (_long, long) = file(&b"canary".repeat(200_000));
        for (path, word) in [
            (missing.as_str(), "No such file"),
            (&empty, "empty"),
            (&binary, "UTF-8"),
            (&long, "longer"),
            ("/", "directory"),
        ] {
            let error = value(&[("BERTH_LOG_FILE", path)]).unwrap_err();
            assert!(error.contains("BERTH_LOG_FILE") && error.contains(path), "{error}");
            assert!(error.contains(word) && !error.contains("canary"), "{error}");
        }
        let error = value(&[("BERTH_LOG_FILE", "a\nb")]).unwrap_err();
        assert!(error.contains("BERTH_LOG_FILE") && error.contains("U+000A"), "{error}");
    }

    #[cfg(unix)]
    #[test]
    fn value_that_is_not_utf_8_is_rejected_by_name() {
        use std::os::unix::ffi::OsStringExt as _;
        let odd = OsString::from_vec(b"canary\xff".to_vec());
        let variables = Variables::from_iter([("BERTH_LOG".into(), odd)]);
        assert_eq!(variables.value("BERTH_LOG").unwrap_err().to_string(), "BERTH_LOG is not UTF-8");
    }

    fn command() -> Command {
        let log = || Arg::new("log").long("log").env("BERTH_LOG").global(false);
        let port = Arg::new("port").long("port").required(true).env("BERTH_PORT");
        Command::new("program").arg(log()).subcommand(Command::new("sub").arg(log()).arg(port))
    }

    #[test]
    fn file_sets_the_argument_of_every_subcommand_and_a_flag_wins() {
        let (_folder, path) = file(b"info\n");
        let (_other, port) = file(b"7\n");
        let given = [("BERTH_LOG_FILE", path.as_str()), ("BERTH_PORT_FILE", &port)];
        let parse = |arguments: &[&str]| {
            let command = variables(&given).fill(command()).unwrap();
            command.try_get_matches_from(arguments).unwrap()
        };
        let log = |matches: &clap::ArgMatches| matches.get_one::<String>("log").cloned();
        assert_eq!(log(&parse(&["program"])).as_deref(), Some("info"));
        assert_eq!(log(&parse(&["program", "--log", "warn"])).as_deref(), Some("warn"));
        let matches = parse(&["program", "sub"]);
        let sub = matches.subcommand_matches("sub").unwrap();
        assert_eq!(log(sub).as_deref(), Some("info"));
        assert_eq!(sub.get_one::<String>("port").map(String::as_str), Some("7"));
        let help = variables(&given).fill(command()).unwrap().render_help().to_string();
        assert!(!help.contains("info"), "{help}");
        assert!(variables(&[("BERTH_PORT_FILE", "/")]).fill(command()).is_err());
    }

    #[test]
    fn unknown_variables_are_listed_without_their_values() {
        let given = [
            ("BERTH_LOG", "x"),
            ("BERTH_LOG_FILE", "x"),
            ("BERTH_NODE_TOKEN", "x"),
            ("BERTH_NODE_TOKENS_FILE", "x"),
            ("PATH", "x"),
            ("NOT_BERTH_LOG", "x"),
            ("BERTH_FILE", "canary"),
            ("BERTH_LOG_FILE_FILE", "canary"),
            ("BERTH_LOGS", "canary"),
            ("BERTH_A\nB", "canary"),
        ];
        let unknown = variables(&given).unknown();
        let names: Vec<_> = unknown.iter().map(|variable| variable.name.as_str()).collect();
        assert_eq!(names, ["BERTH_A\\nB", "BERTH_FILE", "BERTH_LOGS", "BERTH_LOG_FILE_FILE"]);
        assert_eq!(unknown[2].to_string(), "BERTH_LOGS (did you mean BERTH_LOG?)");
    }

    #[test]
    fn variables_of_kubernetes_services_are_not_unknown() {
        let given = [("BERTH_PORT", "tcp://10.0.0.1:80"), ("BERTH_SERVICE_HOST", "10.0.0.1")];
        assert_eq!(variables(&given).unknown(), []);
    }

    #[test]
    fn padded_values_are_listed_by_name() {
        let given = [
            ("BERTH_LOG", "info\n"),
            ("BERTH_LISTEN", "127.0.0.1:0"),
            ("BERTH_JWKS", " "),
            ("BERTH_NODE_TOKEN", " canary"),
            ("BERTH_LOGS", "x\n"),
        ];
        assert_eq!(variables(&given).padded(), ["BERTH_LOG", "BERTH_NODE_TOKEN"]);
    }
}
