//! Messages at rest: sealed in the database, and gone with their session.

use acceptance::{
    deployment::Deployment,
    messenger::{Messenger, PROMPT},
};
use anyhow::{Context as _, Result, ensure};
use testbed::{event_stream::EventStream, sessions::PATIENCE, wait};

use crate::each_database;

each_database!(exclusive: bodies_are_sealed_and_gone_with_their_session);

fn bodies_are_sealed_and_gone_with_their_session(deployment: &mut Deployment) -> Result<()> {
    let canary = format!("canary-{}-of-messages", std::process::id());
    let messenger = Messenger::start(deployment, "Sealed")?;
    let contact = deployment.stack.phones.new_phone("Writer")?;
    let api = messenger.session.api.clone();
    let mut stream = EventStream::after(&api, "event=session.*", "")?;
    messenger.write(&contact, &canary)?;
    let listed = messenger.until_messages(1, PROMPT)?;
    ensure!(listed[0]["body"] == canary.as_str(), "{listed:?}");
    ensure!(!deployment.stack.has_written(canary.as_bytes())?, "a file has the body");
    if let Some(cluster) = &deployment.cluster {
        ensure!(!cluster.has_written(canary.as_bytes())?, "PostgreSQL has the body");
    }
    messenger.session.delete()?;
    loop {
        let event = stream.event()?.context("the stream has no end")?;
        if event["event"] == "session.messages_deleted" {
            ensure!(event["payload"]["removed"] == 1, "{event}");
            break;
        }
    }
    wait::until("no event of the message is left", PATIENCE, || {
        let headers = [("Accept", "application/json")];
        let path = "/api/v1/events?after=earliest&event=message.*";
        let page = api.send("GET", path, &headers, None)?.expect(200)?.json();
        Ok((page["data"] == serde_json::json!([])).then_some(()))
    })
}
