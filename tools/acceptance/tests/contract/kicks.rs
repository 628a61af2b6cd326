//! Every way in which WhatsApp disconnects a device, and the status that its owner sees.

use acceptance::deployment::Deployment;
use anyhow::{Context as _, Result, ensure};
use testbed::{
    phones::{Device, Phone},
    sessions::{Owned, PATIENCE, path_of},
    wait,
};

use crate::each_database;

each_database!(
    shared: replaced_device_fails_until_restart,
    banned_device_fails_with_retry_time,
    outdated_client_fails,
    unavailable_service_passes,
    closed_connection_passes,
);

fn replaced_device_fails_until_restart(deployment: &Deployment) -> Result<()> {
    fails(deployment, "replaced", "replaced")
}

fn banned_device_fails_with_retry_time(deployment: &Deployment) -> Result<()> {
    fails(deployment, "banned", "banned")
}

fn outdated_client_fails(deployment: &Deployment) -> Result<()> {
    fails(deployment, "outdated", "client_outdated")
}

fn unavailable_service_passes(deployment: &Deployment) -> Result<()> {
    passes(deployment, "unavailable")
}

fn closed_connection_passes(deployment: &Deployment) -> Result<()> {
    passes(deployment, "close")
}

/// Disconnects a device for good: the session fails with this reason and does not reconnect by itself.
fn fails(deployment: &Deployment, kind: &str, reason: &str) -> Result<()> {
    let (session, phone, device) = linked(deployment)?;
    phone.kick(device, kind)?;
    let view = session.until_reason(reason)?;
    ensure!(view["status"] == "failed", "{view}");
    ensure!(view["deviceId"] == device, "the device id is lost: {view}");
    let details = &view["statusReason"];
    ensure!(details["message"].is_string() && details["since"].is_u64(), "{details}");
    if kind == "banned" {
        ensure!(details["retryAt"].is_u64(), "a ban has no end: {details}");
    }
    session.api.action(&path_of(&session.id, ":restart"))?.expect(200)?;
    if kind == "replaced" {
        session.until_linked(&phone).context("after a restart")?;
    } else {
        session.until_reason(reason).context("after a restart")?;
    }
    session.delete()?;
    session.must_be_gone_for_its_owner()
}

/// Disconnects a device for a moment: the session reconnects by itself.
fn passes(deployment: &Deployment, kind: &str) -> Result<()> {
    let (session, phone, device) = linked(deployment)?;
    phone.kick(device, kind)?; // the phone shows the device as disconnected from now on
    wait::until("the device is connected again", PATIENCE, || {
        let (view, devices) = (session.view()?, phone.devices()?);
        ensure!(devices == [Device { id: device, connected: true }], "{devices:?}");
        ensure!(view["status"] == "working" && view["statusReason"].is_null(), "{view}");
        Ok(Some(()))
    })?;
    session.delete()?;
    session.must_be_gone(&deployment.stack, Some(&phone))
}

fn linked(deployment: &Deployment) -> Result<(Owned, Phone, u64)> {
    let phone = deployment.stack.phones.new_phone("Kicked")?;
    let session = Owned::create(&deployment.organization()?.api, "kicked")?;
    let device = session.link(&phone)?["deviceId"].as_u64().context("no device id")?;
    Ok((session, phone, device))
}
