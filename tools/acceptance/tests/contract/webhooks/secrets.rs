//! Secrets of webhooks are in no answer, no log line and no file.

use std::{fs, process::Command};

use acceptance::{
    deployment::Deployment,
    webhook::{WEBHOOKS, Webhook},
};
use anyhow::{Result, ensure};
use serde_json::json;
use testbed::{
    client::Api,
    folder::hexadecimal,
    receiver::{Answer, Receiver},
    sessions::Owned,
    workspace,
};

use super::{PROMPT, relabel};
use crate::{each_database, streams::audit};

each_database!(shared: secrets_are_in_no_answer_log_or_database);

/// The secrets of the test, each a text that nothing else contains.
const HIDDEN: [&str; 4] = [
    "first-hidden-secret-4f1a9c02d7",
    "whsec_c2Vjb25kLWhpZGRlbi1zZWNyZXQtOWIzZTc3",
    "Bearer hidden-header-77aa0b13ce",
    "hidden-query-20f4bc88e1",
];

/// The value of a header that is not sensitive.
const SHOWN: &str = "shown-header-51b2";

fn secrets_are_in_no_answer_log_or_database(deployment: &Deployment) -> Result<()> {
    let api = deployment.organization()?.api;
    let receiver = Receiver::start()?;
    let answers = answers(&api, &receiver)?;
    let log = fs::read_to_string(deployment.stack.log())?;
    for secret in HIDDEN {
        // Owners see the URL that they set, others see scheme and host.
        let is_url = secret == HIDDEN[3];
        let shown = answers.iter().find(|answer| answer.contains(secret));
        ensure!(is_url || shown.is_none(), "an answer shows {secret}: {shown:?}");
        let line = log.lines().find(|line| line.contains(secret));
        ensure!(line.is_none(), "the log shows {secret}: {line:?}");
        ensure!(is_url || !is_stored(deployment, secret)?, "the database contains {secret}");
    }
    ensure!(!format!("{:?}", audit(&api)?).contains(HIDDEN[3]), "an event shows the query");
    ensure!(is_stored(deployment, HIDDEN[3])?, "the search finds no URL");
    ensure!(is_stored(deployment, SHOWN)?, "the search finds no header");
    Ok(())
}

/// Uses a webhook with secrets in every way, and returns every answer.
fn answers(api: &Api, receiver: &Receiver) -> Result<Vec<String>> {
    let headers = json!({ "Authorization": HIDDEN[2], "X-Shown": SHOWN });
    let fields = json!({ "secret": HIDDEN[0], "customHeaders": headers });
    let url = format!("{}?key={}", receiver.url(), HIDDEN[3]);
    let webhook = Webhook::create(api, &url, fields)?;
    let mut answers = vec![webhook.view()?.to_string()];
    let rotated = webhook.patch(&json!({ "secret": HIDDEN[1] }))?.expect(200)?;
    answers.push(rotated.json().to_string());
    let session = Owned::create(api, "with secrets")?;
    relabel(&session, 2)?;
    let seen = receiver.until("the events arrive", PROMPT, |all| all.len() >= 5)?;
    let arrived = seen.iter().all(|one| {
        one.header("authorization") == Some(HIDDEN[2]) && one.target.ends_with(HIDDEN[3])
    });
    ensure!(arrived, "the receiver gets no header or no query");
    receiver.answer(|_| Answer::status(500));
    answers.push(webhook.act(":ping")?.to_string());
    relabel(&session, 1)?;
    webhook.until("an attempt failed", |state| state["failed"] != 0)?;
    for path in ["", "/state", "/attempts", "/dead-letters"] {
        answers.push(String::from_utf8(api.get(&webhook.path(path))?.expect(200)?.body)?);
    }
    answers.push(String::from_utf8(api.get(WEBHOOKS)?.expect(200)?.body)?);
    answers.push(format!("{:?}", audit(api)?));
    let line_end = format!("{}\n", HIDDEN[0]);
    for invalid in [json!({ "secret": HIDDEN[1], "events": [] }), json!({ "secret": line_end })] {
        let refused = webhook.patch(&invalid)?.expect_error(400, "validation_error")?;
        answers.push(String::from_utf8(refused.body)?);
    }
    Ok(answers)
}

/// Returns whether the database, or for SQLite any file beside it, contains the text.
fn is_stored(deployment: &Deployment, text: &str) -> Result<bool> {
    match &deployment.cluster {
        None => deployment.stack.has_written(text.as_bytes()),
        Some(cluster) => {
            let mut dump = Command::new(cluster.program("pg_dump"));
            let dumped = workspace::answer(dump.args(["--dbname", &cluster.url("contract")]))?;
            // A dump shows columns of bytes in hexadecimal.
            Ok(dumped.contains(text) || dumped.contains(&hexadecimal(text.as_bytes())))
        }
    }
}
