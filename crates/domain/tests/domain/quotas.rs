//! Resource quotas and pairing quotas, as callers meet them.

use std::time::Duration;

use domain::{
    Caller, Capability, Error, KeySpec, Quotas, Resource, ResourceLimitReached, ResourceLimits,
    Session, SessionId, Settings, SettingsPatch, testing::World,
};

async fn limited(limits: ResourceLimits) -> World {
    let world = World::new().await;
    let own = [(World::acme().organization.unwrap(), limits)].into();
    world.memory.set_quotas(Quotas { default: ResourceLimits::default(), overrides: own });
    world
}

async fn create(world: &World, caller: &Caller, settings: Settings) -> Result<Session, Error> {
    world.sessions.create(caller, settings, false, None).await
}

fn noted(note: &str) -> Settings {
    Settings { metadata: [("n".to_owned(), note.to_owned())].into(), ..Settings::default() }
}

#[tokio::test]
async fn full_quota_rejects_its_organization_only() {
    let world = limited(ResourceLimits { sessions: Some(2), ..ResourceLimits::default() }).await;
    let first = create(&world, &World::acme(), Settings::default()).await.unwrap();
    create(&world, &World::acme(), Settings::default()).await.unwrap();
    for start in [false, true] {
        let before = world.memory.fingerprint();
        let third = world.sessions.create(&World::acme(), Settings::default(), start, None).await;
        let Err(Error::Full(full)) = third else { panic!("{third:?}") };
        assert_eq!(full, ResourceLimitReached { resource: Resource::Sessions, limit: 2, used: 2 });
        assert_eq!(world.memory.fingerprint(), before, "no attempt is counted");
    }
    for _ in 0..5 {
        create(&world, &World::zeta(), Settings::default()).await.unwrap();
    }
    world.sessions.delete(&World::acme(), first.id.as_str(), None).await.unwrap();
    assert!(create(&world, &World::acme(), Settings::default()).await.is_ok());
}

#[tokio::test]
async fn metadata_over_quota_can_shrink() {
    let world = limited(ResourceLimits { metadata: Some(20), ..ResourceLimits::default() }).await;
    let session = create(&world, &World::acme(), noted("0123456789")).await.unwrap();
    let set = async |note: &str| {
        let metadata = [("n".to_owned(), Some(note.to_owned()))].into();
        let patch = SettingsPatch { metadata, ..SettingsPatch::default() };
        world.sessions.update(&World::acme(), session.id.as_str(), None, patch).await
    };
    let Err(Error::Full(full)) = set("0123456789 and more").await else {
        panic!("the metadata grew")
    };
    assert_eq!((full.resource, full.limit, full.used), (Resource::Metadata, 20, 16));
    assert!(set("0123456789abcd").await.is_ok());
    world.memory.set_quotas(Quotas {
        default: ResourceLimits { metadata: Some(5), ..ResourceLimits::default() },
        overrides: [].into(),
    });
    assert!(set("0123456789ab").await.is_ok(), "metadata above a lowered limit can shrink");
    assert!(matches!(set("0123456789abc").await, Err(Error::Full(_))));
}

#[tokio::test]
async fn keys_have_a_quota() {
    let world = limited(ResourceLimits { api_keys: Some(1), ..ResourceLimits::default() }).await;
    let spec = || KeySpec {
        name: "k".to_owned(),
        capabilities: [Capability::Read].into_iter().collect(),
        expires_at: None,
        sessions: None,
    };
    let first = world.keys.create(&World::acme(), spec(), None).await.unwrap();
    let second = world.keys.create(&World::acme(), spec(), None).await;
    let full = ResourceLimitReached { resource: Resource::ApiKeys, limit: 1, used: 1 };
    assert!(matches!(second, Err(Error::Full(f)) if f == full));
    world.keys.revoke(&World::acme(), first.key.id.as_str()).await.unwrap();
    assert!(world.keys.create(&World::acme(), spec(), None).await.is_ok());
}

/// Requests a pairing code. No node answers here, so that an attempt that begins ends without a
/// code.
async fn ask(world: &World, caller: &Caller, id: &SessionId, phone: &str) -> Result<(), Duration> {
    match world.sessions.pairing_code(caller, id.as_str(), phone).await {
        Err(Error::Unavailable { .. }) => Ok(()),
        Err(Error::RateLimited { rate_quota, retry_after }) => {
            assert_eq!(rate_quota.name, "pairing");
            Err(retry_after)
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn attempts_per_phone_are_limited_across_sessions() {
    let world = World::new().await;
    let mut begun = 0;
    for _ in 0..30 {
        let session = world.acme_session().await;
        begun += u32::from(ask(&world, &World::acme(), &session.id, "15551234567").await.is_ok());
        world.sessions.delete(&World::acme(), session.id.as_str(), None).await.unwrap();
    }
    assert_eq!(begun, 10, "deleted sessions count");
    let settings = Settings::default();
    let other = world.sessions.create(&World::zeta(), settings, false, None).await.unwrap();
    assert_eq!(ask(&world, &World::zeta(), &other.id, "15551234567").await, Ok(()));
    let session = world.acme_session().await;
    assert_eq!(ask(&world, &World::acme(), &session.id, "15557654321").await, Ok(()));
    let wait = ask(&world, &World::acme(), &session.id, "15551234567").await.unwrap_err();
    world.environment.advance(wait);
    assert_eq!(ask(&world, &World::acme(), &session.id, "15551234567").await, Ok(()));
}

#[tokio::test]
async fn attempts_per_organization_are_limited_per_hour() {
    let world = World::new().await;
    let start = async |caller: &Caller| {
        world.sessions.create(caller, Settings::default(), true, None).await.map(drop)
    };
    for _ in 0..1_000 {
        start(&World::acme()).await.unwrap();
    }
    let Err(Error::RateLimited { rate_quota, .. }) = start(&World::acme()).await else {
        panic!("one more attempt began")
    };
    assert_eq!((rate_quota.name, rate_quota.count), ("organization-pairing", 1_000));
    start(&World::zeta()).await.unwrap();
    world.environment.advance(Duration::from_secs(3600));
    start(&World::acme()).await.unwrap();
}
