//! The OpenAPI document is valid, and the API conforms to the document.

use acceptance::{
    deployment::Deployment,
    schemathesis::{Walk, validate_document},
};
use anyhow::Result;
use serde_json::{Value, json};
use testbed::{
    issuer::Token,
    sessions::{Owned, PATIENCE, path_of},
    wait,
};

use crate::each_database;

each_database!(shared: document_is_valid_openapi, api_conforms_to_document);

fn document_is_valid_openapi(deployment: &Deployment) -> Result<()> {
    validate_document(&deployment.stack.api)
}

fn api_conforms_to_document(deployment: &Deployment) -> Result<()> {
    let stack = &deployment.stack;
    let (a, b) = (deployment.organization()?, deployment.organization()?);
    let phone = stack.phones.new_phone("Walker")?;
    let linked = Owned::create(&a.api, "walker")?;
    linked.link(&phone)?;
    let everything = |organization: &str| stack.key(organization, &["read", "send", "manage"]);
    let a_api = deployment.with_credential(everything(&a.name)?);
    let b_api = deployment.with_credential(everything(&b.name)?);
    let name = if deployment.cluster.is_some() { "postgres" } else { "sqlite" };
    let contact = stack.phones.new_phone("Partner")?;
    let wa_id = contact.send_text(&phone.number, "hello")?;
    let path = path_of(&linked.id, &format!("/messages/{wa_id}"));
    wait::until_true("the message is stored", PATIENCE, || Ok(a_api.get(&path)?.status == 200))?;
    let chat = Some((contact.number.as_str(), wa_id.as_str()));
    let walk = Walk { name, linked: Some(&linked.id), chat, gently: false, platform: false };
    walk.run(&a_api, &b_api)?;
    let person = Token::of(&a.name, "none").with("org_id", Value::Null);
    let person = person.with("platform_role", json!("super_admin")).sign();
    Walk { platform: true, ..walk }.run(&deployment.with_credential(person), &b_api)?;
    linked.until_linked(&phone)?;
    linked.delete()?;
    linked.must_be_gone(stack, Some(&phone))
}
