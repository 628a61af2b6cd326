//! A kill while a device is logged out by its owner.

use anyhow::{Result, ensure};
use testbed::{
    phones::Phone,
    sessions::{Owned, PATIENCE, path_of},
    wait,
};

use super::{Moment, Point, unknown};

pub(super) fn run(point: &mut Point<'_>) -> Result<()> {
    let phone = point.stack.phones.new_phone("Faulty")?;
    let session = Owned::create(point.api, &point.name)?;
    session.link(&phone)?;
    let logout = path_of(&session.id, ":logout");
    let acknowledged = match point.moment {
        Moment::Sent(milliseconds) => {
            let request = point.api.begin("POST", &logout, &[], None)?;
            point.strike_after(milliseconds)?;
            request.reply().is_ok_and(|reply| reply.status == 200)
        }
        Moment::Answered(milliseconds) => {
            point.api.action(&logout)?.expect(200)?;
            point.strike_after(milliseconds)?;
            true
        }
        other => return unknown(other),
    };
    let wanted = session.view()?["desired"].clone();
    ensure!(!acknowledged || wanted == "stopped", "acknowledged, but it is to be {wanted}");
    if wanted == "stopped" {
        is_out(&session, &phone)?;
    } else {
        session.until_linked(&phone)?; // the request did not arrive
    }
    session.delete()?;
    session.must_be_gone(point.stack, Some(&phone))
}

fn is_out(session: &Owned, phone: &Phone) -> Result<()> {
    wait::until("it is logged out, here and on the phone", PATIENCE, || {
        let (view, devices) = (session.view()?, phone.devices()?);
        ensure!(devices.is_empty() && view["deviceId"].is_null(), "{view}, {devices:?}");
        ensure!(view["status"] == "stopped", "{view}");
        Ok(Some(()))
    })
}
