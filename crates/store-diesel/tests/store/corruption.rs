//! What berth never writes is reported as broken when it is read, and nothing panics.

use domain::{
    ApiKey, Caller, Capability, KeyId, Node, OrganizationId, Reach, Session, SessionId, Settings,
    Timestamp,
    ports::{
        ApiKeyStore, Backlog, Environment, EventLog, KeyDirectory, KeyPage, NodeStore, PortError,
        PortResult, SessionFilter, SessionPage, SessionStore, ShownKey,
    },
    testing::TestEnvironment,
};
use store_diesel::Database;

use crate::{
    claims::{done, on_both},
    outage::scope,
    place::Place,
};

/// The first page of keys.
pub(crate) const KEYS: KeyPage = KeyPage { after: None, limit: 9 };

fn assert_broken<T: std::fmt::Debug>(answer: &PortResult<T>, why: &str) {
    assert!(matches!(answer, Err(PortError::Broken(_))), "{why}: {answer:?}");
}

/// A key of the organization that the tests are about.
pub(crate) fn a_key(number: u8, expires_at: Option<Timestamp>) -> ApiKey {
    ApiKey {
        id: KeyId::mint(number.into()),
        organization: scope().organization().clone(),
        name: "key".to_owned(),
        capabilities: [Capability::Read].into_iter().collect(),
        sessions: None,
        digest: [number; 32],
        created_by: scope().actor().clone(),
        created_at: Timestamp::from_millis(1_700_000_000_000),
        expires_at,
        last_used_at: None,
        revoked_at: None,
    }
}

/// A store that holds one of everything.
async fn filled(place: &Place) -> (Database, Session, ApiKey, Node) {
    let environment = TestEnvironment::new();
    let store = place.open().await;
    let session =
        Session::new(scope().organization().clone(), None, Settings::default(), &*environment);
    let (session, _, events) = session.created().seal(scope().actor(), &*environment);
    done(SessionStore::insert(&store, &scope(), &session, &events, None).await);
    let key = a_key(7, None);
    done(ApiKeyStore::insert(&store, &scope(), &key, &[], None).await);
    let node = Node {
        id: domain::GatewayId::parse("gw-1").expect("a name"),
        address: "http://127.0.0.1:9".to_owned(),
        incarnation: "i".to_owned(),
        boot: 0,
        version: "1".to_owned(),
        features: Vec::new(),
        capacity: 1,
        held: 0,
        beat_at: Timestamp::from_millis(1),
        lost_at: None,
    };
    store.enlist(&node).await.expect("enlist");
    (store, session, key, node)
}

async fn a_row_that_cannot_be_is_broken_wherever_it_is_read(place: Place) {
    let (store, session, key, node) = filled(&place).await;
    for (table, column, value) in [
        ("sessions", "status", "'asleep'"),
        ("sessions", "desired", "''"),
        ("sessions", "epoch", "-1"),
        ("sessions", "version", "-1"),
        ("sessions", "failures", "9000000000"),
        ("sessions", "rate_per_min", "-5"),
        ("sessions", "metadata", "'[]'"),
        ("sessions", "wanted", "'{}'"),
        ("sessions", "heard", "'?'"),
        ("sessions", "reason", "'{\"code\":\"x\",\"message\":\"\",\"since\":0}'"),
        ("sessions", "identity", "'null'"),
        ("sessions", "pairing", "'7'"),
        ("sessions", "gateway", "'a/b'"),
        ("events", "name", "'session.hexed'"),
        ("events", "payload", "'[[\"a\",[]]]'"),
        ("events", "actor_kind", "'ghost'"),
        ("events", "sequence", "-1"),
        ("api_keys", "capabilities", "'[\"fly\"]'"),
        ("api_keys", "sessions", "'[\"x\"]'"),
        ("api_keys", "created_by_kind", "'ghost'"),
        ("gateways", "features", "'identity'"),
        ("gateways", "capacity", "-1"),
    ] {
        let kept = format!("CREATE TABLE kept AS SELECT * FROM {table}");
        let spoilt = format!("UPDATE {table} SET {column} = {value}");
        place.execute(&format!("{kept}; {spoilt}")).await;
        let why = format!("{table}.{column} = {value}");
        match table {
            "sessions" => {
                let found = SessionStore::find(&store, &scope(), &session.id).await;
                assert_broken(&found, &why);
                let page = SessionPage { filter: SessionFilter::default(), after: None, limit: 9 };
                assert_broken(&SessionStore::list(&store, &scope(), &page).await, &why);
            }
            "events" => assert_broken(&store.after(&scope(), None, 9).await, &why),
            "api_keys" => {
                let shown = ShownKey { id: key.id.clone(), digest: key.digest };
                let found = KeyDirectory::find(&store, &shown, key.created_at).await;
                assert_broken(&found, &why);
                assert_broken(&ApiKeyStore::list(&store, &scope(), &KEYS).await, &why);
            }
            _ => assert_broken(&NodeStore::find(&store, &node.id).await, &why),
        }
        let restored = format!("UPDATE {table} SET {column} = (SELECT {column} FROM kept)");
        place.execute(&format!("{restored}; DROP TABLE kept")).await;
    }
    let found = SessionStore::find(&store, &scope(), &session.id).await.expect("mended");
    assert_eq!(found, Some(session));
}

async fn a_session_cannot_be_written_into_another_organization(place: Place) {
    let (store, session, key, _) = filled(&place).await;
    let zeta = OrganizationId::parse("zeta").expect("a name");
    let mut strange = session.clone();
    (strange.id, strange.organization) = (SessionId::mint(99), zeta.clone());
    assert_broken(
        &SessionStore::insert(&store, &scope(), &strange, &[], None).await,
        "a foreign session",
    );
    let mut strange = key.clone();
    (strange.id, strange.organization) = (KeyId::mint(99), zeta.clone());
    assert_broken(
        &ApiKeyStore::insert(&store, &scope(), &strange, &[], None).await,
        "a foreign key",
    );
    let theirs = Caller::operator(zeta).may(Capability::Manage).expect("may manage");
    let page = SessionPage { filter: SessionFilter::default(), after: None, limit: 9 };
    assert_eq!(SessionStore::list(&store, &theirs, &page).await.expect("list"), []);
    assert_eq!(ApiKeyStore::list(&store, &theirs, &KEYS).await.expect("list"), []);
}

async fn a_name_is_given_once_in_all_organizations(place: Place) {
    let (store, session, ..) = filled(&place).await;
    let zeta = OrganizationId::parse("zeta").expect("a name");
    let theirs = Caller::operator(zeta.clone()).may(Capability::Manage).expect("may manage");
    let mut twin = session.clone();
    twin.organization = zeta;
    assert_broken(
        &SessionStore::insert(&store, &theirs, &twin, &[], None).await,
        "a second of the name",
    );
    assert_broken(
        &SessionStore::insert(&store, &scope(), &session, &[], None).await,
        "the same again",
    );
    assert_eq!(SessionStore::find(&store, &theirs, &session.id).await.expect("find"), None);
}

async fn a_row_that_cannot_be_does_not_keep_the_others_from_being_looked_after(place: Place) {
    let environment = TestEnvironment::new();
    let store = place.open().await;
    let mut ids = Vec::new();
    for _ in 0..3 {
        let acme = scope().organization().clone();
        let mut session = Session::new(acme, None, Settings::default(), &*environment);
        session.due = Some(environment.now());
        done(SessionStore::insert(&store, &scope(), &session, &[], None).await);
        ids.push(session.id);
    }
    place.execute(&format!("UPDATE sessions SET status = 'asleep' WHERE id = '{}'", ids[1])).await;
    let now = environment.now();
    let until = now.plus(std::time::Duration::from_secs(60));
    let taken = store.claim_sessions(now, until, 10).await.expect("claim");
    let taken: Vec<_> = taken.into_iter().map(|session| session.id).collect();
    assert_eq!(taken, [ids[0].clone(), ids[2].clone()]);
    assert_broken(&Backlog::find(&store, &ids[1]).await, "asked for by name");
}

async fn a_confined_caller_hears_of_its_own_sessions_alone(place: Place) {
    let (store, session, ..) = filled(&place).await;
    let confined = |id: &SessionId| {
        let mut caller = Caller::operator(scope().organization().clone());
        caller.reach = Reach::Only([id.clone()].into());
        caller.may(Capability::Manage).expect("may manage")
    };
    let heard = store.after(&confined(&session.id), None, 9).await.expect("events");
    assert_eq!(heard.len(), 1);
    let heard = store.after(&confined(&SessionId::mint(5)), None, 9).await.expect("events");
    assert_eq!(heard, []);
    let mut nothing = Caller::operator(scope().organization().clone());
    nothing.reach = Reach::Only([].into());
    let nothing = nothing.may(Capability::Manage).expect("may manage");
    let page = SessionPage { filter: SessionFilter::default(), after: None, limit: 9 };
    assert_eq!(SessionStore::list(&store, &nothing, &page).await.expect("list"), []);
    assert_eq!(SessionStore::find(&store, &nothing, &session.id).await.expect("find"), None);
}

on_both!(
    a_row_that_cannot_be_is_broken_wherever_it_is_read,
    a_session_cannot_be_written_into_another_organization,
    a_confined_caller_hears_of_its_own_sessions_alone,
    a_name_is_given_once_in_all_organizations,
    a_row_that_cannot_be_does_not_keep_the_others_from_being_looked_after,
);
