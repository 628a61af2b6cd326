//! Sessions and the requests of their owners that every test sends.

use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::{Value, json};

use crate::{
    client::Api,
    phones::{Device, Phone},
    stack::Stack,
    wait,
};

/// Upper bound of every transitional status, including a restart of all programs.
pub const PATIENCE: Duration = Duration::from_secs(90);

/// Path of the collection.
pub const SESSIONS: &str = "/api/v1/sessions";

/// Returns the path of a session.
pub fn path(id: &str) -> String {
    format!("{SESSIONS}/{id}")
}

/// Returns the path of a sub-resource or action of a session, such as `/qr` or `:stop`.
pub fn path_of(id: &str, what: &str) -> String {
    format!("{SESSIONS}/{id}{what}")
}

/// A session with a client of its owner.
#[derive(Clone, Debug)]
pub struct Owned {
    /// Client of the owner.
    pub api: Api,
    /// Id of the session.
    pub id: String,
}

impl Owned {
    /// Creates a session with this label.
    pub fn create(api: &Api, label: &str) -> Result<Self> {
        let reply = api.post(SESSIONS, &json!({ "label": label }))?.expect(201)?;
        let id = reply.json()["id"].as_str().context("a session has an id")?.to_owned();
        Ok(Self { api: api.clone(), id })
    }

    /// Returns the session as its owner sees it.
    pub fn view(&self) -> Result<Value> {
        Ok(self.api.get(&path(&self.id))?.expect(200)?.json())
    }

    /// Waits until the owner's view fulfils the condition, and returns the view.
    pub fn until(&self, what: &str, is_so: impl Fn(&Value) -> bool) -> Result<Value> {
        let mut last = Value::Null;
        let seen = wait::until(what, PATIENCE, || {
            last = self.view()?;
            Ok(is_so(&last).then(|| last.clone()))
        });
        seen.with_context(|| format!("the session was last {last}"))
    }

    /// Waits for this status.
    pub fn until_status(&self, status: &str) -> Result<Value> {
        self.until(&format!("status {status}"), |session| session["status"] == status)
    }

    /// Waits for this reason.
    pub fn until_reason(&self, code: &str) -> Result<Value> {
        self.until(&format!("reason {code}"), |session| session["statusReason"]["code"] == code)
    }

    /// Returns the present QR code.
    pub fn qr(&self) -> Result<String> {
        let reply = self.api.get(&path_of(&self.id, "/qr?wait=20"))?.expect(200)?.json();
        Ok(reply["code"].as_str().context("a QR answer has a code")?.to_owned())
    }

    /// Links the phone by QR code and waits until the session works.
    pub fn link(&self, phone: &Phone) -> Result<Value> {
        phone.scan(&self.qr()?)?;
        self.until_linked(phone)
    }

    /// Waits until the session works and the phone shows its device and no other.
    pub fn until_linked(&self, phone: &Phone) -> Result<Value> {
        let session = self.until_status("working")?;
        ensure!(session["phoneNumber"] == phone.number.as_str(), "another phone: {session}");
        let device = session["deviceId"].as_u64().context("a linked session has a device id")?;
        wait::until("the phone shows the device connected, and no other", PATIENCE, || {
            let devices = phone.devices()?;
            ensure!(
                devices == [Device { id: device, connected: true }],
                "the phone shows {devices:?}"
            );
            Ok(Some(()))
        })?;
        Ok(session)
    }

    /// Deletes the session as its owner.
    pub fn delete(&self) -> Result<()> {
        self.api.delete(&path(&self.id))?.expect(204).map(drop)
    }

    /// Waits until no trace is left: not for the owner, not on the phone, and not on the node's
    /// disk.
    pub fn must_be_gone(&self, stack: &Stack, phone: Option<&Phone>) -> Result<()> {
        self.must_be_gone_for_its_owner()?;
        if let Some(phone) = phone {
            wait::until("the phone shows no device", PATIENCE, || {
                let devices = phone.devices()?;
                ensure!(devices.is_empty(), "the phone still shows {devices:?}");
                Ok(Some(()))
            })?;
        }
        wait::until("the node's disk holds no file of the session", PATIENCE, || {
            let files = stack.files_of(&self.id)?;
            ensure!(files.is_empty(), "there are still {files:?}");
            Ok(Some(()))
        })
    }

    /// Checks that the session is not found twice, and not listed.
    pub fn must_be_gone_for_its_owner(&self) -> Result<()> {
        self.api.get(&path(&self.id))?.expect_error(404, "not_found")?;
        self.api.delete(&path(&self.id))?.expect_error(404, "not_found")?;
        let listed = list(&self.api)?;
        if listed.iter().any(|session| session["id"] == self.id.as_str()) {
            bail!("a deleted session is still listed");
        }
        Ok(())
    }
}

/// Returns every session of an organization.
pub fn list(api: &Api) -> Result<Vec<Value>> {
    let mut all = Vec::new();
    let mut cursor = String::new();
    loop {
        let page = api.get(&format!("{SESSIONS}?limit=200{cursor}"))?.expect(200)?.json();
        let data = page["data"].as_array().context("a list has data")?;
        all.extend(data.iter().cloned());
        match &page["nextCursor"] {
            Value::String(next) => cursor = format!("&cursor={next}"),
            Value::Null => return Ok(all),
            other => bail!("nextCursor is {other}"),
        }
    }
}
