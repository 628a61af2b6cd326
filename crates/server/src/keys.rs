//! The command `berth key`.
//!
//! Standard output has the key only, so that a script can capture it. Messages for people go to
//! standard error.

use std::{
    io::{Write, stderr, stdout},
    sync::Arc,
};

use anyhow::Result;
use auth::RandomKeyGenerator;
use domain::{
    ApiKey, ApiKeys, Caller, Capabilities, Capability, Error, FieldPath, KeySpec, NewApiKey,
    OrganizationId, SessionId, Timestamp,
    ports::{Environment, KeyPage, Position},
};
use serde_json::json;
use store_diesel::Database;

use crate::{
    cli::{CreateKey, DatabaseLocation, KeyCommand, ListKeys, RevokeKey},
    config::{self, Log},
    duration,
    environment::SystemEnvironment,
    invalid::Invalid,
    settings::{Flags, warn_of_variables},
    store, telemetry,
};

/// Runs a subcommand of `berth key`.
pub(crate) async fn run(command: KeyCommand) -> Result<()> {
    match command {
        KeyCommand::Create(command) => create(command).await,
        KeyCommand::List(command) => list(command).await,
        KeyCommand::Revoke(command) => revoke(command).await,
    }
}

async fn create(command: CreateKey) -> Result<()> {
    let CreateKey { org, name, capabilities, expires, sessions, database_location } = command;
    let caller = operator_of(&org)?;
    let environment = Arc::new(SystemEnvironment::default());
    let spec = KeySpec {
        name,
        capabilities: capabilities_of(&capabilities)?,
        expires_at: expires.map(|when| expiry(&when, environment.now())).transpose()?,
        sessions: (!sessions.is_empty()).then(|| sessions.clone()),
    };
    let made = open(database_location, environment).await?.create(&caller, spec, None).await;
    let new = made.map_err(|error| cli_error(error, &sessions))?;
    let NewApiKey { key, text } = new;
    writeln!(stdout(), "{text}")?;
    let until = key
        .expires_at
        .map_or("never expires".into(), |at| format!("expires {}", duration::format_time(at)));
    let can = capabilities.join(", ");
    writeln!(stderr(), "{} of {org}: can {can}; {until}. Keep it: it is not shown again.", key.id)?;
    Ok(())
}

async fn list(command: ListKeys) -> Result<()> {
    let caller = operator_of(&command.org)?;
    let keys =
        all_of(&open(command.database_location, Arc::default()).await?, &caller, PAGE).await?;
    let text = if command.json { as_json(&keys) } else { as_table(&keys) };
    write!(stdout(), "{text}")?;
    Ok(())
}

/// The number of keys that one query reads.
const PAGE: u32 = 500;

/// Returns every key of an organization, newest first, read in pages of `limit` keys.
async fn all_of(keys: &ApiKeys, caller: &Caller, limit: u32) -> Result<Vec<ApiKey>> {
    let (mut all, mut page) = (Vec::new(), KeyPage { after: None, limit });
    loop {
        let some = keys.list(caller, &page).await.map_err(plain_error)?;
        let Some(last) = some.last() else { return Ok(all) };
        page.after = Some(Position { created_at: last.created_at, id: last.id.clone() });
        all.extend(some);
    }
}

async fn revoke(command: RevokeKey) -> Result<()> {
    let caller = operator_of(&command.org)?;
    open(command.database_location, Arc::default())
        .await?
        .revoke(&caller, &command.id)
        .await
        .map_err(plain_error)?;
    writeln!(stderr(), "{} is revoked.", command.id)?;
    Ok(())
}

/// Opens the configured database and runs its migrations, because the first key may be created
/// before berth has ever served.
pub(crate) async fn database(database_location: DatabaseLocation) -> Result<Arc<Database>> {
    let settings = Flags::from(database_location).gather()?;
    telemetry::start(&Log::check(settings.log)?, "warn")?;
    warn_of_variables();
    Ok(Arc::new(store::open(&config::database(settings.database)).await?))
}

/// Opens the database and returns the use cases of API keys.
async fn open(
    database_location: DatabaseLocation,
    environment: Arc<SystemEnvironment>,
) -> Result<ApiKeys> {
    let database = database(database_location).await?;
    Ok(ApiKeys::new(
        database.clone(),
        database,
        Arc::new(RandomKeyGenerator::default()),
        environment,
    ))
}

pub(crate) fn operator_of(organization: &str) -> Result<Caller, Invalid> {
    OrganizationId::parse(organization)
        .map(Caller::operator)
        .ok_or_else(|| Invalid::new("--org must be 1 to 128 bytes without control characters"))
}

fn capabilities_of(names: &[String]) -> Result<Capabilities, Invalid> {
    let parse = |name: &String| {
        Capability::parse(name).ok_or_else(|| {
            Invalid::new(format!("--capability {name:?} is none of read, send and manage"))
        })
    };
    names.iter().map(parse).collect()
}

fn expiry(when: &str, now: Timestamp) -> Result<Timestamp, Invalid> {
    duration::parse_time(when, now).ok_or_else(|| {
        Invalid::new(format!("--expires {when:?} is neither a time from now, such as 90d or 12h, nor a time such as 2027-01-31T00:00:00Z"))
    })
}

/// Converts an error of a use case for the command line: fields become flags. `sessions` are the
/// values of `--session`.
fn cli_error(error: Error, sessions: &[String]) -> anyhow::Error {
    match error {
        Error::Validation(violations) => {
            let session = |index: usize| match sessions.get(index) {
                Some(id) => format!("--session {id:?}"),
                None => "--session".to_owned(),
            };
            let tell = |v: &domain::Violation| {
                let flag = match &v.field {
                    FieldPath::KeyExpiry => "--expires".to_owned(),
                    FieldPath::KeyCapabilities => "--capability".to_owned(),
                    FieldPath::KeyName => "--name".to_owned(),
                    FieldPath::KeySessions => "--session".to_owned(),
                    FieldPath::KeySession(index) => session(*index),
                    other => format!("{other:?}"),
                };
                format!("{flag}: {}", v.reason)
            };
            Invalid::new(violations.iter().map(tell).collect::<Vec<_>>().join("; ")).into()
        }
        other => other.into(),
    }
}

/// Converts an error of a use case that has no `--session`.
fn plain_error(error: Error) -> anyhow::Error {
    cli_error(error, &[])
}

fn as_json(keys: &[ApiKey]) -> String {
    let keys = keys.iter().map(|key| {
        json!({
            "id": key.id.as_str(),
            "name": key.name,
            "capabilities": key.capabilities.iter().map(Capability::as_str).collect::<Vec<_>>(),
            "sessions": key.sessions.as_ref().map(|sessions| {
                sessions.iter().map(SessionId::as_str).collect::<Vec<_>>()
            }),
            "createdAt": key.created_at.millis(),
            "expiresAt": key.expires_at.map(Timestamp::millis),
            "lastUsedAt": key.last_used_at.map(Timestamp::millis),
        })
    });
    format!("{:#}\n", serde_json::Value::Array(keys.collect()))
}

const TITLES: [&str; 6] = ["ID", "CAPABILITIES", "CREATED", "EXPIRES", "LAST USED", "NAME"];

fn as_table(keys: &[ApiKey]) -> String {
    let moment = |at: Option<Timestamp>| at.map_or("never".to_owned(), duration::format_time);
    let row = |key: &ApiKey| {
        let can = key.capabilities.iter().map(Capability::as_str).collect::<Vec<_>>().join(",");
        let (created, expires) = (duration::format_time(key.created_at), moment(key.expires_at));
        [key.id.to_string(), can, created, expires, moment(key.last_used_at), key.name.clone()]
    };
    let rows: Vec<_> =
        std::iter::once(TITLES.map(String::from)).chain(keys.iter().map(row)).collect();
    let width =
        |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: [usize; 6] = std::array::from_fn(width);
    let line = |row: &[String; 6]| {
        let cells = row.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}"));
        format!("{}\n", cells.collect::<Vec<_>>().join("  ").trim_end())
    };
    rows.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::{Actor, KeyId};

    fn key() -> ApiKey {
        ApiKey {
            id: KeyId::from_bits(1),
            organization: OrganizationId::parse("acme").unwrap(),
            name: "the shop".into(),
            capabilities: Capability::ALL.into_iter().collect(),
            sessions: None,
            digest: [7; 32],
            created_by: Actor::Operator,
            created_at: Timestamp::from_millis(0),
            expires_at: Some(Timestamp::from_millis(86_400_000)),
            last_used_at: None,
            revoked_at: None,
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn all_pages_of_keys_are_listed() {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite:{}", folder.path().join("berth.db").display());
        let database = Arc::new(store::open(&store_diesel::Config::new(url)).await.unwrap());
        let environment = Arc::new(SystemEnvironment::default());
        let keys = ApiKeys::new(
            database.clone(),
            database,
            Arc::new(RandomKeyGenerator::default()),
            environment,
        );
        let caller = operator_of("acme").unwrap();
        let mut made = Vec::new();
        for n in 0..5 {
            let spec = KeySpec {
                name: format!("key {n}"),
                capabilities: Capability::ALL.into_iter().collect(),
                expires_at: None,
                sessions: None,
            };
            made.insert(0, keys.create(&caller, spec, None).await.unwrap().key);
        }
        for limit in [1, 2, 5, 500] {
            assert_eq!(all_of(&keys, &caller, limit).await.unwrap(), made, "{limit}");
        }
    }

    #[test]
    fn list_is_a_table() {
        let table = as_table(&[key()]);
        let lines: Vec<_> = table.lines().collect();
        assert_eq!(lines.len(), 2);
        assert!(lines[0].starts_with("ID ") && lines[0].ends_with("LAST USED  NAME"));
        assert!(lines[1].starts_with(key().id.as_str()));
        assert!(
            lines[1]
                .contains("  read,send,manage  1970-01-01 00:00:00Z  1970-01-02 00:00:00Z  never")
        );
        assert!(lines[1].ends_with("  the shop"));
        assert_eq!(lines[0].find("NAME"), lines[1].find("the shop"));
    }

    #[test]
    fn json_list_has_no_digest() {
        let text = as_json(&[key()]);
        let list: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(list[0]["expiresAt"], 86_400_000);
        assert_eq!(list[0]["sessions"], serde_json::Value::Null);
        assert!(!text.contains("digest"));
    }

    #[test]
    fn errors_name_the_flag() {
        let now = Timestamp::from_millis(0);
        let text = |result: Result<(), Invalid>| result.unwrap_err().to_string();
        assert!(text(operator_of("").map(drop)).contains("--org"));
        assert!(text(capabilities_of(&["fly".into()]).map(drop)).contains("fly"));
        assert!(text(expiry("soon", now).map(drop)).contains("90d"));
        let violation = domain::Violation::new(FieldPath::KeyName, "too long");
        assert_eq!(plain_error(Error::Validation(vec![violation])).to_string(), "--name: too long");
        let violation = domain::Violation::new(FieldPath::KeySession(1), "no such session");
        let cli_error = cli_error(Error::Validation(vec![violation]), &["a".into(), "b".into()]);
        assert_eq!(cli_error.to_string(), "--session \"b\": no such session");
    }
}
