//! Tests that are safe on a deployment of another operator: no phone links, and every session that a
//! test creates is deleted.
//!
//! `cargo xtask contract --url` sets the variables; without them the tests are skipped.

use std::env;

use acceptance::schemathesis::{Walk, validate_document};
use anyhow::{Context as _, Result};
use testbed::client::{Api, Credential};

use crate::{credentials, isolation};

/// Base URL of the deployment.
const URL: &str = "BERTH_CONTRACT_URL";

/// Clients of two organizations.
struct Remote {
    a: Api,
    b: Api,
}

impl Remote {
    /// Returns `None` when no deployment is set.
    fn find() -> Result<Option<Self>> {
        let Some(url) = variable(URL) else {
            println!("skipped: `cargo xtask contract --url` sets {URL}");
            return Ok(None);
        };
        let key = |name: &str| variable(name).map(Credential::Key).with_context(|| name.to_owned());
        Ok(Some(Self {
            a: Api::new(&url, Some(key("BERTH_CONTRACT_KEY_A")?)),
            b: Api::new(&url, Some(key("BERTH_CONTRACT_KEY_B")?)),
        }))
    }
}

fn variable(name: &str) -> Option<String> {
    env::var_os(name)?.into_string().ok()
}

#[test]
fn sessions_of_another_organization_look_missing() -> Result<()> {
    let Some(Remote { a, b }) = Remote::find()? else { return Ok(()) };
    isolation::check_new_session(&a, &b)
}

#[test]
fn refusals_without_a_credential_are_equal() -> Result<()> {
    let Some(Remote { a, .. }) = Remote::find()? else { return Ok(()) };
    isolation::check_unauthorized(&a, None)
}

#[test]
fn document_is_valid_openapi() -> Result<()> {
    let Some(Remote { a, .. }) = Remote::find()? else { return Ok(()) };
    validate_document(&a)
}

#[test]
fn api_conforms_to_document() -> Result<()> {
    let Some(Remote { a, b }) = Remote::find()? else { return Ok(()) };
    Walk { name: "remote", linked: None, chat: None, gently: true, platform: false }.run(&a, &b)
}

#[test]
fn login_token_and_key_of_one_organization_list_the_same() -> Result<()> {
    let Some(Remote { a, .. }) = Remote::find()? else { return Ok(()) };
    let Some(token) = variable("BERTH_CONTRACT_JWT_A") else {
        println!("skipped: no login token");
        return Ok(());
    };
    credentials::check_same_sessions(&a, &a.with_credential(Some(Credential::Token(token))))
}
