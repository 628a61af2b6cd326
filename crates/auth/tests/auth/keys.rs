//! API keys at the door.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use auth::{Chain, KeyForge};
use domain::{
    Actor, ApiKey, Caller, Capabilities, Capability, KeyId, OrganizationId, Reach, SessionId,
    Timestamp,
    ports::{
        ApiKeyStore, Authenticator, Credential, Environment, KeyDirectory, KeyGenerator, KeyPage,
        PortResult, PresentedKey,
    },
};

use crate::world::{NOW, World, denied, unavailable, until};

const NOT_GOOD: &str = "unknown, wrong, revoked or expired API key";

/// A key of `acme` in the directory, changed as told, and its text.
async fn add(world: &World, change: impl FnOnce(&mut ApiKey)) -> (KeyId, String) {
    let id = KeyId::from_bits(world.clock.ulid());
    let acme = OrganizationId::parse("acme").unwrap();
    let scope = Caller::operator(acme.clone()).may(Capability::Manage).unwrap();
    let made = KeyForge::default().generate(&id);
    let mut key = ApiKey {
        id: id.clone(),
        organization: acme,
        name: "ci".into(),
        capabilities: [Capability::Read].into_iter().collect(),
        sessions: None,
        digest: made.digest,
        created_by: Actor::Operator,
        created_at: Timestamp::from_millis(0),
        expires_at: None,
        last_used_at: None,
        revoked_at: None,
    };
    change(&mut key);
    let written = ApiKeyStore::insert(&world.directory.memory, &scope, &key, &[], None).await;
    assert_eq!(written.unwrap(), domain::ports::Written::Done);
    (id, made.key)
}

async fn world() -> World {
    World::new(auth::Config::default()).await
}

#[tokio::test]
async fn a_key_lets_its_holder_in_by_either_header() {
    let world = world().await;
    let mine = SessionId::from_bits(1);
    let (id, text) = add(&world, |key| key.sessions = Some([mine.clone()].into())).await;
    for answer in [world.bearer(&text).await, world.api_key(&text).await] {
        let caller = answer.unwrap();
        assert_eq!(caller.actor, Actor::Key(id.clone()));
        assert_eq!(caller.organization, OrganizationId::parse("acme"));
        assert_eq!(caller.capabilities, Capabilities::from_iter([Capability::Read]));
        assert_eq!(caller.reach, Reach::Only([mine.clone()].into()));
        assert!(!caller.platform_admin);
    }
}

#[tokio::test]
async fn every_key_that_is_not_good_is_denied_alike_after_one_look_up() {
    let world = world().await;
    let past = Some(Timestamp::from_millis(1));
    let (id, _) = add(&world, |_| {}).await;
    let wrong = KeyForge::default().generate(&id).key;
    let unknown = KeyForge::default().generate(&KeyId::from_bits(5)).key;
    let (_, revoked) = add(&world, |key| key.revoked_at = past).await;
    let (_, expired) = add(&world, |key| key.expires_at = past).await;
    for (n, text) in [wrong, unknown, revoked, expired].iter().enumerate() {
        assert_eq!(denied(world.api_key(text).await), NOT_GOOD, "{n}");
        assert_eq!(world.directory.looked_up.lock().unwrap().len(), n + 1);
    }
}

#[tokio::test]
async fn a_typo_is_refused_without_a_look_up() {
    let world = world().await;
    let (_, text) = add(&world, |_| {}).await;
    for typo in
        ["wa_", "wa_x_y", &text[..text.len() - 1], &text.to_uppercase(), &format!("{text} ")]
    {
        assert_eq!(denied(world.api_key(typo).await), "malformed API key", "{typo}");
    }
    assert_eq!(denied(world.bearer(&text[..40]).await), "malformed API key");
    assert!(world.directory.looked_up.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_key_works_until_it_expires() {
    let world = world().await;
    let (_, short) =
        add(&world, |key| key.expires_at = Some(Timestamp::from_millis((NOW + 60) * 1000))).await;
    world.clock.advance(Duration::from_millis(59_999));
    assert!(world.api_key(&short).await.is_ok());
    world.clock.advance(Duration::from_millis(1));
    assert_eq!(denied(world.api_key(&short).await), NOT_GOOD);
}

/// A directory that finds something else than what it is asked for.
struct Careless(ApiKey);

#[async_trait]
impl KeyDirectory for Careless {
    async fn find(&self, _: &PresentedKey, _: Timestamp) -> PortResult<Option<ApiKey>> {
        Ok(Some(self.0.clone()))
    }

    async fn record_use(&self, _: &KeyId, _: Timestamp) -> PortResult<()> {
        Ok(())
    }
}

#[tokio::test]
async fn a_directory_that_finds_another_key_lets_nobody_in() {
    let world = world().await;
    let (id, text) = add(&world, |_| {}).await;
    let listed = KeyPage { after: None, limit: 9 };
    let acme = Caller::operator(OrganizationId::parse("acme").unwrap());
    let scope = acme.may(Capability::Manage).unwrap();
    let good = world.directory.memory.list(&scope, &listed).await.unwrap().remove(0);
    let past = Some(Timestamp::from_millis(1));
    let answer = async |key: ApiKey| {
        let door = Chain::new(None, Arc::new(Careless(key)), world.clock.clone());
        door.authenticate(&Credential::ApiKey(text.clone())).await
    };
    assert_eq!(answer(good.clone()).await.unwrap().actor, Actor::Key(id));
    for other in [
        ApiKey { id: KeyId::from_bits(5), ..good.clone() },
        ApiKey { digest: [7; 32], ..good.clone() },
        ApiKey { revoked_at: past, ..good.clone() },
        ApiKey { expires_at: past, ..good },
    ] {
        assert_eq!(denied(answer(other).await), NOT_GOOD);
    }
}

#[tokio::test]
async fn a_directory_that_is_down_is_nobodys_fault() {
    let world = world().await;
    let (_, text) = add(&world, |_| {}).await;
    world.directory.memory.set_down(true);
    unavailable(world.api_key(&text).await);
    assert_eq!(denied(world.api_key("wa_typo").await), "malformed API key");
    world.directory.memory.set_down(false);
    assert!(world.api_key(&text).await.is_ok());
}

#[tokio::test]
async fn use_is_noted_once_a_minute_and_only_of_keys_that_were_good() {
    let world = world().await;
    let (id, text) = add(&world, |_| {}).await;
    let (_, revoked) = add(&world, |key| key.revoked_at = Some(Timestamp::from_millis(1))).await;
    for _ in 0..100 {
        world.api_key(&text).await.unwrap();
        denied(world.api_key(&revoked).await);
    }
    let directory = Arc::clone(&world.directory);
    let noted = || directory.used.lock().unwrap().clone();
    until("noted", || async { !noted().is_empty() }).await;
    world.clock.advance(Duration::from_secs(61));
    for _ in 0..100 {
        world.api_key(&text).await.unwrap();
    }
    until("noted again", || async { noted().len() > 1 }).await;
    let at = |second| Timestamp::from_millis((NOW + second) * 1000);
    assert_eq!(noted(), [(id.clone(), at(0)), (id, at(61))]);
}

#[tokio::test]
async fn a_use_that_another_router_noted_is_not_noted_again() {
    let world = world().await;
    let just_now = Timestamp::from_millis((NOW - 30) * 1000);
    let (_, known) = add(&world, |key| key.last_used_at = Some(just_now)).await;
    let (id, text) = add(&world, |_| {}).await;
    world.api_key(&known).await.unwrap();
    world.api_key(&text).await.unwrap();
    let directory = Arc::clone(&world.directory);
    until("the other was noted", || async { !directory.used.lock().unwrap().is_empty() }).await;
    let noted: Vec<_> = directory.used.lock().unwrap().iter().map(|(id, _)| id.clone()).collect();
    assert_eq!(noted, [id]);
}
