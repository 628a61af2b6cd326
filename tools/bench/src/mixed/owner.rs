//! An organization with an API key and sessions.

use anyhow::{Context as _, Result};
use testbed::{
    client::{Api, Credential},
    sessions,
    stack::Stack,
};

/// Sessions of one organization.
pub(crate) const SESSIONS: usize = 100;

/// The body of every request that creates a session.
pub(super) const NEW_SESSION: &str =
    r#"{"label":"bench","metadata":{"team":"support","region":"eu-central"}}"#;

/// An organization's key and its sessions.
#[derive(Clone, Debug)]
pub(super) struct SessionOwner {
    pub(super) credential: Credential,
    /// Ids of the sessions.
    pub(super) sessions: Vec<String>,
}

impl SessionOwner {
    /// Creates the key and the sessions of an organization.
    pub(super) fn create(stack: &Stack, number: usize) -> Result<Self> {
        let credential = stack.key(&format!("bench-{number}"), &["manage"])?;
        let api = stack.api.with_credential(Some(credential.clone()));
        let sessions = (0..SESSIONS).map(|_| create_session(&api)).collect::<Result<_>>()?;
        Ok(Self { credential, sessions })
    }
}

fn create_session(api: &Api) -> Result<String> {
    let body = Some(NEW_SESSION.as_bytes());
    let reply = api.send("POST", sessions::SESSIONS, &[], body)?.expect(201)?.json();
    Ok(reply["id"].as_str().context("a session has an id")?.to_owned())
}
