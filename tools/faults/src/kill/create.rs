//! A kill while a session is created.

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use testbed::sessions::{Owned, SESSIONS, list};

use super::{Moment, Point, unknown};

pub(super) fn run(point: &mut Point<'_>) -> Result<()> {
    let spec = json!({ "label": point.name }).to_string();
    let made = match point.moment {
        Moment::Sent(milliseconds) => {
            let request = point.api.begin("POST", SESSIONS, &[], Some(spec.as_bytes()))?;
            point.strike_after(milliseconds)?;
            request.reply().ok().filter(|reply| reply.status == 201).map(|reply| reply.json())
        }
        Moment::Answered(milliseconds) => {
            let reply =
                point.api.send("POST", SESSIONS, &[], Some(spec.as_bytes()))?.expect(201)?;
            point.strike_after(milliseconds)?;
            Some(reply.json())
        }
        other => return unknown(other),
    };
    let listed: Vec<Value> =
        list(point.api)?.into_iter().filter(|s| s["label"] == point.name.as_str()).collect();
    ensure!(listed.len() <= 1, "one request made {} sessions", listed.len());
    if let Some(made) = made {
        ensure!(listed == [made.clone()], "acknowledged as {made}, it is now {listed:?}");
    }
    for session in listed {
        let id = session["id"].as_str().context("a session has an id")?.to_owned();
        let session = Owned { api: point.api.clone(), id };
        session.qr().context("it can be linked")?;
        session.delete()?;
        session.must_be_gone(point.stack, None)?;
    }
    Ok(())
}
