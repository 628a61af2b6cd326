//! Organization and role claims: accepted forms by issuer, and rejected forms.

use std::time::Duration;

use auth::{ClaimPaths, Config, Pointer};
use domain::{
    Actor, BrowserSessionHolder, Caller, Capability, OrganizationId, Timestamp,
    ports::{Authenticator, Credential, Refused},
};
use jsonwebtoken::Algorithm;
use serde_json::{Value, json};

use crate::{
    signer::Signer,
    world::{NOW, World, denied, inline},
};

/// Returns the caller that the default claim paths, or those of a preset, read from the claims.
async fn read(preset: Option<&str>, more: Value) -> Result<Caller, Refused> {
    let signer = Signer::new(Algorithm::EdDSA, "k1");
    let claims = preset.map_or_else(ClaimPaths::default, |name| ClaimPaths::preset(name).unwrap());
    let world = World::new(Config { claims, ..inline(&[signer.jwk()]) }).await;
    let mut claims = json!({ "exp": NOW + 60 });
    claims.as_object_mut().unwrap().extend(more.as_object().cloned().unwrap());
    world.bearer(&signer.token(&claims)).await
}

fn capabilities(caller: &Caller) -> Vec<Capability> {
    caller.capabilities.iter().collect()
}

#[tokio::test]
async fn known_roles_give_their_capabilities_and_unknown_roles_none() {
    let member = &Capability::ALL[..2];
    for (role, expected) in [
        (json!("owner"), &Capability::ALL[..]),
        (json!("admin"), &Capability::ALL),
        (json!("member"), member),
        (json!("Admin"), &[]),
        (json!("super_admin"), &[]),
        (json!(""), &[]),
        (json!(null), &[]),
        (json!("member,owner"), &Capability::ALL),
        (json!("member, guest"), member),
        (json!(["offline_access", "member"]), member),
        (json!(["admin", "member"]), &Capability::ALL),
        (json!([]), &[]),
    ] {
        let caller = read(None, json!({ "org_id": "acme", "role": role })).await.unwrap();
        assert_eq!(capabilities(&caller), expected, "{role}");
        assert!(!caller.platform_admin, "{role}");
    }
}

#[tokio::test]
async fn person_without_an_organization_has_no_capabilities() {
    for organization in [json!(null), json!(""), json!([]), json!({}), json!(["a", "b"])] {
        let claims = json!({ "sub": "u", "org_id": organization, "role": "owner" });
        let caller = read(None, claims).await.unwrap();
        assert_eq!(caller.organization, None, "{organization}");
        assert!(caller.capabilities.is_empty());
        assert!(caller.may(Capability::Read).is_err());
    }
}

#[tokio::test]
async fn token_without_a_subject_is_accepted() {
    for claims in [
        json!({ "org_id": "acme", "role": "member" }),
        json!({ "sub": null, "org_id": "acme", "role": "member" }),
    ] {
        let caller = read(None, claims).await.unwrap();
        assert_eq!(caller.actor, Actor::User(None));
    }
}

#[tokio::test]
async fn platform_role_gives_platform_rights_and_no_capabilities() {
    let caller =
        read(None, json!({ "platform_role": "super_admin", "org_id": "acme" })).await.unwrap();
    assert!(caller.platform_admin && caller.capabilities.is_empty());
    for role in [json!("admin"), json!("superadmin"), json!(["user"])] {
        let caller = read(None, json!({ "platform_role": role })).await.unwrap();
        assert!(!caller.platform_admin, "{role}");
    }
}

#[tokio::test]
async fn claims_of_another_type_are_rejected() {
    let organization = "the organization claim has an unknown form";
    let role = "the role claim has an unknown form";
    for (claims, cause) in [
        (json!({ "org_id": 7 }), organization),
        (json!({ "org_id": true }), organization),
        (json!({ "org_id": [7] }), organization),
        (json!({ "org_id": { "id": "acme" } }), organization),
        (json!({ "org_id": { "acme": { "id": 7 } } }), organization),
        (json!({ "org_id": "a\nb" }), "the organization is not a valid organization id"),
        (json!({ "org_id": "a".repeat(129) }), "the organization is not a valid organization id"),
        (json!({ "org_id": "acme", "role": 1 }), role),
        (json!({ "org_id": "acme", "role": { "admin": true } }), role),
        (json!({ "org_id": "acme", "role": ["admin", 1] }), role),
        (json!({ "role": true }), role),
        (json!({ "platform_role": true }), "the platform role claim has an unknown form"),
        (json!({ "sub": 7 }), "the subject is not text"),
        (json!({ "sub": "" }), "the subject is not a valid user id"),
        (json!({ "sub": "u".repeat(256) }), "the subject is not a valid user id"),
    ] {
        assert_eq!(denied(read(None, claims.clone()).await), cause, "{claims}");
    }
}

/// Tests forms that `docs/login-tokens.md` does not show; module `presets` tests the page itself.
#[tokio::test]
async fn presets_accept_the_rarer_forms() {
    for (preset, claims, organization, manages) in [
        ("clerk", json!({ "o": { "id": "org_1", "rol": "org:owner" } }), Some("org_1"), false),
        ("clerk", json!({ "o": null }), None, false),
        ("auth0", json!({ "org_id": "o", "https://berth/roles": "admin" }), Some("o"), true),
        ("keycloak", json!({ "organization": { "acme": {} } }), Some("acme"), false),
        ("keycloak", json!({ "organization": [] }), None, false),
        ("better-auth", json!({ "activeOrganizationId": "o", "role": "admin" }), Some("o"), false),
    ] {
        let caller = read(Some(preset), claims.clone()).await.unwrap();
        assert_eq!(caller.organization, organization.and_then(OrganizationId::parse), "{claims}");
        assert_eq!(caller.capabilities.contains(Capability::Manage), manages, "{claims}");
        assert!(!caller.platform_admin, "{claims}");
    }
}

#[test]
fn preset_names_are_the_documented_ones() {
    assert!(ClaimPaths::PRESETS.iter().all(|name| ClaimPaths::preset(name).is_some()));
    assert_eq!(ClaimPaths::preset("okta"), None);
    assert_eq!(ClaimPaths::default().organization, Pointer::parse("/org_id").unwrap());
}

#[tokio::test]
async fn sign_in_has_every_organization_of_the_token() {
    let signer = Signer::new(Algorithm::EdDSA, "k1");
    let preset = ClaimPaths::preset("keycloak").unwrap();
    for (claims, expected) in [
        (json!("acme"), vec!["acme"]),
        (json!(["acme", "zeta"]), vec!["acme", "zeta"]),
        (json!({ "acme": {}, "z": { "id": "zeta" } }), vec!["acme", "zeta"]),
        (json!(null), vec![]),
    ] {
        let config = Config { claims: preset.clone(), ..inline(&[signer.jwk()]) };
        let world = World::new(config).await;
        let roles = json!({ "roles": ["member"] });
        let token = json!({
            "sub": "u", "exp": NOW + 60, "organization": claims, "realm_access": roles,
        });
        let token = signer.token(&token);
        let credential = Credential::Bearer(token.clone());
        let sign_in = world.chain.sign_in(&credential).await.unwrap();
        let BrowserSessionHolder::Person(login) = sign_in.holder else { panic!("no person") };
        let organizations: Vec<_> =
            login.organizations.iter().map(OrganizationId::as_str).collect();
        assert_eq!(organizations, expected);
        assert_eq!(login.capabilities.iter().collect::<Vec<_>>(), Capability::ALL[..2]);
        assert_eq!(sign_in.expires_at, Some(Timestamp::from_millis((NOW + 60) * 1000)));
        let only = (expected.len() == 1).then(|| expected[0]);
        assert_eq!(sign_in.organization.as_ref().map(OrganizationId::as_str), only);
        let caller = world.bearer(&token).await.unwrap();
        assert_eq!(caller.organization, sign_in.organization, "a token alone chooses none");
        world.clock.advance(Duration::from_secs(91));
        assert!(matches!(world.chain.sign_in(&credential).await, Err(Refused::Denied(_))));
    }
}
