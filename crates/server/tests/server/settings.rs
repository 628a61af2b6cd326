//! The sources of settings, and the messages for invalid settings.

use crate::berth::{Berth, Folder, shown, text};

#[test]
fn flags_win_then_variables_then_the_file() {
    let folder = Folder::new();
    // Three loopback addresses distinguish the sources.
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
fn variable_names_the_file() {
    let folder = Folder::new();
    let file = folder.write("berth.toml", "[log]\nlog_format = 'yaml'\n");
    let ended = folder.command(&[]).env("BERTH_CONFIG", file).output().unwrap();
    assert_eq!(ended.status.code(), Some(2));
    assert!(text(&ended.stderr).contains("yaml"));
}

/// Returns the message of a failed start. Checks that the message is one line and exit code 2.
fn start_error(file: &str, variables: &[(&str, &str)], flags: &[&str]) -> String {
    let folder = Folder::new();
    let path = shown(&folder.write("berth.toml", file));
    let mut command = folder.command(&["serve", "--config", &path]);
    command.env("BERTH_LOG", "off").args(flags).envs(variables.iter().copied());
    let ended = command.output().unwrap();
    let message = text(&ended.stderr);
    assert_eq!(ended.status.code(), Some(2), "{message}");
    assert_eq!((message.lines().count(), text(&ended.stdout).as_str()), (1, ""), "{message}");
    assert!(!message.contains("canary"), "{message}");
    message
}

#[test]
fn invalid_setting_is_one_line_and_exit_code_2() {
    for (file, variables, flags, words) in [
        ("[listeners]\nlisten = 'x'", &[][..], &[][..], ["listen", "\"x\""]),
        ("", &[("BERTH_NODE_LISTEN", "y")], &[], ["node_listen", "\"y\""]),
        ("", &[], &["--ops-listen", "z"], ["ops_listen", "\"z\""]),
        ("[listeners]\nport = 1", &[], &[], ["line 2", "port"]),
        ("listen = 'canary'", &[], &[], ["line 1", "unknown field"]),
        ("[listeners]\nlisen = 'canary'", &[], &[], ["line 2", "did you mean `listen`?"]),
        ("[[gateway]]\nid = 'a'\ntoken = 'canary'", &[], &[], ["gateway", "16 to 512"]),
        ("", &[("BERTH_NODE_TOKENS", "canary")], &[], ["node_tokens", "ID=TOKEN"]),
        ("", &[("BERTH_JWKS", "no-such-file.json")], &[], ["jwks", "no-such-file.json"]),
        ("", &[("BERTH_JWKS", "{\"keys\":[]}")], &[], ["jwks", "key"]),
        ("", &[("BERTH_DATABASE_URL", "mysql://canary@x/y")], &[], ["database", "postgres://"]),
        ("", &[("BERTH_LOG_FORMAT", "xml")], &[], ["log_format", "xml"]),
    ] {
        let message = start_error(file, variables, flags);
        assert!(words.iter().all(|word| message.contains(word)), "{message}");
    }
}

/// Files with secrets usually end with a newline.
#[test]
fn newline_at_the_end_of_a_setting_is_ignored() {
    let folder = Folder::new();
    let database = format!("sqlite:{}\n", folder.path("berth.db").display());
    let keys = format!("{}\n", folder.path("keys").display());
    let config = folder.write("berth.toml", "[listeners]\nlisten = \" 127.0.0.1:0\\n\"\n");
    let mut command = folder.command(&["serve", "--node-listen", "127.0.0.1:0 "]);
    command
        .env("BERTH_CONFIG", format!("{}\n", shown(&config)))
        .env("BERTH_DATABASE_URL", database)
        .env("BERTH_GATEWAY_DATA", keys)
        .env("BERTH_LOG", "info\n")
        .env("BERTH_LOG_FORMAT", "json\n")
        .env("BERTH_OPS_LISTEN", "127.0.0.1:0\r\n");
    let berth = Berth::start(command);
    assert_eq!(berth.get("ops_listen", "/readyz", None).status, 200);
    let message = berth.logged("white space around the values of variables is ignored");
    assert!(message["variables"].as_str().unwrap().contains("BERTH_DATABASE_URL, "), "{message}");
    let database = ["berth.db", "berth.db-server.lock", "berth.db-shm", "berth.db-wal"];
    let expected: Vec<_> = database.into_iter().chain(["berth.toml", "seal.key"]).collect();
    assert_eq!(folder.names(), expected);
}

#[test]
fn setting_with_an_invisible_character_is_refused_and_creates_no_file() {
    for (variable, value) in [
        ("BERTH_DATABASE_URL", "sqlite:canary\nx"),
        ("BERTH_GATEWAY_DATA", "\u{feff}canary"),
        ("BERTH_JWT_ISSUER", "https://canary\u{200b}"),
        ("BERTH_JWT_AUDIENCE", "canary\tx"),
        ("BERTH_LOG", "info,\nwarn"),
        ("BERTH_NODE_TOKENS", "gw-1=canarycanarycanary,\ngw-2=canarycanarycanary"),
        ("BERTH_CONFIG", "canary\nx"),
    ] {
        let folder = Folder::new();
        let ended = folder.command(&["serve"]).env(variable, value).output().unwrap();
        let message = text(&ended.stderr);
        assert_eq!((ended.status.code(), message.lines().count()), (Some(2), 1), "{message}");
        let name = variable.trim_start_matches("BERTH_").to_lowercase();
        assert!(
            message.contains(&format!("the setting {name} ")) && message.contains("U+"),
            "{message}"
        );
        assert!(!message.contains("canary"), "{message}");
        assert!(folder.names().is_empty(), "{:?}", folder.names());
    }
}

#[test]
fn value_can_be_in_a_file_that_a_variable_names() {
    let folder = Folder::new();
    let database = format!("sqlite:{}\n", folder.path("other.db").display());
    let database = shown(&folder.write("database", &database));
    let file = [("BERTH_DATABASE_URL_FILE", database.as_str()), ("BERTH_DATABASE_URL", "")];
    let berth = folder.serve_with(&file);
    assert_eq!(berth.get("ops_listen", "/readyz", None).status, 200);
    assert!(folder.names().contains(&"other.db".to_owned()), "{:?}", folder.names());
    let mut key = folder.command(&["key", "list", "--org", "acme"]);
    assert!(key.envs(file).status().unwrap().success());
    assert!(!folder.names().contains(&"berth.db".to_owned()), "{:?}", folder.names());
}

#[test]
fn unusable_value_file_is_refused_with_variable_and_path() {
    let folder = Folder::new();
    let good = shown(&folder.write("good", "canary"));
    let empty = shown(&folder.write("empty", "\n"));
    for (variables, words) in [
        (&[("BERTH_JWKS_FILE", "no-such-file")][..], ["BERTH_JWKS_FILE", "no-such-file"]),
        (&[("BERTH_JWKS_FILE", "/")], ["BERTH_JWKS_FILE", "\"/\""]),
        (&[("BERTH_LOG_FILE", &empty)], ["BERTH_LOG_FILE", &empty]),
        (&[("BERTH_JWKS_FILE", &good), ("BERTH_JWKS", "canary")], ["BERTH_JWKS ", "both"]),
        (&[("BERTH_CONFIG_FILE", "no-such-file")], ["BERTH_CONFIG_FILE", "no-such-file"]),
    ] {
        let ended = folder.command(&["serve"]).envs(variables.iter().copied()).output().unwrap();
        let message = text(&ended.stderr);
        assert_eq!((ended.status.code(), message.lines().count()), (Some(2), 1), "{message}");
        assert!(words.iter().all(|word| message.contains(word)), "{message}");
        assert!(!message.contains("canary"), "{message}");
    }
}

#[test]
fn unknown_variable_is_logged_by_name_without_its_value() {
    let folder = Folder::new();
    let variables = [
        ("BERTH_DATABASE_URI", "canary"),
        ("BERTH_GATEWAY_CAPACITY", "7"),
        ("BERTH_NODE_TOKEN_FILE", "nowhere"),
        ("BERTH_PORT", "tcp://10.0.0.1:8080"),
        ("BERTH_SERVICE_HOST", "10.0.0.1"),
        ("BERTHA", "canary"),
    ];
    let berth = folder.serve_with(&variables);
    let message = berth.logged("unknown environment variables are ignored");
    assert_eq!(
        (&message["level"], &message["variables"]),
        (&"WARN".into(), &"BERTH_DATABASE_URI (did you mean BERTH_DATABASE_URL?)".into())
    );
    assert!(!message.to_string().contains("canary"), "{message}");
    let list = folder.command(&["key", "list", "--org", "acme"]).envs(variables).output().unwrap();
    assert!(text(&list.stderr).contains("BERTH_DATABASE_URI"), "{}", text(&list.stderr));
}

#[test]
fn help_shows_no_secret_of_the_environment() {
    let folder = Folder::new();
    for arguments in [&["--help"][..], &["serve", "--help"], &["key", "create", "--help"]] {
        let mut command = folder.command(arguments);
        for variable in ["BERTH_DATABASE_URL", "BERTH_NODE_TOKENS", "BERTH_JWKS"] {
            command.env(variable, "canary");
        }
        let secret = folder.write("secret", "canary");
        command.env("BERTH_LOG_FILE", secret);
        let help = command.output().unwrap();
        assert!(help.status.success());
        let help = text(&help.stdout);
        assert!(help.contains("BERTH_DATABASE_URL") && !help.contains("canary"), "{help}");
    }
}

#[test]
fn version_is_printed() {
    let message = Folder::new().run(&["--version"]);
    assert_eq!(text(&message.stdout), format!("berth {}\n", env!("CARGO_PKG_VERSION")));
}
