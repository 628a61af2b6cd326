//! Where tokens keep organization and roles, issuer by issuer, and what is refused there.

use auth::{ClaimPaths, Config, Pointer};
use domain::{Actor, Caller, Capability, OrganizationId, ports::Refused};
use jsonwebtoken::Algorithm;
use serde_json::{Value, json};

use crate::{
    signer::Signer,
    world::{NOW, World, denied, inline},
};

/// What the default places, or a preset's, make of these claims.
async fn read(preset: Option<&str>, more: Value) -> Result<Caller, Refused> {
    let signer = Signer::new(Algorithm::EdDSA, "k1");
    let claims = preset.map_or_else(ClaimPaths::default, |name| ClaimPaths::preset(name).unwrap());
    let world = World::new(Config { claims, ..inline(&[signer.jwk()]) }).await;
    let mut claims = json!({ "exp": NOW + 60 });
    claims.as_object_mut().unwrap().extend(more.as_object().cloned().unwrap());
    world.bearer(&signer.token(&claims)).await
}

fn able(caller: &Caller) -> Vec<Capability> {
    caller.capabilities.iter().collect()
}

#[tokio::test]
async fn roles_give_what_they_give_and_unknown_ones_nothing() {
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
        assert_eq!(able(&caller), expected, "{role}");
        assert!(!caller.platform_admin, "{role}");
    }
}

#[tokio::test]
async fn a_person_without_an_organization_is_somebody_who_can_do_nothing() {
    for organization in [json!(null), json!(""), json!([]), json!({}), json!(["a", "b"])] {
        let claims = json!({ "sub": "u", "org_id": organization, "role": "owner" });
        let caller = read(None, claims).await.unwrap();
        assert_eq!(caller.organization, None, "{organization}");
        assert!(caller.capabilities.is_empty());
        assert!(caller.may(Capability::Read).is_err());
    }
}

#[tokio::test]
async fn a_token_may_leave_its_holder_unnamed() {
    for claims in [
        json!({ "org_id": "acme", "role": "member" }),
        json!({ "sub": null, "org_id": "acme", "role": "member" }),
    ] {
        let caller = read(None, claims).await.unwrap();
        assert_eq!(caller.actor, Actor::User(None));
    }
}

#[tokio::test]
async fn the_platform_role_opens_the_platform_and_no_organization() {
    let caller =
        read(None, json!({ "platform_role": "super_admin", "org_id": "acme" })).await.unwrap();
    assert!(caller.platform_admin && caller.capabilities.is_empty());
    for role in [json!("admin"), json!("superadmin"), json!(["user"])] {
        let caller = read(None, json!({ "platform_role": role })).await.unwrap();
        assert!(!caller.platform_admin, "{role}");
    }
}

#[tokio::test]
async fn claims_of_another_type_are_refused_not_guessed_at() {
    let organization = "the organization claim has an unknown shape";
    let role = "the role claim has an unknown shape";
    for (claims, cause) in [
        (json!({ "org_id": 7 }), organization),
        (json!({ "org_id": true }), organization),
        (json!({ "org_id": [7] }), organization),
        (json!({ "org_id": { "id": "acme" } }), organization),
        (json!({ "org_id": { "acme": { "id": 7 } } }), organization),
        (json!({ "org_id": "a\nb" }), "the organization cannot be a name"),
        (json!({ "org_id": "a".repeat(129) }), "the organization cannot be a name"),
        (json!({ "org_id": "acme", "role": 1 }), role),
        (json!({ "org_id": "acme", "role": { "admin": true } }), role),
        (json!({ "org_id": "acme", "role": ["admin", 1] }), role),
        (json!({ "role": true }), role),
        (json!({ "platform_role": true }), "the platform role claim has an unknown shape"),
        (json!({ "sub": 7 }), "the subject is not text"),
        (json!({ "sub": "" }), "the subject cannot be a name"),
        (json!({ "sub": "u".repeat(256) }), "the subject cannot be a name"),
    ] {
        assert_eq!(denied(read(None, claims.clone()).await), cause, "{claims}");
    }
}

/// What the page on login tokens says is tried in `presets`; this is what else such tokens may be.
#[tokio::test]
async fn presets_read_the_rarer_shapes_too() {
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
