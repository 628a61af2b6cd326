//! Authentication by API key.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use auth::{Chain, RandomKeyGenerator};
use domain::{
    Actor, ApiKey, Caller, Capabilities, Capability, KeyId, OrganizationId, Reach, SessionId,
    Timestamp,
    ports::{
        ApiKeyStore, Authenticator, Credential, Environment, KeyDirectory, KeyGenerator, KeyPage,
        PortResult, PresentedKey,
    },
    testing::insert_key,
};

use crate::world::{NOW, World, denied, unavailable, until};

const NOT_VALID: &str = "unknown, wrong, revoked or expired API key";

/// Inserts a key of `acme`, changed by `change`. Returns its id and text.
async fn add(world: &World, change: impl FnOnce(&mut ApiKey)) -> (KeyId, String) {
    let id = KeyId::from_bits(world.clock.ulid());
    let acme = OrganizationId::parse("acme").unwrap();
    let scope = Caller::operator(acme.clone()).may(Capability::Manage).unwrap();
    let generated = RandomKeyGenerator::default().generate(&id);
    let mut key = ApiKey {
        id: id.clone(),
        organization: acme,
        name: "ci".into(),
        capabilities: [Capability::Read].into_iter().collect(),
        sessions: None,
        digest: generated.digest,
        created_by: Actor::Operator,
        created_at: Timestamp::from_millis(0),
        expires_at: None,
        last_used_at: None,
        revoked_at: None,
    };
    change(&mut key);
    let written = insert_key(&world.directory.memory, &scope, &key, &[], None).await;
    assert_eq!(written.unwrap(), Ok(domain::ports::Written::Done));
    (id, generated.key)
}

async fn world() -> World {
    World::new(auth::Config::default()).await
}

#[tokio::test]
async fn key_authenticates_in_either_header() {
    let world = world().await;
    let mine = SessionId::from_bits(1);
    let expires_at = Some(Timestamp::from_millis(4_000_000_000_000));
    let (id, text) = add(&world, |key| {
        key.sessions = Some([mine.clone()].into());
        key.expires_at = expires_at;
    })
    .await;
    for answer in [world.bearer(&text).await, world.api_key(&text).await] {
        let caller = answer.unwrap();
        assert_eq!(caller.actor, Actor::Key(id.clone()));
        assert_eq!(caller.organization, OrganizationId::parse("acme"));
        assert_eq!(caller.capabilities, Capabilities::from_iter([Capability::Read]));
        assert_eq!(caller.reach, Reach::Only([mine.clone()].into()));
        assert!(!caller.platform_admin);
        assert_eq!(caller.expires_at, expires_at);
    }
}

#[tokio::test]
async fn every_invalid_key_is_denied_alike_after_one_lookup() {
    let world = world().await;
    let past = Some(Timestamp::from_millis(1));
    let (id, _) = add(&world, |_| {}).await;
    let wrong = RandomKeyGenerator::default().generate(&id).key;
    let unknown = RandomKeyGenerator::default().generate(&KeyId::from_bits(5)).key;
    let (_, revoked) = add(&world, |key| key.revoked_at = past).await;
    let (_, expired) = add(&world, |key| key.expires_at = past).await;
    for (n, text) in [wrong, unknown, revoked, expired].iter().enumerate() {
        assert_eq!(denied(world.api_key(text).await), NOT_VALID, "{n}");
        assert_eq!(world.directory.lookups.lock().unwrap().len(), n + 1);
    }
}

#[tokio::test]
async fn typo_is_refused_without_a_lookup() {
    let world = world().await;
    let (_, text) = add(&world, |_| {}).await;
    for typo in
        ["wa_", "wa_x_y", &text[..text.len() - 1], &text.to_uppercase(), &format!("{text} ")]
    {
        assert_eq!(denied(world.api_key(typo).await), "malformed API key", "{typo}");
    }
    assert_eq!(denied(world.bearer(&text[..40]).await), "malformed API key");
    assert!(world.directory.lookups.lock().unwrap().is_empty());
}

#[tokio::test]
async fn key_works_until_it_expires() {
    let world = world().await;
    let (_, short) =
        add(&world, |key| key.expires_at = Some(Timestamp::from_millis((NOW + 60) * 1000))).await;
    world.clock.advance(Duration::from_millis(59_999));
    assert!(world.api_key(&short).await.is_ok());
    world.clock.advance(Duration::from_millis(1));
    assert_eq!(denied(world.api_key(&short).await), NOT_VALID);
}

/// A directory that returns the same key for every lookup.
struct FixedDirectory(ApiKey);

#[async_trait]
impl KeyDirectory for FixedDirectory {
    async fn find(&self, _: &PresentedKey, _: Timestamp) -> PortResult<Option<ApiKey>> {
        Ok(Some(self.0.clone()))
    }

    async fn record_use(&self, _: &KeyId, _: Timestamp) -> PortResult<()> {
        Ok(())
    }
}

#[tokio::test]
async fn directory_that_returns_another_key_authenticates_no_caller() {
    let world = world().await;
    let (id, text) = add(&world, |_| {}).await;
    let listed = KeyPage { after: None, limit: 9 };
    let acme = Caller::operator(OrganizationId::parse("acme").unwrap());
    let scope = acme.may(Capability::Manage).unwrap();
    let good = world.directory.memory.list(&scope, &listed).await.unwrap().remove(0);
    let past = Some(Timestamp::from_millis(1));
    let answer = async |key: ApiKey| {
        let chain = Chain::new(None, Arc::new(FixedDirectory(key)), world.clock.clone());
        chain.authenticate(&Credential::ApiKey(text.clone())).await
    };
    assert_eq!(answer(good.clone()).await.unwrap().actor, Actor::Key(id));
    for other in [
        ApiKey { id: KeyId::from_bits(5), ..good.clone() },
        ApiKey { digest: [7; 32], ..good.clone() },
        ApiKey { revoked_at: past, ..good.clone() },
        ApiKey { expires_at: past, ..good },
    ] {
        assert_eq!(denied(answer(other).await), NOT_VALID);
    }
}

#[tokio::test]
async fn directory_that_is_down_is_unavailable_not_denied() {
    let world = world().await;
    let (_, text) = add(&world, |_| {}).await;
    world.directory.memory.set_down(true);
    unavailable(world.api_key(&text).await);
    assert_eq!(denied(world.api_key("wa_typo").await), "malformed API key");
    world.directory.memory.set_down(false);
    assert!(world.api_key(&text).await.is_ok());
}

#[tokio::test]
async fn use_of_valid_keys_is_recorded_once_a_minute() {
    let world = world().await;
    let (id, text) = add(&world, |_| {}).await;
    let (_, revoked) = add(&world, |key| key.revoked_at = Some(Timestamp::from_millis(1))).await;
    for _ in 0..100 {
        world.api_key(&text).await.unwrap();
        denied(world.api_key(&revoked).await);
    }
    let directory = Arc::clone(&world.directory);
    let recorded = || directory.record_use.lock().unwrap().clone();
    until("the use is recorded", || async { !recorded().is_empty() }).await;
    world.clock.advance(Duration::from_secs(61));
    for _ in 0..100 {
        world.api_key(&text).await.unwrap();
    }
    until("the second use is recorded", || async { recorded().len() > 1 }).await;
    let at = |second| Timestamp::from_millis((NOW + second) * 1000);
    assert_eq!(recorded(), [(id.clone(), at(0)), (id, at(61))]);
}

#[tokio::test]
async fn use_recorded_by_another_router_is_not_recorded_again() {
    let world = world().await;
    let just_now = Timestamp::from_millis((NOW - 30) * 1000);
    let (_, known) = add(&world, |key| key.last_used_at = Some(just_now)).await;
    let (id, text) = add(&world, |_| {}).await;
    world.api_key(&known).await.unwrap();
    world.api_key(&text).await.unwrap();
    let directory = Arc::clone(&world.directory);
    until("the use of the other key is recorded", || async {
        !directory.record_use.lock().unwrap().is_empty()
    })
    .await;
    let recorded: Vec<_> =
        directory.record_use.lock().unwrap().iter().map(|(id, _)| id.clone()).collect();
    assert_eq!(recorded, [id]);
}
