//! A kill while a session is deleted.

use anyhow::Result;
use testbed::{
    sessions::{Owned, path},
    stack::Victim,
};

use super::{Moment, Point, unknown};

pub(super) fn run(point: &mut Point<'_>) -> Result<()> {
    let phone = point.stack.phones.new_phone("Faulty")?;
    let session = Owned::create(point.api, &point.name)?;
    session.link(&phone)?;
    match point.moment {
        Moment::Sent(milliseconds) => {
            let request = point.api.begin("DELETE", &path(&session.id), &[], None)?;
            point.strike_after(milliseconds)?;
            let acknowledged = request.reply().is_ok_and(|reply| reply.status == 204);
            let there = point.api.get(&path(&session.id))?.status == 200;
            anyhow::ensure!(!(acknowledged && there), "acknowledged, but it is still there");
            if there {
                session.until_linked(&phone)?; // the request did not arrive
                session.delete()?;
            }
        }
        Moment::Answered(milliseconds) => {
            session.delete()?;
            point.strike_after(milliseconds)?;
        }
        Moment::WithoutGateway => {
            point.stack.kill(Victim::Gateway)?;
            session.delete()?;
            point.strike_after(0)?;
        }
        other => return unknown(other),
    }
    session.must_be_gone(point.stack, Some(&phone))
}
