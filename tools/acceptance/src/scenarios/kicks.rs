//! Every way WhatsApp throws a device out, and what its owner is told.

use anyhow::{Context as _, Result, ensure};
use testbed::{
    client::Api,
    phones::{Device, Phone},
    sessions::{Owned, PATIENCE, path_of},
    stack::Stack,
    wait,
};

use crate::suite::Suite;

/// What the network does, and what the session then says.
const FOR_GOOD: [(&str, &str); 3] =
    [("replaced", "replaced"), ("banned", "banned"), ("outdated", "client_outdated")];

pub(super) fn run(suite: &mut Suite<'_>, stack: &mut Stack, api: &Api) {
    for (kind, reason) in FOR_GOOD {
        suite.run_on(stack, &format!("kicked: {kind} is told and not fought"), |stack| {
            let (session, phone, device) = linked(stack, api)?;
            phone.kick(device, kind)?;
            let told = session.until_reason(reason)?;
            ensure!(told["status"] == "failed", "{told}");
            ensure!(told["deviceId"] == device, "it forgot its device: {told}");
            let why = &told["statusReason"];
            ensure!(why["message"].is_string() && why["since"].is_u64(), "{why}");
            if kind == "banned" {
                ensure!(why["retryAt"].is_u64(), "a ban says until when: {why}");
            }
            let again = path_of(&session.id, ":restart");
            session.api.action(&again)?.expect(200)?;
            if kind == "replaced" {
                session.until_linked(&phone).context("asked again")?;
            } else {
                session.until_reason(reason).context("asked again")?;
            }
            session.delete()?;
            session.must_be_gone_for_its_owner()
        });
    }
    for kind in ["unavailable", "close"] {
        suite.run_on(stack, &format!("kicked: {kind} passes by itself"), |stack| {
            let (session, phone, device) = linked(stack, api)?;
            phone.kick(device, kind)?; // the phone shows it disconnected from this moment on
            wait::until("the device is back", PATIENCE, || {
                let (view, devices) = (session.view()?, phone.devices()?);
                ensure!(devices == [Device { id: device, connected: true }], "{devices:?}");
                ensure!(view["status"] == "working" && view["statusReason"].is_null(), "{view}");
                Ok(Some(()))
            })?;
            session.delete()?;
            session.must_be_gone(stack, Some(&phone))
        });
    }
}

fn linked(stack: &Stack, api: &Api) -> Result<(Owned, Phone, u64)> {
    let phone = stack.phones.new_phone("Kicked")?;
    let session = Owned::create(api, "kicked")?;
    let device = session.link(&phone)?["deviceId"].as_u64().context("no device id")?;
    Ok((session, phone, device))
}
