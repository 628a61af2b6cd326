//! The sealer over the memory store: contexts, missing keys and rotation.
#![allow(clippy::unwrap_used, reason = "an unexpected result fails the test")]

use std::sync::Arc;

use domain::{
    OrganizationId,
    ports::{SealContext, SealError, SealedSecret, SecretSealer},
    testing::{Memory, TestEnvironment},
};
use sealing::{Rewrapped, SealKeys, Sealer};

const KEYS: [&str; 3] = [
    "a=AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=",
    "b=ICEiIyQlJicoKSorLC0uLzAxMjM0NTY3ODk6Ozw9Pj8=",
    "c=QEFCQ0RFRkdISUpLTE1OT1BRUlNUVVZXWFlaW1xdXl8=",
];

/// Returns the sealer of a process that starts with these keys.
fn sealer(memory: &Memory, keys: &[&str]) -> Sealer {
    let keys = if keys.is_empty() { SealKeys::default() } else { keys.join(",").parse().unwrap() };
    Sealer::new(keys, Arc::new(memory.clone()), TestEnvironment::new())
}

fn organization(name: &str) -> OrganizationId {
    OrganizationId::parse(name).unwrap()
}

fn context<'a>(organization: &'a OrganizationId, entity: &'a str) -> SealContext<'a> {
    SealContext { organization, entity, field: "secret" }
}

#[tokio::test]
async fn secret_opens_in_its_own_context_only() {
    let (memory, acme, zeta) = (Memory::new(), organization("acme"), organization("zeta"));
    let sealer = sealer(&memory, &KEYS[..1]);
    let mine = context(&acme, "wh_1");
    let secret = sealer.seal(&mine, b"hidden").await.unwrap();
    assert!(!secret.0.windows(6).any(|part| part == b"hidden"));
    assert_ne!(secret, sealer.seal(&mine, b"hidden").await.unwrap());
    assert_eq!(sealer.open(&mine, &secret).await.unwrap(), b"hidden");
    sealer.seal(&context(&zeta, "wh_1"), b"other").await.unwrap();
    for other in
        [context(&acme, "wh_2"), context(&zeta, "wh_1"), SealContext { field: "headers", ..mine }]
    {
        let opened = sealer.open(&other, &secret).await;
        assert!(matches!(opened, Err(SealError::Broken(_))), "{other:?}");
    }
    for at in 0..secret.0.len() {
        let mut changed = secret.clone();
        changed.0[at] ^= 1;
        assert!(sealer.open(&mine, &changed).await.is_err(), "{at}");
    }
    assert!(sealer.open(&mine, &SealedSecret(Vec::new())).await.is_err());
}

#[tokio::test]
async fn secret_opens_in_another_process_with_the_key() {
    let (memory, acme) = (Memory::new(), organization("acme"));
    let mine = context(&acme, "wh_1");
    let secret = sealer(&memory, &KEYS[..1]).seal(&mine, b"hidden").await.unwrap();
    let opened = sealer(&memory, &[KEYS[1], KEYS[0]]).open(&mine, &secret).await;
    assert_eq!(opened.unwrap(), b"hidden");
    for keys in [&[][..], &KEYS[1..2]] {
        let sealer = sealer(&memory, keys);
        let opened = sealer.open(&mine, &secret).await;
        assert!(matches!(opened, Err(SealError::NoKey(_))), "{keys:?}");
        // The organization has a data key, which no other data key replaces.
        let again = sealer.seal(&mine, b"x").await;
        assert!(matches!(again, Err(SealError::NoKey(_))), "{keys:?}");
    }
    // The same id with another key.
    let wrong = KEYS[1].replace("b=", "a=");
    let opened = sealer(&memory, &[&wrong]).open(&mine, &secret).await;
    assert!(matches!(opened, Err(SealError::Broken(_))));
}

#[tokio::test]
async fn unreachable_store_is_unavailable() {
    let (memory, acme) = (Memory::new(), organization("acme"));
    let mine = context(&acme, "wh_1");
    let secret = sealer(&memory, &KEYS[..1]).seal(&mine, b"hidden").await.unwrap();
    memory.set_down(true);
    let sealer = sealer(&memory, &KEYS[..1]);
    assert!(matches!(sealer.seal(&mine, b"x").await, Err(SealError::Unavailable(_))));
    assert!(matches!(sealer.open(&mine, &secret).await, Err(SealError::Unavailable(_))));
}

#[tokio::test]
async fn rotation_rewraps_every_data_key_and_loses_no_secret() {
    let memory = Memory::new();
    let organizations: Vec<_> = (0..450).map(|n| organization(&format!("org-{n}"))).collect();
    let old = sealer(&memory, &KEYS[..1]);
    let mut secrets = Vec::new();
    for organization in &organizations {
        let secret = organization.as_str().as_bytes();
        secrets.push(old.seal(&context(organization, "wh_1"), secret).await.unwrap());
    }
    let both = sealer(&memory, &[KEYS[1], KEYS[0]]);
    let uses = |sealer: Sealer| async move {
        let uses = sealer.seal_key_uses().await.unwrap();
        let of = |of: &sealing::SealKeyUse| {
            (of.id.clone(), of.data_keys, of.is_missing(), of.is_removable())
        };
        uses.iter().map(of).collect::<Vec<_>>()
    };
    let used_by = |id: &str, count, missing, removable| (id.to_owned(), count, missing, removable);
    let before = uses(sealer(&memory, &[KEYS[1], KEYS[0], KEYS[2]])).await;
    let expected = [
        used_by("b", 0, false, false),
        used_by("a", 450, false, false),
        used_by("c", 0, false, true),
    ];
    assert_eq!(before, expected);
    assert_eq!(uses(sealer(&memory, &KEYS[1..2])).await[1], used_by("a", 450, true, false));

    assert_eq!(both.rewrap_all().await.unwrap(), Rewrapped { done: 450, failed: 0 });
    assert_eq!(both.rewrap_all().await.unwrap(), Rewrapped::default());
    let after = uses(both).await;
    assert_eq!(after, [used_by("b", 450, false, false), used_by("a", 0, false, true)]);
    let new = sealer(&memory, &KEYS[1..2]);
    for (organization, secret) in organizations.iter().zip(&secrets) {
        let opened = new.open(&context(organization, "wh_1"), secret).await.unwrap();
        assert_eq!(opened, organization.as_str().as_bytes());
    }
}

#[tokio::test]
async fn rotation_skips_data_keys_that_it_cannot_unwrap() {
    let (memory, acme, zeta) = (Memory::new(), organization("acme"), organization("zeta"));
    sealer(&memory, &KEYS[..1]).seal(&context(&acme, "wh_1"), b"x").await.unwrap();
    sealer(&memory, &KEYS[1..2]).seal(&context(&zeta, "wh_1"), b"x").await.unwrap();
    let sealer = sealer(&memory, &[KEYS[2], KEYS[1]]);
    assert_eq!(sealer.rewrap_all().await.unwrap(), Rewrapped { done: 1, failed: 1 });
}
