//! Linked sessions of one organization, each with a phone of another account that it writes with.

use std::net::SocketAddr;

use anyhow::{Context as _, Result};
use serde_json::json;
use testbed::{
    client::{Api, Credential},
    http,
    phones::Phone,
    postgres::Cluster,
    sessions::{Owned, path, path_of},
    stack::Stack,
};

use super::SEAL_KEYS;
use crate::{Setup, connection::request_with};

/// Number of sessions, and of pairs without berth.
pub(super) const LINES: usize = 8;

/// A deployment with its sessions.
#[derive(Debug)]
pub(super) struct Lines {
    pub(super) stack: Stack,
    pub(super) api: Api,
    pub(super) lines: Vec<Line>,
    pub(super) key: Credential,
    /// Address of berth.
    pub(super) address: SocketAddr,
    /// Address of the simulator's control interface.
    pub(super) control: SocketAddr,
    /// Dropped after the router.
    _cluster: Option<Cluster>,
}

/// A session.
#[derive(Debug)]
pub(super) struct Line {
    pub(super) session: Owned,
    /// Phone number of the session.
    pub(super) number: String,
    /// Phone of the other account.
    pub(super) contact: Phone,
}

impl Lines {
    /// Starts a deployment and links its sessions.
    pub(super) fn start(setup: &Setup, cluster: Option<Cluster>) -> Result<Self> {
        let url = cluster.as_ref().map(|cluster| cluster.create_database("lines")).transpose()?;
        let mut settings =
            vec![("BERTH_LOG", "warn".to_owned()), ("BERTH_PAIRING_RATE", "0".to_owned())];
        if cluster.is_some() {
            settings.push(("BERTH_SEAL_KEYS", SEAL_KEYS.to_owned()));
        }
        let name = format!("bench-lines-{}", cluster.is_some());
        let logs = setup.scratch.path();
        let stack = Stack::start(&setup.programs, &name, logs, url, &settings)?;
        let key = stack.key("bench", &["read", "send", "manage"])?;
        let api = stack.api.with_credential(Some(key.clone()));
        let lines = (0..LINES).map(|_| Line::start(&stack, &api));
        let lines = lines.collect::<Result<_>>().with_context(|| stack.tail())?;
        let address = http::address(api.base())?;
        let control = http::address(stack.phones.control().base())?;
        Ok(Self { stack, api, lines, key, address, control, _cluster: cluster })
    }

    /// Returns the session of a number in turn.
    pub(super) fn line(&self, number: usize) -> &Line {
        &self.lines[number % self.lines.len()]
    }

    /// Returns the request that lets a session send a text.
    pub(super) fn send_request(&self, line: &Line, text: &str) -> Vec<u8> {
        let path = path_of(&line.session.id, "/messages?async");
        let body = json!({ "to": line.contact.number, "text": text, "typing": 0 }).to_string();
        request_with("POST", self.address, &path, Some(&self.key), Some(&body))
    }

    /// Returns the request that lets the phone of the other account write to the session.
    pub(super) fn write_request(&self, line: &Line, text: &str) -> Vec<u8> {
        let path = format!("/phones/{}/messages", line.contact.number);
        let body = json!({ "to": line.number, "text": text }).to_string();
        request_with("POST", self.control, &path, None, Some(&body))
    }
}

impl Line {
    fn start(stack: &Stack, api: &Api) -> Result<Self> {
        let session = Owned::create(api, "bench")?;
        let phone = stack.phones.new_phone("Bench")?;
        session.link(&phone)?;
        let no_limit = json!({ "ratePerMin": 0, "ratePerHour": 0 });
        session.api.patch(&path(&session.id), &no_limit)?.expect(200)?;
        let contact = stack.phones.new_phone("Contact")?;
        Ok(Self { session, number: phone.number, contact })
    }
}
