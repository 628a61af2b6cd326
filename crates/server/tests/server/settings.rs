//! Where settings come from, and what is said of bad ones.

use crate::berth::{Berth, Folder, shown, text};

#[test]
fn flags_win_then_variables_then_the_file() {
    let folder = Folder::new();
    // Three loopback addresses tell who was heard.
    let file = folder.write(
        "berth.toml",
        "[listeners]\nlisten = '127.0.0.1:0'\nnode_listen = '127.0.0.1:0'\nops_listen = '127.0.0.1:0'\n\
         [log]\nlog_format = 'json'\n",
    );
    let mut command = folder.command(&["--config", &shown(&file), "--ops-listen", "127.0.0.3:0"]);
    command.env("BERTH_NODE_LISTEN", "127.0.0.2:0").env("BERTH_OPS_LISTEN", "127.0.0.2:0");
    let berth = Berth::start(command);
    let at = |name| berth.address(name).rsplit_once(':').unwrap().0.to_owned();
    assert_eq!(
        [at("listen"), at("node_listen"), at("ops_listen")],
        ["127.0.0.1", "127.0.0.2", "127.0.0.3"]
    );
}

#[test]
fn the_file_can_be_named_by_a_variable_too() {
    let folder = Folder::new();
    let file = folder.write("berth.toml", "[log]\nlog_format = 'yaml'\n");
    let ended = folder.command(&[]).env("BERTH_CONFIG", file).output().unwrap();
    assert_eq!(ended.status.code(), Some(2));
    assert!(text(&ended.stderr).contains("yaml"));
}

/// What is said, besides the log, when it does not start for this: one line.
fn complaint(file: &str, variables: &[(&str, &str)], flags: &[&str]) -> String {
    let folder = Folder::new();
    let path = shown(&folder.write("berth.toml", file));
    let mut command = folder.command(&["serve", "--config", &path]);
    command.env("BERTH_LOG", "off").args(flags).envs(variables.iter().copied());
    let ended = command.output().unwrap();
    let said = text(&ended.stderr);
    assert_eq!(ended.status.code(), Some(2), "{said}");
    assert_eq!((said.lines().count(), text(&ended.stdout).as_str()), (1, ""), "{said}");
    assert!(!said.contains("canary"), "{said}");
    said
}

#[test]
fn a_bad_setting_is_one_line_and_exit_code_2() {
    for (file, variables, flags, words) in [
        ("[listeners]\nlisten = 'x'", &[][..], &[][..], ["listen", "\"x\""]),
        ("", &[("BERTH_NODE_LISTEN", "y")], &[], ["node_listen", "\"y\""]),
        ("", &[], &["--ops-listen", "z"], ["ops_listen", "\"z\""]),
        ("[listeners]\nport = 1", &[], &[], ["line 2", "port"]),
        ("listen = 'canary'", &[], &[], ["line 1", "unknown field"]),
        ("[[gateway]]\nid = 'a'\ntoken = 'canary'", &[], &[], ["gateway", "16 to 512"]),
        ("", &[("BERTH_NODE_TOKENS", "canary")], &[], ["node_tokens", "ID=TOKEN"]),
        ("", &[("BERTH_JWKS", "no-such-file.json")], &[], ["jwks", "no-such-file.json"]),
        ("", &[("BERTH_JWKS", "{\"keys\":[]}")], &[], ["jwks", "key"]),
        ("", &[("BERTH_DATABASE_URL", "mysql://canary@x/y")], &[], ["database", "postgres://"]),
        ("", &[("BERTH_LOG_FORMAT", "xml")], &[], ["log_format", "xml"]),
    ] {
        let said = complaint(file, variables, flags);
        assert!(words.iter().all(|word| said.contains(word)), "{said}");
    }
}

#[test]
fn help_shows_no_secret_of_the_environment() {
    let folder = Folder::new();
    for arguments in [&["--help"][..], &["serve", "--help"], &["key", "create", "--help"]] {
        let mut command = folder.command(arguments);
        for variable in ["BERTH_DATABASE_URL", "BERTH_NODE_TOKENS", "BERTH_JWKS"] {
            command.env(variable, "canary");
        }
        let help = command.output().unwrap();
        assert!(help.status.success());
        let help = text(&help.stdout);
        assert!(help.contains("BERTH_DATABASE_URL") && !help.contains("canary"), "{help}");
    }
}

#[test]
fn it_says_its_version() {
    let said = Folder::new().run(&["--version"]);
    assert_eq!(text(&said.stdout), format!("berth {}\n", env!("CARGO_PKG_VERSION")));
}
