//! Suite of [`WorkerStore`]: removal of old data.

use std::time::Duration;

use crate::{
    access::Scope,
    api_key::model::ApiKey,
    caller::Capability,
    event::{
        Event,
        fields::EventValue,
        payload::{EventName, EventPayload},
    },
    id::{KeyId, SessionId},
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
        contract::fixtures::{assert_inserted, fresh_scope, fresh_session, stored_events},
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
    let after = |seconds| Some(LONG_AGO.plus(Duration::from_secs(seconds)));
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
            created_at: LONG_AGO,
            expires_at,
            last_used_at: None,
            revoked_at,
        };
        assert_inserted(insert_key(store, &scope, &key, &[], None).await);
        keys.push(key);
    }
    let before = LONG_AGO.plus(Duration::from_secs(5));
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
    let found = KeyDirectory::find(store, &shown, LONG_AGO).await.expect("find");
    assert_eq!(found.as_ref(), Some(&keys[0]), "a valid key stays");
}

/// Expired codes in the event log are blanked. The other values of their events stay, and so does an
/// event of another organization with the same id.
pub async fn expired_codes_are_blanked(
    store: &(impl SessionStore + EventLog + WorkerStore),
    environment: &dyn Environment,
) {
    let (scope, other_scope) = (fresh_scope(environment), fresh_scope(environment));
    let (session, created) = fresh_session(&scope, environment);
    let events = events_with_codes(&scope, &session.id, environment);
    let all = [created, events.clone()].concat();
    assert_inserted(insert_session(store, &scope, &session, &all, None).await);
    let (other, mut others) = fresh_session(&other_scope, environment);
    others.push(Event {
        id: events[0].id.clone(),
        organization: other_scope.organization().clone(),
        session: None,
        sequence: 0,
        ..events[3].clone()
    });
    assert_inserted(insert_session(store, &other_scope, &other, &others, None).await);

    let died_before = LONG_AGO.plus(Duration::from_secs(1_000));
    let mut examined = 0;
    loop {
        let now = store.blank_codes(died_before, 1).await.expect("blank");
        examined += now;
        if now == 0 {
            break;
        }
    }
    assert_eq!(examined, 2);
    let mut log = stored_events(store, &scope).await;
    log.sort_by_key(|event| event.sequence);
    let code = |event: &Event| event.payload.fields()[0].1.clone();
    let codes: Vec<_> = log.iter().skip(1).map(code).collect();
    let unchanged = code(&events[2]);
    assert_eq!(codes, [EventValue::Null, EventValue::Null, unchanged.clone(), unchanged]);
    for (read, written) in log.iter().skip(1).zip(&events) {
        let blanked = Event { payload: read.payload.clone(), ..written.clone() };
        let (of_read, of_written) = (read.payload.fields(), written.payload.fields());
        assert_eq!((read, &of_read[1..]), (&blanked, &of_written[1..]), "no other value changes");
    }
    let mut log = stored_events(store, &other_scope).await;
    log.sort_by(|a, b| a.id.cmp(&b.id));
    others.sort_by(|a, b| a.id.cmp(&b.id));
    assert_eq!(log, others, "another organization");
}

/// A time before the codes of other suites.
const LONG_AGO: Timestamp = Timestamp::from_millis(1_000_000);

/// Returns events with codes, one a second: two that expire early, one of a kind without codes, and
/// one that expires late.
fn events_with_codes(
    scope: &Scope,
    session: &SessionId,
    environment: &dyn Environment,
) -> Vec<Event> {
    let kinds = [
        (EventName::AuthQr, 20),
        (EventName::AuthCode, 180),
        (EventName::AuthExpired, 0),
        (EventName::AuthQr, 5_000),
    ];
    let event = |(number, (name, expires)): (u64, (EventName, u64))| {
        let at = LONG_AGO.plus(Duration::from_secs(number));
        let expires_at = at.plus(Duration::from_secs(expires));
        let fields = vec![
            ("code".into(), EventValue::Text("ABCD".to_owned())),
            ("expiresAt".into(), EventValue::Number(expires_at.millis())),
        ];
        let payload = EventPayload::from_fields(name, fields);
        let (organization, actor) = (scope.organization(), scope.actor());
        let event = Event::of_organization(payload, organization, actor, environment);
        Event { session: Some(session.clone()), sequence: 2 + number, at, ..event }
    };
    (0..).zip(kinds).map(event).collect()
}
