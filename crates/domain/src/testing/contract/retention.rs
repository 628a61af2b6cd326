//! Suite of [`WorkerStore`]: removal of old data.

use std::time::Duration;

use crate::{
    api_key::model::ApiKey,
    caller::Capability,
    event::{
        Event,
        fields::EventValue,
        payload::{EventName, EventPayload},
    },
    id::KeyId,
    ports::{
        authn::PresentedKey,
        environment::Environment,
        store::{
            events::EventLog,
            keys::{ApiKeyStore, KeyDirectory},
            sessions::SessionStore,
            worker::WorkerStore,
            written::Written,
        },
    },
    testing::{
        contract::fixtures::{assert_inserted, fresh_scope, fresh_session},
        writes::{insert_key, insert_session},
    },
    time::Timestamp,
};

/// Keys are removed some time after revocation or expiry. Other keys stay.
pub async fn expired_and_revoked_keys_are_removed(
    store: &(impl ApiKeyStore + KeyDirectory + WorkerStore),
    environment: &dyn Environment,
) {
    let scope = fresh_scope(environment);
    let long_ago = Timestamp::from_millis(1_000_000);
    let after = |seconds| Some(long_ago.plus(Duration::from_secs(seconds)));
    let mut keys = Vec::new();
    for (revoked_at, expires_at) in [
        (None, None),
        (after(1), None),
        (None, after(1)),
        (after(10), None),
        (None, after(10)),
        (after(1), after(9_000_000_000)),
    ] {
        let id = KeyId::from_bits(environment.ulid());
        let mut digest = [0; 32];
        digest[..16].copy_from_slice(&environment.ulid().to_be_bytes());
        let key = ApiKey {
            id,
            organization: scope.organization().clone(),
            name: "key".to_owned(),
            capabilities: [Capability::Read].into_iter().collect(),
            sessions: None,
            digest,
            created_by: scope.actor().clone(),
            created_at: long_ago,
            expires_at,
            last_used_at: None,
            revoked_at,
        };
        assert_inserted(insert_key(store, &scope, &key, &[], None).await);
        keys.push(key);
    }
    let before = long_ago.plus(Duration::from_secs(5));
    assert_eq!(store.sweep_keys(before, 2).await.expect("sweep"), 2, "up to the limit");
    assert_eq!(store.sweep_keys(before, 9).await.expect("sweep"), 1);
    assert_eq!(store.sweep_keys(before, 9).await.expect("sweep"), 0);
    // An insert succeeds only for a removed key.
    for (key, is_there) in keys.iter().zip([true, false, false, true, true, false]) {
        let again = insert_key(store, &scope, key, &[], None).await;
        let inserted = matches!(again, Ok(Ok(Written::Done)));
        assert!(is_there || inserted, "{:?} {:?}", key.revoked_at, key.expires_at);
    }
    let shown = PresentedKey { id: keys[0].id.clone(), digest: keys[0].digest };
    let found = KeyDirectory::find(store, &shown, long_ago).await.expect("find");
    assert_eq!(found.as_ref(), Some(&keys[0]), "a valid key stays");
}

/// Expired codes in the event log are blanked. The other values of their events stay, and so do the
/// events of another organization with the same id.
pub async fn expired_codes_are_blanked(
    store: &(impl SessionStore + EventLog + WorkerStore),
    environment: &dyn Environment,
) {
    let (scope, other_scope) = (fresh_scope(environment), fresh_scope(environment));
    let long_ago = Timestamp::from_millis(1_000_000);
    let (session, created) = fresh_session(&scope, environment);
    let mut events = Vec::new();
    for (number, (name, expires)) in [
        (EventName::AuthQr, 20),
        (EventName::AuthCode, 180),
        // No code is expected in events of this kind.
        (EventName::AuthExpired, 0),
        (EventName::AuthQr, 5_000),
    ]
    .into_iter()
    .enumerate()
    {
        let at = long_ago.plus(Duration::from_secs(number as u64));
        let payload = with_code(name, at.plus(Duration::from_secs(expires)));
        let event =
            Event::of_organization(payload, scope.organization(), scope.actor(), environment);
        let sequence = 2 + number as u64;
        events.push(Event { session: Some(session.id.clone()), sequence, at, ..event });
    }
    let all = [created, events.clone()].concat();
    assert_inserted(insert_session(store, &scope, &session, &all, None).await);
    let (other, mut others) = fresh_session(&other_scope, environment);
    let at = events[3].at;
    let payload = with_code(EventName::AuthQr, at.plus(Duration::from_secs(5_000)));
    let same_id = Event {
        id: events[0].id.clone(),
        at,
        ..Event::of_organization(
            payload,
            other_scope.organization(),
            other_scope.actor(),
            environment,
        )
    };
    others.push(same_id);
    assert_inserted(insert_session(store, &other_scope, &other, &others, None).await);

    let died_before = long_ago.plus(Duration::from_secs(1_000));
    let mut examined = 0;
    loop {
        let now = store.blank_codes(died_before, 1).await.expect("blank");
        examined += now;
        if now == 0 {
            break;
        }
    }
    assert_eq!(examined, 2);
    let mut log = store.after(&scope, None, 9).await.expect("events");
    log.sort_by_key(|event| event.sequence);
    let codes: Vec<_> =
        log.iter().skip(1).map(|event| event.payload.fields()[0].1.clone()).collect();
    let code = || EventValue::Text("ABCD".to_owned());
    assert_eq!(codes, [EventValue::Null, EventValue::Null, code(), code()]);
    for (read, written) in log.iter().skip(1).zip(&events) {
        let blanked = Event { payload: read.payload.clone(), ..written.clone() };
        assert_eq!(
            (read, &read.payload.fields()[1..]),
            (&blanked, &written.payload.fields()[1..]),
            "no other value changes"
        );
    }
    let mut log = store.after(&other_scope, None, 9).await.expect("events");
    log.sort_by(|a, b| a.id.cmp(&b.id));
    others.sort_by(|a, b| a.id.cmp(&b.id));
    assert_eq!(log, others, "another organization");
}

/// Returns a payload with a code and its expiry.
fn with_code(name: EventName, expires_at: Timestamp) -> EventPayload {
    let fields = vec![
        ("code".into(), EventValue::Text("ABCD".to_owned())),
        ("expiresAt".into(), EventValue::Number(expires_at.millis())),
    ];
    EventPayload::from_fields(name, fields)
}
