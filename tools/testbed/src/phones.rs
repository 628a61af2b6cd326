//! Phones and their owners, over the control interface of the simulated WhatsApp.

use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{Context as _, Result, bail};
use serde_json::{Value, json};

use crate::{client::Api, http::Reply};

/// The simulated network.
#[derive(Clone, Debug)]
pub struct Phones {
    control: Api,
}

/// A phone.
#[derive(Clone, Debug)]
pub struct Phone {
    control: Api,
    /// Phone number, digits only.
    pub number: String,
    /// Name of the account.
    pub name: String,
}

/// A linked device as the phone lists it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Device {
    /// Number of the device within its account.
    pub id: u64,
    /// Whether the device has a connection.
    pub connected: bool,
}

static NUMBERS: AtomicU32 = AtomicU32::new(1);

impl Phones {
    /// Returns the network with the control interface at this URL.
    pub fn at(url: &str) -> Self {
        Self { control: Api::new(url, None) }
    }

    /// Returns the client of the control interface.
    pub fn control(&self) -> &Api {
        &self.control
    }

    /// Returns whether the control interface answers.
    pub fn answers(&self) -> Result<bool> {
        Ok(self.control.get("/trust-anchor")?.status == 200)
    }

    /// Creates a phone with an unused number.
    pub fn new_phone(&self, name: &str) -> Result<Phone> {
        let number = format!("49151{:07}", NUMBERS.fetch_add(1, Ordering::Relaxed));
        let spec = json!({ "number": number, "name": name });
        let reply = self.control.post("/phones", &spec)?;
        if reply.status != 201 {
            bail!("no phone: {}", String::from_utf8_lossy(&reply.body));
        }
        Ok(Phone { control: self.control.clone(), number, name: name.to_owned() })
    }
}

impl Phone {
    /// Scans a QR code.
    pub fn scan(&self, qr: &str) -> Result<Value> {
        self.does("scan", &json!({ "qr": qr }))
    }

    /// Types a pairing code.
    pub fn enter_code(&self, code: &str) -> Result<Value> {
        self.does("enter-code", &json!({ "code": code }))
    }

    /// Returns the linked devices.
    pub fn devices(&self) -> Result<Vec<Device>> {
        let phone = self.control.get(&format!("/phones/{}", self.number))?.expect(200)?.json();
        let devices = phone["devices"].as_array().context("a phone lists its devices")?;
        let device = |device: &Value| {
            Some(Device { id: device["id"].as_u64()?, connected: device["connected"].as_bool()? })
        };
        devices.iter().map(device).collect::<Option<_>>().context("a device has id and connected")
    }

    /// Removes a device on the phone.
    pub fn unlink(&self, device: u64) -> Result<()> {
        let path = format!("/phones/{}/devices/{device}:unlink", self.number);
        self.control.action(&path)?.expect(200).map(drop)
    }

    /// Makes the network disconnect a device in this way.
    pub fn kick(&self, device: u64, kind: &str) -> Result<()> {
        let path = format!("/phones/{}/devices/{device}:kick", self.number);
        self.control.post(&path, &json!({ "kind": kind }))?.expect(200).map(drop)
    }

    /// Sends a `GET` below the path of the phone.
    pub fn get_from(&self, path: &str) -> Result<Reply> {
        self.control.get(&format!("/phones/{}{path}", self.number))
    }

    /// Sends a `POST` below the path of the phone.
    pub fn post_to(&self, path: &str, body: &Value) -> Result<Reply> {
        self.control.post(&format!("/phones/{}{path}", self.number), body)
    }

    /// Performs an action of the phone, and returns the answer.
    pub fn does(&self, what: &str, body: &Value) -> Result<Value> {
        let path = format!("/phones/{}:{what}", self.number);
        Ok(self.control.post(&path, body)?.expect(200).with_context(|| path.clone())?.json())
    }
}
