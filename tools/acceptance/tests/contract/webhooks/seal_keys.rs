//! Rotation of the seal keys by restarts: no secret is lost, and nothing is sent unsigned.

use std::thread;

use acceptance::{
    deployment::{Deployment, fresh_with},
    signatures::verify,
    webhook::Webhook,
};
use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use testbed::{
    options::DatabaseKind, receiver::Receiver, sessions::Owned, stack::Stack, wait,
    workspace::answer,
};

use super::{PROMPT, QUIET, SECRET, relabel, sequences};

mod secrets_survive_a_rotation_of_the_seal_keys {
    use super::DatabaseKind;

    #[test]
    fn sqlite() -> anyhow::Result<()> {
        super::run(DatabaseKind::Sqlite)
    }

    #[test]
    fn postgres() -> anyhow::Result<()> {
        super::run(DatabaseKind::Postgres)
    }
}

/// Three keys as the setting has them.
const KEYS: [&str; 3] = [
    "a=YWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWE=",
    "b=YmJiYmJiYmJiYmJiYmJiYmJiYmJiYmJiYmJiYmJiYmI=",
    "c=Y2NjY2NjY2NjY2NjY2NjY2NjY2NjY2NjY2NjY2NjY2M=",
];

fn run(database: DatabaseKind) -> Result<()> {
    let settings = [("BERTH_SEAL_KEYS", KEYS[0].to_owned())];
    fresh_with(database, "seal-keys", &settings, rotate)
}

fn rotate(deployment: &mut Deployment) -> Result<()> {
    let [a, b, c] = KEYS;
    let api = deployment.organization()?.api;
    let receiver = Receiver::start()?;
    let fields = json!({ "secret": SECRET, "events": ["session.*"] });
    let webhook = Webhook::create(&api, &receiver.url(), fields)?;
    let session = Owned::create(&api, "sealed")?;
    let arrives = |count| receiver.until("the event arrives", PROMPT, |all| all.len() >= count);
    arrives(1)?;
    let stack = &mut deployment.stack;

    restart(stack, &format!("{b},{a}"))?;
    relabel(&session, 1)?;
    arrives(2)?;
    wait::until_true("the first key can be removed", PROMPT, || {
        Ok(status(stack, &format!("{b},{a}"), "a")?["removable"] == true)
    })?;

    restart(stack, b)?;
    relabel(&session, 1)?;
    arrives(3)?;

    // A key that is missing: nothing is sent, and the state and the command say why.
    restart(stack, c)?;
    relabel(&session, 1)?;
    webhook.until("the deliveries wait for the key", |state| state["state"] == "sealed")?;
    thread::sleep(QUIET);
    ensure!(receiver.count() == 3, "a request without the key");
    ensure!(webhook.state()?["lastError"] == "sealed", "{}", webhook.state()?);
    let missing = status(stack, c, "b")?;
    ensure!(missing["configured"] == false && missing["organizations"] == 1, "{missing}");
    webhook.patch(&json!({ "secret": SECRET }))?.expect_error(409, "conflict")?;

    restart(stack, &format!("{c},{b}"))?;
    let all = arrives(4)?;
    ensure!(sequences(&all, &session) == [1, 2, 3, 4], "{:?}", sequences(&all, &session));
    let accepted = verify(&all, &[SECRET])?;
    let is_signed = accepted.iter().flatten().all(|by| by.by_library && by.by_document);
    ensure!(is_signed, "{accepted:?}");
    Ok(())
}

/// Restarts the router with these seal keys.
fn restart(stack: &mut Stack, keys: &str) -> Result<()> {
    stack.stop_berth()?;
    let log = stack.log().to_owned();
    let mut command = stack.command();
    stack.start_berth_as(command.env("BERTH_SEAL_KEYS", keys).arg("serve"), Some(&log))
}

/// Returns what `berth seal status` says of a key.
fn status(stack: &Stack, keys: &str, id: &str) -> Result<Value> {
    let mut command = stack.command();
    command.env("BERTH_SEAL_KEYS", keys).args(["seal", "status", "--json"]);
    let all: Vec<Value> = serde_json::from_str(&answer(&mut command)?)?;
    all.into_iter().find(|key| key["id"] == id).with_context(|| format!("no key {id}"))
}
