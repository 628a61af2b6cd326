//! Isolation of every use case: a hidden session equals a missing one, rights are checked before
//! lookups, and a rejection changes no state.

use std::{sync::Arc, time::Duration};

use domain::{
    Actor, Audit, Caller, Capability, DEFAULT_LINK_LIFE, Error, EventId, KeyId, KeySpec, LinkId,
    LinkMethod, Operators, Orphans, Reach, ReplaySpec, SessionId, Settings, SettingsPatch,
    ShareLinkSpec, WebhookId, WebhookPatch,
    ports::{
        EventFilter, EventPage, KeyPage, SessionFilter, SessionPage, ShareLinkPage, WebhookPage,
    },
    testing::{CANARY, World},
};

const ACTIONS: [&str; 10] = [
    "view",
    "update",
    "delete",
    "identity",
    "qr",
    "pairing code",
    "start",
    "stop",
    "restart",
    "logout",
];

/// Returns the answer of each use case for one session.
async fn answers(world: &World, caller: &Caller, id: &str) -> Vec<Result<(), Error>> {
    let sessions = &world.sessions;
    let mut answers = Vec::new();
    for action in ACTIONS {
        answers.push(match action {
            "view" => sessions.view(caller, id).await.map(drop),
            "update" => sessions.update(caller, id, None, renamed()).await.map(drop),
            "delete" => sessions.delete(caller, id, None).await,
            "identity" => sessions.identity(caller, id).await.map(drop),
            "qr" => sessions.qr(caller, id, Duration::ZERO).await.map(drop),
            "pairing code" => sessions.pairing_code(caller, id, "4915112345678").await.map(drop),
            "start" => sessions.start(caller, id, None).await.map(drop),
            "stop" => sessions.stop(caller, id, None).await.map(drop),
            "restart" => sessions.restart(caller, id, None).await.map(drop),
            _ => sessions.logout(caller, id, None).await.map(drop),
        });
    }
    answers
}

fn renamed() -> SettingsPatch {
    SettingsPatch { label: Some(Some("renamed".to_owned())), ..SettingsPatch::default() }
}

fn confined(to: &SessionId) -> Caller {
    Caller { reach: Reach::Only([to.clone()].into()), ..World::acme() }
}

#[tokio::test]
async fn hidden_session_equals_missing_session() {
    let world = World::new().await;
    let hidden = world.acme_session().await.id;
    let missing = SessionId::from_bits(42);
    let before =
        (world.memory.fingerprint(), world.gateway.calls(), world.notifier.work_notifications());
    for outsider in [World::zeta(), confined(&SessionId::from_bits(43))] {
        let of_hidden = answers(&world, &outsider, hidden.as_str()).await;
        let of_missing = answers(&world, &outsider, missing.as_str()).await;
        let of_malformed = answers(&world, &outsider, "no such id").await;
        for (n, action) in ACTIONS.iter().enumerate() {
            assert!(matches!(of_hidden[n], Err(Error::NotFound { noun: "session" })), "{action}");
            let texts =
                [&of_hidden, &of_missing, &of_malformed].map(|answers| format!("{:?}", answers[n]));
            assert!(texts.iter().all(|text| *text == texts[0]), "{action}: {texts:?}");
        }
        let page = SessionPage { filter: SessionFilter::default(), after: None, limit: 200 };
        assert_eq!(world.sessions.list(&outsider, &page).await.unwrap(), []);
    }
    let after =
        (world.memory.fingerprint(), world.gateway.calls(), world.notifier.work_notifications());
    assert_eq!(before, after, "a rejection changes no state");
}

#[tokio::test]
async fn missing_capability_is_rejected_before_lookup() {
    let world = World::new().await;
    let id = world.acme_session().await.id;
    // A lookup would fail with another error.
    world.memory.set_down(true);
    let nowhere = Caller { organization: None, ..World::acme() };
    for caller in [World::acme_member(), nowhere] {
        for known in [id.as_str(), "no such id"] {
            for (answer, action) in answers(&world, &caller, known).await.iter().zip(ACTIONS) {
                assert!(matches!(answer, Err(Error::Forbidden)), "{action}: {answer:?}");
            }
        }
        let page = SessionPage { filter: SessionFilter::default(), after: None, limit: 1 };
        assert!(matches!(world.sessions.list(&caller, &page).await, Err(Error::Forbidden)));
        let created = world.sessions.create(&caller, Settings::default(), false, None).await;
        assert!(matches!(created, Err(Error::Forbidden)));
    }
}

/// Keys require the reach of a whole organization and every granted capability, and orphans the reach
/// of a whole organization.
#[tokio::test]
async fn keys_and_orphans_reject_other_callers_before_lookup() {
    let world = World::new().await;
    let id = world.acme_session().await.id;
    let store = Arc::new(world.memory.clone());
    let (clock, deadlines) = (world.environment.clone(), world.deadlines.clone());
    let orphans = Orphans::new(store.clone(), store.clone(), store, clock, deadlines);
    let spec = KeySpec {
        name: "key".to_owned(),
        capabilities: [Capability::Read].into_iter().collect(),
        expires_at: None,
        sessions: Some(vec![id.to_string()]),
    };
    // A lookup would fail with another error.
    world.memory.set_down(true);
    let nowhere = Caller { organization: None, ..World::acme() };
    let weaker =
        Caller { capabilities: [Capability::Manage].into_iter().collect(), ..World::acme() };
    for caller in [World::acme_member(), nowhere.clone(), confined(&id), weaker] {
        let scope = caller.may_grant(&spec.capabilities);
        assert!(matches!(scope, Err(Error::Forbidden)), "{caller:?}: {scope:?}");
        let created = world.keys.create(&caller, spec.clone(), None).await;
        assert!(matches!(created, Err(Error::Forbidden)), "{caller:?}: {created:?}");
    }
    let (page, key) = (KeyPage { after: None, limit: 9 }, KeyId::from_bits(1));
    for caller in [World::acme_member(), nowhere, confined(&id)] {
        for (action, answer) in [
            ("list keys", world.keys.list(&caller, &page).await.map(drop)),
            ("view key", world.keys.view(&caller, key.as_str()).await.map(drop)),
            ("revoke key", world.keys.revoke(&caller, key.as_str()).await),
            ("adopt", orphans.adopt(&caller, id.as_str()).await.map(drop)),
            ("unlink", orphans.unlink(&caller, id.as_str()).await),
        ] {
            assert!(matches!(answer, Err(Error::Forbidden)), "{action} {caller:?}: {answer:?}");
        }
    }
}

/// Returns the answer of each use case for one webhook.
async fn webhook_answers(
    world: &World,
    caller: &Caller,
    id: &str,
) -> Vec<(&'static str, Result<(), Error>)> {
    let (webhooks, event) = (&world.webhooks, EventId::from_bits(1).to_string());
    let patch = || WebhookPatch { active: Some(false), ..WebhookPatch::default() };
    let replay = ReplaySpec { dead_only: true, ..ReplaySpec::default() };
    let (attempts, dead) =
        (WebhookPage { after: None, limit: 9 }, WebhookPage { after: None, limit: 9 });
    vec![
        ("view", webhooks.view(caller, id).await.map(drop)),
        ("update", webhooks.update(caller, id, None, patch()).await.map(drop)),
        ("delete", webhooks.delete(caller, id, None).await),
        ("ping", webhooks.ping(caller, id).await.map(drop)),
        ("pause", webhooks.pause(caller, id, None).await.map(drop)),
        ("resume", webhooks.resume(caller, id, None).await.map(drop)),
        ("replay", webhooks.replay(caller, id, &replay, None).await.map(drop)),
        ("state", webhooks.state(caller, id).await.map(drop)),
        ("attempts", webhooks.attempts(caller, id, &attempts).await.map(drop)),
        ("dead letters", webhooks.dead_letters(caller, id, &dead).await.map(drop)),
        ("replay one", webhooks.replay_dead_letter(caller, id, &event, None).await),
        ("skip", webhooks.skip(caller, id, &event, None).await),
    ]
}

#[tokio::test]
async fn hidden_webhook_equals_missing_webhook() {
    let world = World::new().await;
    let hidden = world.acme_webhook().await.id;
    let missing = WebhookId::from_bits(42);
    let before = (world.memory.fingerprint(), world.webhook_sender.sent());
    let outsider = World::zeta();
    let of_missing = webhook_answers(&world, &outsider, missing.as_str()).await;
    for id in [hidden.as_str(), "no such id"] {
        let answers = webhook_answers(&world, &outsider, id).await;
        for ((action, answer), (_, expected)) in answers.iter().zip(&of_missing) {
            assert!(matches!(answer, Err(Error::NotFound { noun: "webhook" })), "{action}");
            assert_eq!(format!("{answer:?}"), format!("{expected:?}"), "{action}");
        }
    }
    let page = WebhookPage { after: None, limit: 200 };
    assert_eq!(world.webhooks.list(&outsider, &page).await.unwrap(), []);
    let after = (world.memory.fingerprint(), world.webhook_sender.sent());
    assert_eq!(before, after, "a rejection changes no state");
}

/// Webhooks require the capability to manage the whole organization.
#[tokio::test]
async fn webhooks_reject_other_callers_before_lookup() {
    let world = World::new().await;
    let (id, session) = (world.acme_webhook().await.id, world.acme_session().await.id);
    // A lookup would fail with another error.
    world.memory.set_down(true);
    let nowhere = Caller { organization: None, ..World::acme() };
    let url = Some("https://shop.example/hook".to_owned());
    for caller in [World::acme_member(), nowhere, confined(&session)] {
        let mut answers = webhook_answers(&world, &caller, id.as_str()).await;
        let patch = WebhookPatch { url: url.clone(), ..WebhookPatch::default() };
        answers.push(("create", world.webhooks.create(&caller, patch, None).await.map(drop)));
        let page = WebhookPage { after: None, limit: 9 };
        answers.push(("list", world.webhooks.list(&caller, &page).await.map(drop)));
        for (action, answer) in answers {
            assert!(matches!(answer, Err(Error::Forbidden)), "{action} {caller:?}: {answer:?}");
        }
    }
}

fn link_spec() -> ShareLinkSpec {
    ShareLinkSpec {
        life: DEFAULT_LINK_LIFE,
        methods: [LinkMethod::Qr].into(),
        phone: None,
        title: None,
        return_target: None,
    }
}

/// Creates a session of acme with a share link.
async fn session_with_link(world: &World) -> (SessionId, LinkId) {
    let session = world.acme_session().await.id;
    let made = world.links.create(&World::acme(), session.as_str(), &link_spec(), None).await;
    (session, made.unwrap().link.id)
}

/// Returns the answer of each use case for one link of a session.
async fn link_answers(
    world: &World,
    caller: &Caller,
    session: &str,
    link: &str,
) -> Vec<(&'static str, Result<(), Error>)> {
    let (links, page) = (&world.links, ShareLinkPage { after: None, limit: 9 });
    vec![
        ("create", links.create(caller, session, &link_spec(), None).await.map(drop)),
        ("list", links.list(caller, session, &page).await.map(drop)),
        ("view", links.view(caller, session, link).await.map(drop)),
        ("revoke", links.revoke(caller, session, link).await),
    ]
}

#[tokio::test]
async fn links_of_hidden_session_equal_links_of_missing_session() {
    let world = World::new().await;
    let (hidden, link) = session_with_link(&world).await;
    let missing = SessionId::from_bits(42);
    let before = world.memory.fingerprint();
    for outsider in [World::zeta(), confined(&SessionId::from_bits(43))] {
        let of_missing = link_answers(&world, &outsider, missing.as_str(), link.as_str()).await;
        for session in [hidden.as_str(), "no such id"] {
            let answers = link_answers(&world, &outsider, session, link.as_str()).await;
            for ((action, answer), (_, expected)) in answers.iter().zip(&of_missing) {
                assert!(matches!(answer, Err(Error::NotFound { .. })), "{action}: {answer:?}");
                assert_eq!(format!("{answer:?}"), format!("{expected:?}"), "{action}");
            }
        }
    }
    assert_eq!(before, world.memory.fingerprint(), "a rejection changes no state");
}

#[tokio::test]
async fn links_reject_callers_without_capability_before_lookup() {
    let world = World::new().await;
    let (session, link) = session_with_link(&world).await;
    // A lookup would fail with another error.
    world.memory.set_down(true);
    let nowhere = Caller { organization: None, ..World::acme() };
    for caller in [World::acme_member(), nowhere] {
        let mut answers = link_answers(&world, &caller, session.as_str(), link.as_str()).await;
        let violations = world.links.violations(&caller, &link_spec());
        answers.push(("violations", violations.map(drop)));
        for (action, answer) in answers {
            assert!(matches!(answer, Err(Error::Forbidden)), "{action} {caller:?}: {answer:?}");
        }
    }
}

/// The audit log requires the reach of a whole organization, and the operator list requires the
/// platform role.
#[tokio::test]
async fn audit_log_and_operator_list_reject_other_callers_before_lookup() {
    let world = World::new().await;
    let id = world.acme_session().await.id;
    let store = Arc::new(world.memory.clone());
    let (clock, leases) = (world.environment.clone(), world.leases.clone());
    let (audit, operators) = (
        Audit::new(store.clone()),
        Operators::new(store.clone(), store, clock, leases, Duration::from_secs(30)),
    );
    let events = EventPage { filter: EventFilter::default(), before: None, limit: 9 };
    let sessions = SessionPage { filter: SessionFilter::default(), after: None, limit: 9 };
    let platform = Caller { organization: None, platform_admin: true, ..World::acme_member() };
    let key = Caller { actor: Actor::Key(KeyId::from_bits(1)), ..platform.clone() };
    assert!(!audit.list(&World::acme(), &events).await.unwrap().is_empty());
    assert_eq!(
        audit.list(&World::zeta(), &events).await.unwrap(),
        [],
        "only events of the caller's organization"
    );
    assert_eq!(operators.sessions(&platform, None, &sessions).await.unwrap().len(), 1);
    // A lookup would fail with another error.
    world.memory.set_down(true);
    for caller in [World::acme_member(), confined(&id), platform] {
        assert!(matches!(audit.list(&caller, &events).await, Err(Error::Forbidden)));
    }
    for caller in [World::acme(), World::acme_member(), confined(&id), key] {
        let listed = operators.sessions(&caller, None, &sessions).await;
        assert!(matches!(listed, Err(Error::Forbidden)), "{caller:?}");
    }
}

#[tokio::test]
async fn confined_caller_uses_named_sessions_and_creates_nothing() {
    let world = World::new().await;
    let id = world.acme_session().await.id;
    let caller = confined(&id);
    assert!(world.sessions.view(&caller, id.as_str()).await.is_ok());
    let created = world.sessions.create(&caller, Settings::default(), false, None).await;
    assert!(matches!(created, Err(Error::Forbidden)));
}

#[tokio::test]
async fn errors_contain_no_foreign_data() {
    let world = World::new().await;
    let id = world.acme_session().await.id;
    for answer in answers(&world, &World::zeta(), id.as_str()).await {
        let text = format!("{answer:?}");
        assert!(!text.contains(CANARY) && !text.contains(id.as_str()), "{text}");
    }
}

#[tokio::test]
async fn unreachable_store_is_unavailable_not_empty() {
    let world = World::new().await;
    let id = world.acme_session().await.id;
    world.memory.set_down(true);
    let view = world.sessions.view(&World::acme(), id.as_str()).await;
    assert!(matches!(view, Err(Error::Unavailable { .. })));
}

#[tokio::test]
async fn delete_at_stale_version_is_rejected() {
    let world = World::new().await;
    let session = world.acme_session().await;
    let (id, acme) = (session.id.as_str(), World::acme());
    let wrong = world.sessions.delete(&acme, id, Some(domain::Version(77))).await;
    assert!(matches!(wrong, Err(Error::PreconditionFailed)));
    world.sessions.delete(&acme, id, Some(session.version)).await.unwrap();
    assert!(matches!(world.sessions.view(&acme, id).await, Err(Error::NotFound { .. })));
}
