//! A kill while a device is linked.

use std::thread;

use anyhow::{Context as _, Result, ensure};
use serde_json::json;
use testbed::{
    phones::Phone,
    sessions::{Owned, PATIENCE, path_of},
    wait,
};

use super::{Moment, Point, unknown};

pub(super) fn run(point: &mut Point<'_>) -> Result<()> {
    let phone = point.stack.phones.new_phone("Faulty")?;
    let session = Owned::create(point.api, &point.name)?;
    let acknowledged = strike(point, &session, &phone)?;
    settle(&session, &phone)?;
    let view = session.until_linked(&phone)?;
    if let Some(device) = acknowledged {
        ensure!(view["deviceId"] == device, "device {device} was lost: {view}");
    }
    session.delete()?;
    session.must_be_gone(point.stack, Some(&phone))
}

/// Returns the device id that the owner saw before the kill, if any.
fn strike(point: &mut Point<'_>, session: &Owned, phone: &Phone) -> Result<Option<u64>> {
    match point.moment {
        Moment::Sent(milliseconds) => {
            let request = point.api.begin("GET", &path_of(&session.id, "/qr"), &[], None)?;
            point.strike_after(milliseconds)?;
            drop(request);
        }
        Moment::Answered(milliseconds) => {
            session.qr()?;
            point.strike_after(milliseconds)?;
        }
        Moment::CodeShown => {
            let code = json!({ "phone": phone.number });
            point.api.post(&path_of(&session.id, "/pairing-code"), &code)?.expect(200)?;
            point.strike_after(0)?;
        }
        Moment::Scanning(milliseconds) => {
            let (code, scanning) = (session.qr()?, phone.clone());
            let scan = thread::spawn(move || scanning.scan(&code).map(drop));
            point.strike_after(milliseconds)?;
            let _ = scan.join(); // the phone shows whether the scan succeeded
        }
        Moment::Scanned(milliseconds) => {
            phone.scan(&session.qr()?)?;
            point.strike_after(milliseconds)?;
        }
        Moment::Working => {
            let device = session.link(phone)?["deviceId"].as_u64().context("no device id")?;
            point.strike_after(0)?;
            return Ok(Some(device));
        }
        other @ Moment::WithoutGateway => unknown(other)?,
    }
    Ok(None)
}

/// Waits until the pairing ends: by itself, by a scan of its next code, or by a new attempt. No
/// case links a second device.
fn settle(session: &Owned, phone: &Phone) -> Result<()> {
    wait::until_true("the pairing comes to an end", PATIENCE, || {
        let view = session.view()?;
        if view["status"] == "working" {
            return Ok(true);
        }
        let unlinked = phone.devices()?.is_empty() && view["deviceId"].is_null();
        if unlinked && let Ok(code) = session.qr() {
            let _ = phone.scan(&code); // a replaced code is refused; another code follows
        }
        Ok(false)
    })
}
