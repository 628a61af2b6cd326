//! API keys: granted capabilities, violations, confined sessions and revocation.

use domain::{
    Caller, Capabilities, Capability, Error, FieldPath, KeySpec, NewApiKey, Reach, SessionId,
    Timestamp, ports::KeyPage, testing::World,
};

const ALL: KeyPage = KeyPage { after: None, limit: 200 };

fn spec(name: &str, capabilities: &[Capability]) -> KeySpec {
    KeySpec {
        name: name.to_owned(),
        capabilities: capabilities.iter().copied().collect(),
        expires_at: None,
        sessions: None,
    }
}

#[tokio::test]
async fn key_capabilities_are_limited_to_creator_capabilities() {
    let world = World::new().await;
    let only_manage: Capabilities = [Capability::Manage].into_iter().collect();
    let manager = Caller { capabilities: only_manage, ..World::acme() };
    let stronger = world.keys.create(&manager, spec("k", &[Capability::Send]), None).await;
    assert!(matches!(stronger, Err(Error::Forbidden)));
    assert!(world.keys.create(&manager, spec("k", &[Capability::Manage]), None).await.is_ok());
    let confined = Caller { reach: Reach::Only([SessionId::from_bits(1)].into()), ..World::acme() };
    let wider = world.keys.create(&confined, spec("k", &[Capability::Read]), None).await;
    assert!(matches!(wider, Err(Error::Forbidden)));
}

#[tokio::test]
async fn key_violations_are_reported_together() {
    let world = World::new().await;
    let bad = KeySpec { expires_at: Some(Timestamp::from_millis(1)), ..spec("", &[]) };
    let Err(Error::Validation(faults)) = world.keys.create(&World::acme(), bad, None).await else {
        panic!("the key was accepted")
    };
    let fields: Vec<_> = faults.into_iter().map(|fault| fault.field).collect();
    assert_eq!(fields, [FieldPath::KeyName, FieldPath::KeyCapabilities, FieldPath::KeyExpiry]);
}

#[tokio::test]
async fn key_sessions_belong_to_its_organization() {
    let world = World::new().await;
    let (caller, settings) = (World::zeta(), domain::Settings::default);
    let mine = world.sessions.create(&caller, settings(), false, None).await.unwrap().id;
    let deleted = world.sessions.create(&caller, settings(), false, None).await.unwrap().id;
    world.sessions.delete(&caller, deleted.as_str(), None).await.unwrap();
    let hidden = world.acme_session().await.id;
    let naming = |ids: &[&str]| KeySpec {
        sessions: Some(ids.iter().map(|id| (*id).to_owned()).collect()),
        ..spec("k", &[Capability::Read])
    };
    let before = world.memory.fingerprint();
    let never = SessionId::from_bits(9 << 100);
    let named = [hidden.as_str(), mine.as_str(), deleted.as_str(), never.as_str(), "x", ""];
    let Err(Error::Validation(faults)) = world.keys.create(&caller, naming(&named), None).await
    else {
        panic!("the key was created")
    };
    let fields: Vec<_> = faults.iter().map(|fault| fault.field.clone()).collect();
    assert_eq!(fields, [0, 2, 3, 4, 5].map(FieldPath::KeySession));
    assert!(faults.iter().all(|fault| fault.reason == domain::NO_SUCH_SESSION));
    for wrong in [Vec::new(), vec![mine.as_str(); domain::MAX_KEY_SESSIONS + 1]] {
        let Err(Error::Validation(faults)) = world.keys.create(&caller, naming(&wrong), None).await
        else {
            panic!("the key was created")
        };
        assert_eq!(faults[0].field, FieldPath::KeySessions);
    }
    assert_eq!(world.memory.fingerprint(), before);
    let made = world.keys.create(&caller, naming(&[mine.as_str()]), None).await.unwrap();
    assert_eq!(made.key.sessions, Some([mine].into()));
}

#[tokio::test]
async fn keys_are_listed_and_revoked_within_their_organization() {
    let world = World::new().await;
    let NewApiKey { key, text } =
        world.keys.create(&World::acme(), spec("ci", &[Capability::Manage]), None).await.unwrap();
    assert!(text.starts_with("wa_"));
    assert_eq!(world.keys.list(&World::zeta(), &ALL).await.unwrap(), []);
    let foreign = world.keys.revoke(&World::zeta(), key.id.as_str()).await;
    assert!(matches!(foreign, Err(Error::NotFound { .. })));
    world.keys.revoke(&World::acme(), key.id.as_str()).await.unwrap();
    let again = world.keys.revoke(&World::acme(), key.id.as_str()).await;
    assert!(matches!(again, Err(Error::NotFound { .. })));
    assert_eq!(world.keys.list(&World::acme(), &ALL).await.unwrap(), []);
}

#[tokio::test]
async fn confined_caller_cannot_read_or_revoke_keys() {
    let world = World::new().await;
    let NewApiKey { key, .. } =
        world.keys.create(&World::acme(), spec("ci", &[Capability::Manage]), None).await.unwrap();
    let confined = Caller { reach: Reach::Only([SessionId::from_bits(1)].into()), ..World::acme() };
    assert!(matches!(world.keys.list(&confined, &ALL).await, Err(Error::Forbidden)));
    let view = world.keys.view(&confined, key.id.as_str()).await;
    assert!(matches!(view, Err(Error::Forbidden)));
    let revoke = world.keys.revoke(&confined, key.id.as_str()).await;
    assert!(matches!(revoke, Err(Error::Forbidden)));
    assert_eq!(world.keys.list(&World::acme(), &ALL).await.unwrap(), [key]);
}
