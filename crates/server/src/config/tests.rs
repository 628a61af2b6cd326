//! Tests of the checks: accepted values, refused values, and their messages.

use std::path::Path;

use super::*;

fn file(text: &str) -> Result<Config, Invalid> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("berth.toml");
    std::fs::write(&path, text).unwrap();
    Config::check(Settings::default().with_file(Some(&path))?)
}

#[test]
fn defaults_listen_on_loopback_and_use_a_local_gateway() {
    let config = Config::check(Settings::default()).unwrap();
    assert_eq!(config.database.url.expose_secret(), "sqlite:data/berth.db");
    let Listeners { public, nodes, ops } = config.listeners;
    assert!([public, nodes, ops].iter().all(|address| address.ip().is_loopback()));
    assert_eq!([public.port(), nodes.port(), ops.port()], [8080, 8081, 9090]);
    assert!(config.login.jwks.is_none());
    assert_eq!(config.deadlines, domain::Deadlines::default());
    assert_eq!(config.quotas.default, domain::ResourceLimits::DEFAULT);
    assert!(config.quotas.overrides.is_empty());
    let Gateways::Local(local) = config.gateways else { panic!("remote gateways") };
    assert_eq!((local.program, local.data), (None, "data/gateway".into()));
    assert_eq!((config.log.filter, config.log.format), (None, LogFormat::Text));
}

/// Returns the names of the settings as clap and serde know them.
fn names() -> Vec<String> {
    use clap::Args;
    let command = Settings::augment_args(clap::Command::new("berth"));
    command.get_arguments().map(|arg| arg.get_id().to_string()).collect()
}

#[test]
fn the_example_is_good_and_names_every_setting() {
    let text = include_str!("../../config.example.toml");
    file(text).unwrap();
    // With every comment taken off it is still good: what is commented out is a valid setting.
    let all: String = text
        .lines()
        .map(|line| line.strip_prefix("#: ").unwrap_or(line))
        .flat_map(|line| [line, "\n"])
        .collect();
    let config = file(&all).unwrap();
    assert!(matches!(config.gateways, Gateways::Remote(of) if of.tokens.len() == 1));
    for name in names().iter().filter(|name| *name != "node_tokens") {
        let line = format!("{name} = ");
        assert!(all.lines().any(|l| l.starts_with(&line)), "{name} is not in the example");
    }
    assert!(text.contains("BERTH_NODE_TOKENS"));
}

#[test]
fn what_the_example_shows_are_the_defaults() {
    let set: Vec<_> = include_str!("../../config.example.toml")
        .lines()
        .filter(|line| !line.starts_with('#') && line.contains(" = "))
        .collect();
    assert!(set.len() > 5, "{set:?}");
    let shown = format!("{:?}", file(include_str!("../../config.example.toml")).unwrap());
    assert_eq!(shown, format!("{:?}", Config::check(Settings::default()).unwrap()));
}

#[test]
fn every_name_is_the_variable_in_lower_case() {
    use clap::Args;
    let command = Settings::augment_args(clap::Command::new("berth"));
    for arg in command.get_arguments() {
        let variable = arg.get_env().unwrap().to_str().unwrap();
        assert_eq!(variable, format!("BERTH_{}", arg.get_id().as_str().to_uppercase()));
        let flag = arg.get_id().as_str().replace('_', "-");
        assert_eq!(arg.get_long(), Some(flag.as_str()));
    }
}

#[test]
fn error_is_one_line_that_names_the_setting() {
    for (text, words) in [
        ("[listeners]\nlisten = 'localhost'", ["listen", "localhost"]),
        ("[listeners]\nops_listen = '127.0.0.1:99999'", ["ops_listen", "99999"]),
        ("[login]\njwks = 'ftp://x/'", ["jwks", "https"]),
        ("[login]\njwks = 'http://id.example/'", ["jwks", "https"]),
        ("[login]\njwks_allow_http = 'yes'", ["line 2", "boolean"]),
        ("[login]\njwt_preset = 'mine'", ["jwt_preset", "keycloak"]),
        ("[login]\njwt_role_claim = 'role'", ["jwt_role_claim", "pointer"]),
        ("[deadlines]\nlogout_deadline = '10'", ["logout_deadline", "30s"]),
        ("[deadlines]\nlogout_deadline = '31s'", ["logout_deadline", "30 s"]),
        ("[deadlines]\nfeed_retention = '30'", ["feed_retention", "7d"]),
        ("[deadlines]\nfeed_retention = '59m'", ["feed_retention", "1h"]),
        ("[deadlines]\naudit_retention = '29d'", ["audit_retention", "feed_retention"]),
        ("[deadlines]\naudit_retention = 'never'", ["audit_retention", "7d"]),
        ("[limits]\ncredential_rate = -1", ["credential_rate", "whole number"]),
        ("[limits]\norganization_rate = 99999999999", ["organization_rate", "whole number"]),
        ("[limits]\npairing_rate = 1001", ["pairing_rate", "1000"]),
        ("[limits]\nsession_quota = '20k'", ["session_quota", "whole number"]),
        ("[limits]\nmetadata_quota = '64MB'", ["metadata_quota", "64MiB"]),
        ("[limits]\nmetadata_quota = true", ["line 2", "64MiB"]),
        ("[organizations.acme]\napi_key_quota = -1", ["api_key_quota", "acme"]),
        ("[organizations.acme]\nquota = 1", ["line 2", "quota"]),
        ("[organizations.'']\napi_key_quota = 1", ["organizations", "1 to 128"]),
        ("[browsers]\nui = 'no'", ["ui", "off"]),
        ("[browsers]\npublic_url = 'wa.example'", ["public_url", "https://HOST"]),
        ("[browsers]\npublic_url = 'https://wa.example/berth'", ["public_url", "path"]),
        ("[browsers]\npublic_url = 'http://wa.example'", ["public_url", "SSH tunnel"]),
        ("[browsers]\nui_handover_origins = 'app.example'", ["ui_handover_origins", "https://"]),
        ("[browsers]\nbrowser_idle = '1m'", ["browser_idle", "5m"]),
        ("[browsers]\nbrowser_lifetime = 'ever'", ["browser_lifetime", "7d"]),
        ("[browsers]\noidc_issuer = 'https://x'", ["oidc_client_id", "required"]),
        ("[browsers]\noidc_client_secret = 'canary'", ["oidc_issuer", "required"]),
        (
            "[browsers]\noidc_issuer = 'https://x'\noidc_client_id = 'a'\noidc_scopes = 'email'",
            ["oidc_scopes", "openid"],
        ),
        ("[log]\nlog_format = 'xml'", ["log_format", "json"]),
        ("[log]\nlog = 'a=b=c'", ["log", "filter"]),
        ("[[gateway]]\nid = 'a b'\ntoken = '0123456789abcdef'", ["gateway", "a b"]),
        ("[[gateway]]\nid = 'a'\ntoken = 'canary'", ["gateway", "16 to 512"]),
    ] {
        let error = file(text).unwrap_err().to_string();
        assert!(words.iter().all(|word| error.contains(word)), "{error}");
        assert!(!error.contains('\n') && !error.contains("canary"), "{error}");
    }
}

#[test]
fn audit_log_keeps_events_for_ever_or_longer_than_the_feed() {
    let retention = |text: &str| {
        let deadlines = file(&format!("[deadlines]\n{text}")).unwrap().deadlines;
        (deadlines.feed_retention.as_secs(), deadlines.audit_retention.map(|it| it.as_secs()))
    };
    assert_eq!(retention("feed_retention = '1h'"), (3_600, None));
    let both = "feed_retention = '2h'\naudit_retention = '2h'";
    assert_eq!(retention(both), (7_200, Some(7_200)));
    assert_eq!(retention("audit_retention = 'forever'"), (30 * 86_400, None));
}

#[test]
fn table_of_an_organization_overrides_the_common_quotas() {
    let text = "[limits]\nsession_quota = 5\nmetadata_quota = '2KiB'\nidempotency_quota = 0\n\
        [organizations.\"org:1\"]\nsession_quota = 0\nidempotency_quota = '1 MiB'";
    let quotas = file(text).unwrap().quotas;
    let usual = domain::ResourceLimits {
        sessions: Some(5),
        metadata: Some(2048),
        idempotency_records: None,
        ..domain::ResourceLimits::DEFAULT
    };
    let own =
        domain::ResourceLimits { sessions: None, idempotency_records: Some(1 << 20), ..usual };
    let of = |name| quotas.limits_of(&domain::OrganizationId::parse(name).unwrap());
    assert_eq!((of("org:1"), of("org:2")), (own, usual));
}

#[test]
fn plain_http_to_the_key_set_can_be_allowed() {
    let config = file("[login]\njwks = 'http://id.example/'\njwks_allow_http = true").unwrap();
    assert!(config.login.jwks.is_some());
}

#[test]
fn browsers_log_in_at_the_listener_by_default() {
    let browsers = Config::check(Settings::default()).unwrap().browsers;
    assert!(browsers.enabled && browsers.oidc.is_none() && browsers.public_url.is_none());
    assert_eq!(browsers.limits, domain::BrowserSessionLimits::default());
    let browsers = file(
        "[login]\njwt_preset = 'keycloak'\n[browsers]\nui = 'off'\n\
         public_url = 'https://WA.example:443/'\nui_handover_origins = 'https://App.example/, '\n\
         browser_idle = '1h'\noidc_issuer = 'https://id.example'\noidc_client_id = 'berth'\n\
         oidc_client_secret = 'canary'\noidc_scopes = 'openid organization'",
    );
    let browsers = browsers.unwrap().browsers;
    assert!(!format!("{browsers:?}").contains("canary"));
    assert_eq!(browsers.public_url.unwrap().origin(), "https://wa.example");
    assert_eq!(browsers.handover_origins, ["https://app.example"]);
    assert_eq!(browsers.limits.idle, Duration::from_secs(3_600));
    let oidc = browsers.oidc.unwrap();
    assert_eq!(oidc.client_secret.as_deref(), Some("canary"));
    assert_eq!(oidc.scopes, "openid organization");
    assert_eq!(Some(oidc.claims), ClaimPaths::preset("keycloak"));
    assert!(!browsers.enabled);
}

#[test]
fn claim_pointer_wins_over_the_preset() {
    let claims = file("[login]\njwt_preset = 'clerk'\njwt_role_claim = '/r'").unwrap().login.claims;
    let clerk = ClaimPaths::preset("clerk").unwrap();
    assert_eq!(claims, ClaimPaths { role: Pointer::parse("/r").unwrap(), ..clerk });
}

#[test]
fn listed_tokens_win_over_the_file_and_are_never_shown() {
    let mut settings = Settings::default();
    settings.remote.node_tokens = Some("gw-1=canary-canary-1==, gw-2=canary-canary-22".into());
    settings.gateway.push(settings::RemoteGateway { id: "gw-3".into(), token: "x".into() });
    let config = Config::check(settings).unwrap();
    assert!(!format!("{config:?}").contains("canary"));
    let Gateways::Remote(gateways) = config.gateways else { panic!("no remote gateways") };
    let tokens = gateways.tokens;
    let token = |id| tokens.get(&GatewayId::parse(id).unwrap()).map(ExposeSecret::expose_secret);
    assert_eq!(token("gw-1"), Some("canary-canary-1=="));
    assert_eq!((token("gw-2"), token("gw-3")), (Some("canary-canary-22"), None));
}

#[test]
fn error_of_a_token_list_shows_no_token() {
    for list in ["canary", "a=canary", "a=canarycanarycanary,a=canarycanarycanary"] {
        let mut settings = Settings::default();
        settings.remote.node_tokens = Some(list.into());
        let error = Config::check(settings).unwrap_err().to_string();
        assert!(!error.contains("canary"), "{error}");
    }
}

#[test]
fn missing_file_is_an_error() {
    let missing = Settings::default().with_file(Some(Path::new("no-such-berth.toml")));
    assert!(missing.unwrap_err().to_string().contains("no-such-berth.toml"));
}

#[test]
fn keep_alive_is_from_five_seconds_to_one_hour() {
    let keep_alive = |text: &str| file(&format!("[listeners]\nkeep_alive = '{text}'"));
    assert_eq!(keep_alive("650s").unwrap().connections.keep_alive, Duration::from_secs(650));
    let usual = Config::check(Settings::default()).unwrap().connections;
    assert!(usual.keep_alive > Duration::from_secs(120) && usual.trusted_proxies.is_empty());
    for wrong in ["0s", "4s", "2h", "soon"] {
        let error = keep_alive(wrong).unwrap_err().to_string();
        assert!(error.contains("keep_alive") && error.contains(wrong), "{error}");
    }
}

#[test]
fn trusted_proxies_are_networks() {
    let proxies = |text: &str| file(&format!("[listeners]\ntrusted_proxies = '{text}'"));
    let read = proxies(" 10.0.0.0/8, 192.0.2.7 ,2001:db8::/32,").unwrap().connections;
    let read: Vec<_> = read.trusted_proxies.iter().map(ToString::to_string).collect();
    assert_eq!(read, ["10.0.0.0/8", "192.0.2.7/32", "2001:db8::/32"]);
    for wrong in ["proxy.example", "10.0.0.0/40", "10.0.0.0/8;10.1.0.0/16"] {
        let error = proxies(wrong).unwrap_err().to_string();
        assert!(error.contains("trusted_proxies") && error.contains(wrong), "{error}");
    }
}
