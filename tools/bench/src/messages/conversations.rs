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
pub(super) const CONVERSATIONS: usize = 8;
/// Number of phones that each session writes to, where it writes to several.
pub(super) const CONTACTS: usize = 10;

/// A deployment with its sessions.
#[derive(Debug)]
pub(super) struct Conversations {
    pub(super) stack: Stack,
    pub(super) api: Api,
    pub(super) all: Vec<Conversation>,
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
pub(super) struct Conversation {
    pub(super) session: Owned,
    /// Phone number of the session.
    pub(super) number: String,
    /// Phones of other accounts. The first one writes to the session.
    pub(super) contacts: Vec<Phone>,
}

impl Conversations {
    /// Starts a deployment and links its sessions.
    pub(super) fn start(setup: &Setup, cluster: Option<Cluster>) -> Result<Self> {
        let url =
            cluster.as_ref().map(|cluster| cluster.create_database("conversations")).transpose()?;
        let mut settings =
            vec![("BERTH_LOG", "warn".to_owned()), ("BERTH_PAIRING_RATE", "0".to_owned())];
        if cluster.is_some() {
            settings.push(("BERTH_SEAL_KEYS", SEAL_KEYS.to_owned()));
        }
        let name = format!("bench-conversations-{}", cluster.is_some());
        let logs = setup.scratch.path();
        let stack = Stack::start(&setup.programs, &name, logs, url, &settings)?;
        let key = stack.key("bench", &["read", "send", "manage"])?;
        let api = stack.api.with_credential(Some(key.clone()));
        let all = (0..CONVERSATIONS).map(|_| Conversation::start(&stack, &api));
        let all = all.collect::<Result<_>>().with_context(|| stack.tail())?;
        let address = http::address(api.base())?;
        let control = http::address(stack.phones.control().base())?;
        Ok(Self { stack, api, all, key, address, control, _cluster: cluster })
    }

    /// Returns the session of a number in turn.
    pub(super) fn conversation(&self, number: usize) -> &Conversation {
        &self.all[number % self.all.len()]
    }

    /// Returns the request that lets a session send a text to a contact.
    pub(super) fn send_request(
        &self,
        conversation: &Conversation,
        contact: usize,
        text: &str,
    ) -> Vec<u8> {
        let to = &conversation.contacts[contact].number;
        let path = path_of(&conversation.session.id, "/messages?async");
        let body = json!({ "to": to, "text": text, "typing": 0 }).to_string();
        request_with("POST", self.address, &path, Some(&self.key), Some(&body))
    }

    /// Returns the request that lets the first contact write to the session.
    pub(super) fn write_request(&self, conversation: &Conversation, text: &str) -> Vec<u8> {
        let path = format!("/phones/{}/messages", conversation.contacts[0].number);
        let body = json!({ "to": conversation.number, "text": text }).to_string();
        request_with("POST", self.control, &path, None, Some(&body))
    }
}

impl Conversation {
    fn start(stack: &Stack, api: &Api) -> Result<Self> {
        let session = Owned::create(api, "bench")?;
        let phone = stack.phones.new_phone("Bench")?;
        session.link(&phone)?;
        let no_limit = json!({ "ratePerMin": 0, "ratePerHour": 0 });
        session.api.patch(&path(&session.id), &no_limit)?.expect(200)?;
        let contacts = (0..CONTACTS).map(|_| stack.phones.new_phone("Contact"));
        Ok(Self { session, number: phone.number, contacts: contacts.collect::<Result<_>>()? })
    }
}
