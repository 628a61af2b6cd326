//! Tests of the sources of settings and the cleaning of values.

use secrecy::ExposeSecret as _;

use super::*;

fn file(text: &str) -> Result<Settings, Invalid> {
    Settings::from_toml(text, Path::new("berth.toml"))
}

#[test]
fn file_gives_the_values_that_flags_and_variables_lack() {
    let mut flags = Settings::default();
    flags.listeners.listen = Some("127.0.0.1:1".into());
    flags.listeners.node_listen = Some(String::new());
    let file = file(
        "[listeners]\nlisten = '127.0.0.1:2'\nnode_listen = '127.0.0.1:3'\n\
         [database]\ndatabase_url = 'sqlite:x'",
    );
    let all = flags.cleaned().unwrap().or(file.unwrap());
    assert_eq!(all.listeners.listen.as_deref(), Some("127.0.0.1:1"));
    assert_eq!(
        all.listeners.node_listen.as_deref(),
        Some("127.0.0.1:3"),
        "a blank value counts as absent"
    );
    assert_eq!(all.database.database_url.unwrap().expose_secret(), "sqlite:x");
}

#[test]
fn error_in_the_file_has_the_line_number_and_not_the_text() {
    for (text, line, word) in [
        ("[listeners]\nlissen = 'x'", 2, "lissen"),
        ("[listener]\nlisten = 'x'", 1, "listener"),
        ("\n\n[database]\ndatabase_url = 5", 4, "string"),
        ("[[gateway]]\nid = 'a'", 1, "token"),
        ("[database]\ndatabase_url = 'canary", 2, ""),
        ("node_tokens = 'a=canary'", 1, "node_tokens"),
    ] {
        let error = file(text).unwrap_err().to_string();
        assert!(error.starts_with(&format!("berth.toml, line {line}: ")), "{error}");
        assert!(error.contains(word), "{error}");
        assert!(!error.contains("canary") && !error.contains('\n'), "{error}");
    }
}

#[test]
fn values_of_every_type_are_cleaned_or_refused_by_name() {
    let text = "[database]\ndatabase_url = \"sqlite:x\\n\"\n[log]\nlog = ' info '\n\
                [login]\njwks = \"\"\"{\n\t\"keys\": []\n}\n\"\"\"\njwt_issuer = '  '\n\
                [[gateway]]\nid = \"a\\n\"\ntoken = \"b\\n\"\n\
                [organizations.\"acme\\n\"]\nidempotency_quota = ' 1MiB'";
    let all = file(text).unwrap().cleaned().unwrap();
    assert_eq!(all.database.database_url.unwrap().expose_secret(), "sqlite:x");
    assert_eq!((all.log.log.as_deref(), all.login.jwt_issuer), (Some("info"), None));
    assert_eq!(all.login.jwks.unwrap().0.expose_secret(), "{\n\t\"keys\": []\n}");
    assert_eq!((&*all.gateway[0].id, all.gateway[0].token.expose_secret()), ("a", "b"));
    assert_eq!(all.organizations["acme"].idempotency_quota.as_ref().unwrap().0, "1MiB");
    for (text, name) in [
        ("[organizations.\"canary\\tx\"]\nsession_quota = 1", "organizations"),
        ("[database]\ndatabase_url = \"canary\\nx\"", "database_url"),
        ("[login]\njwks = \"canary\\nx\"", "jwks"),
        ("[login]\njwks = \"{canary\\u0000}\"", "jwks"),
        ("[login]\njwt_issuer = \"\\uFEFFcanary\"", "jwt_issuer"),
        ("[[gateway]]\nid = \"a\"\ntoken = \"canary\\tx\"", "gateway"),
    ] {
        let error = file(text).unwrap().cleaned().unwrap_err().to_string();
        assert!(error.contains(&format!("setting {name} ")), "{error}");
        assert!(error.contains("U+") && !error.contains("canary"), "{error}");
    }
    let flags = Flags { config: Some("a\nb".into()), settings: Settings::default() };
    assert!(flags.gather().unwrap_err().to_string().contains("setting config "));
}

#[test]
fn secrets_are_not_shown() {
    let text = "[database]\ndatabase_url = 'canary'\n[login]\njwks = 'canary'\n\
                [[gateway]]\nid = 'a'\ntoken = 'canary'";
    let shown = format!("{:?}", file(text).unwrap());
    assert!(!shown.contains("canary"), "{shown}");
}
