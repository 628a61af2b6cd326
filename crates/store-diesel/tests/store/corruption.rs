//! Tests: a corrupt row is an error when read alone, absent from lists, and never causes a panic.

use domain::{
    ApiKey, Caller, Capability, KeyId, Node, OrganizationId, Reach, Session, SessionId, Settings,
    StoredVersion, Timestamp,
    ports::{
        ApiKeyStore, Claim, Environment, KeyDirectory, KeyPage, NodeStore, PortError, PortResult,
        Position, PresentedKey, SessionFilter, SessionPage, SessionStore, WorkerStore, Written,
    },
    testing::{
        TestEnvironment, cleanup_of, commit_parts, contract::stored_events, delete_session,
        insert_key, insert_session,
    },
};
use store_diesel::Database;

use crate::{
    both_databases::{done, on_both},
    outage::scope,
    test_database::TestDatabase,
};

/// The first page of sessions.
const SESSIONS: SessionPage = SessionPage {
    filter: SessionFilter { statuses: Vec::new(), label: None, gateway: None, phone: None },
    after: None,
    limit: 9,
};
/// The first page of keys.
pub(crate) const KEYS: KeyPage = KeyPage { after: None, limit: 9 };

fn assert_broken<T: std::fmt::Debug>(answer: &PortResult<T>, why: &str) {
    assert!(matches!(answer, Err(PortError::Broken(_))), "{why}: {answer:?}");
}

/// Returns a key of organization `acme`.
pub(crate) fn api_key(number: u8, expires_at: Option<Timestamp>) -> ApiKey {
    ApiKey {
        id: KeyId::from_bits(number.into()),
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

/// Opens a store with one session, one key and one node.
async fn filled(test_db: &TestDatabase) -> (Database, Session, ApiKey, Node) {
    let environment = TestEnvironment::new();
    let store = test_db.open().await;
    let session =
        Session::new(scope().organization().clone(), None, Settings::default(), &*environment);
    let (session, _, events) = commit_parts(session.created(), scope().actor(), &*environment);
    done(insert_session(&store, &scope(), &session, &events, None).await);
    let key = api_key(7, None);
    done(insert_key(&store, &scope(), &key, &[], None).await);
    let node = Node {
        id: domain::GatewayId::parse("gw-1").expect("a name"),
        address: "http://127.0.0.1:9".to_owned(),
        incarnation: "i".to_owned(),
        generation: 0,
        version: "1".to_owned(),
        features: Vec::new(),
        capacity: 1,
        held: 0,
        heartbeat_at: Timestamp::from_millis(1),
        lost_at: None,
    };
    store.register(&node).await.expect("enlist");
    (store, session, key, node)
}

async fn unreadable_row_is_broken_alone_and_absent_from_lists(test_db: TestDatabase) {
    let (store, session, key, node) = filled(&test_db).await;
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
        ("events", "payload", "'[[\"a\",{}]]'"),
        ("events", "actor_kind", "'ghost'"),
        ("events", "sequence", "-1"),
        ("api_keys", "capabilities", "'[\"fly\"]'"),
        ("api_keys", "sessions", "'[\"x\"]'"),
        ("api_keys", "created_by_kind", "'ghost'"),
        ("gateways", "features", "'identity'"),
        ("gateways", "capacity", "-1"),
    ] {
        let backup = format!("CREATE TABLE kept AS SELECT * FROM {table}");
        let corrupted = format!("UPDATE {table} SET {column} = {value}");
        test_db.execute(&format!("{backup}; {corrupted}")).await;
        let why = format!("{table}.{column} = {value}");
        match table {
            "sessions" => {
                let found = SessionStore::find(&store, &scope(), &session.id).await;
                assert_broken(&found, &why);
                let listed = SessionStore::list(&store, &scope(), &SESSIONS).await;
                assert_eq!(listed.expect("a list"), [], "{why}");
            }
            "events" => {
                assert_eq!(stored_events(&store, &scope()).await, [], "{why}");
            }
            "api_keys" => {
                let shown = PresentedKey { id: key.id.clone(), digest: key.digest };
                let found = KeyDirectory::find(&store, &shown, key.created_at).await;
                assert_broken(&found, &why);
                let listed = ApiKeyStore::list(&store, &scope(), &KEYS).await;
                assert_eq!(listed.expect("a list"), [], "{why}");
            }
            _ => {
                assert_broken(&NodeStore::find(&store, &node.id).await, &why);
                assert_eq!(NodeStore::list(&store).await.expect("a list"), [], "{why}");
            }
        }
        let restored = format!("UPDATE {table} SET {column} = (SELECT {column} FROM kept)");
        test_db.execute(&format!("{restored}; DROP TABLE kept")).await;
    }
    let found = SessionStore::find(&store, &scope(), &session.id).await.expect("mended");
    assert_eq!(found, Some(session));
}

async fn write_into_another_organization_is_rejected(test_db: TestDatabase) {
    let (store, session, key, _) = filled(&test_db).await;
    let zeta = OrganizationId::parse("zeta").expect("a name");
    let mut foreign_row = session.clone();
    (foreign_row.id, foreign_row.organization) = (SessionId::from_bits(99), zeta.clone());
    assert_broken(
        &insert_session(&store, &scope(), &foreign_row, &[], None).await,
        "a foreign session",
    );
    let mut foreign_row = key.clone();
    (foreign_row.id, foreign_row.organization) = (KeyId::from_bits(99), zeta.clone());
    assert_broken(&insert_key(&store, &scope(), &foreign_row, &[], None).await, "a foreign key");
    let theirs = Caller::operator(zeta).may(Capability::Manage).expect("may manage");
    let page = SessionPage { filter: SessionFilter::default(), after: None, limit: 9 };
    assert_eq!(SessionStore::list(&store, &theirs, &page).await.expect("list"), []);
    assert_eq!(ApiKeyStore::list(&store, &theirs, &KEYS).await.expect("list"), []);
}

async fn ids_are_unique_across_organizations(test_db: TestDatabase) {
    let (store, session, ..) = filled(&test_db).await;
    let zeta = OrganizationId::parse("zeta").expect("a name");
    let theirs = Caller::operator(zeta.clone()).may(Capability::Manage).expect("may manage");
    let mut duplicate = session.clone();
    duplicate.organization = zeta;
    for (scope, again) in [(&theirs, &duplicate), (&scope(), &session)] {
        let written = insert_session(&store, scope, again, &[], None).await;
        assert_eq!(written.expect("an answer"), Ok(Written::Raced));
    }
    assert_eq!(SessionStore::find(&store, &theirs, &session.id).await.expect("find"), None);
}

async fn unreadable_row_does_not_block_claims_of_others(test_db: TestDatabase) {
    let environment = TestEnvironment::new();
    let store = test_db.open().await;
    let mut ids = Vec::new();
    for _ in 0..3 {
        let acme = scope().organization().clone();
        let mut session = Session::new(acme, None, Settings::default(), &*environment);
        session.due = Some(environment.now());
        done(insert_session(&store, &scope(), &session, &[], None).await);
        ids.push(session.id);
    }
    test_db
        .execute(&format!("UPDATE sessions SET status = 'asleep' WHERE id = '{}'", ids[1]))
        .await;
    let now = environment.now();
    let until = now.plus(std::time::Duration::from_secs(60));
    let taken = store.claim_sessions(&Claim::new(now, until, 10)).await.expect("claim");
    let taken: Vec<_> = taken.into_iter().map(|session| session.id).collect();
    assert_eq!(taken, [ids[0].clone(), ids[2].clone()]);
    assert_broken(&WorkerStore::find(&store, &ids[1]).await, "asked for by name");
}

/// Inserts 30 sessions, oldest first, and makes every third unreadable.
async fn insert_sessions_with_unreadable_thirds(
    test_db: &TestDatabase,
    store: &Database,
) -> Vec<Session> {
    let environment = TestEnvironment::new();
    let mut sessions = Vec::new();
    for number in 0..30 {
        let acme = scope().organization().clone();
        let mut session = Session::new(acme, None, Settings::default(), &*environment);
        session.gateway = domain::GatewayId::parse("gw-1");
        session.spec.epoch = 3;
        done(insert_session(store, &scope(), &session, &[], None).await);
        if number % 3 == 0 {
            test_db
                .execute(&format!(
                    "UPDATE sessions SET status = 'asleep' WHERE id = '{}'",
                    session.id
                ))
                .await;
        }
        sessions.push(session);
        environment.advance(std::time::Duration::from_millis(1));
    }
    sessions
}

async fn list_skips_unreadable_rows(test_db: TestDatabase) {
    let store = test_db.open().await;
    let sessions = insert_sessions_with_unreadable_thirds(&test_db, &store).await;
    let good: Vec<_> = (0..30).rev().filter(|n| n % 3 != 0).map(|n| sessions[n].clone()).collect();
    for limit in [1, 2, 3, 7] {
        let (mut walked, mut after) = (Vec::new(), None);
        loop {
            let page = SessionPage { after, limit, ..SESSIONS };
            let listed = SessionStore::list(&store, &scope(), &page).await.expect("a page");
            let Some(last) = listed.last() else { break };
            after = Some(Position { created_at: last.created_at, id: last.id.clone() });
            let full = listed.len() == limit as usize;
            walked.extend(listed);
            if !full {
                break;
            }
        }
        assert_eq!(walked, good, "pages of {limit}");
    }
}

async fn unreadable_session_stays_on_its_node(test_db: TestDatabase) {
    let store = test_db.open().await;
    let sessions = insert_sessions_with_unreadable_thirds(&test_db, &store).await;
    test_db
        .execute(&format!("UPDATE sessions SET epoch = -1 WHERE id = '{}'", sessions[1].id))
        .await;
    let node = domain::GatewayId::parse("gw-1").expect("a name");
    let placed = store.assigned_sessions(&node).await.expect("what is placed");
    let mut ids: Vec<_> = placed.into_iter().map(|(held, _)| held.session).collect();
    ids.sort();
    assert_eq!(ids, sessions.iter().map(|session| session.id.clone()).collect::<Vec<_>>());
}

async fn unreadable_session_can_be_deleted(test_db: TestDatabase) {
    let store = test_db.open().await;
    let environment = TestEnvironment::new();
    let node = domain::GatewayId::parse("gw-1");
    for (number, (column, value)) in [
        ("status", "'asleep'"),
        ("epoch", "-1"),
        ("version", "-1"),
        ("sequence", "-1"),
        ("sequence", "0"),
        ("heard", "'?'"),
        ("gateway", "'a/b'"),
    ]
    .into_iter()
    .enumerate()
    {
        let acme = scope().organization().clone();
        let mut session = Session::new(acme, None, Settings::default(), &*environment);
        session.gateway = node.clone();
        session.spec.epoch = 3;
        let (session, _, events) = commit_parts(session.created(), scope().actor(), &*environment);
        done(insert_session(&store, &scope(), &session, &events, None).await);
        let id = &session.id;
        test_db.execute(&format!("UPDATE sessions SET {column} = {value} WHERE id = '{id}'")).await;
        let why = format!("{number}: {column} = {value}");
        let zeta = OrganizationId::parse("zeta").expect("a name");
        let theirs = Caller::operator(zeta).may(Capability::Manage).expect("may manage");
        assert_eq!(store.partial_session(&theirs, id).await.expect("nothing"), None, "{why}");
        let partial_session =
            store.partial_session(&scope(), id).await.expect("read").expect("there");
        assert_eq!(partial_session.gateway, node.clone().filter(|_| column != "gateway"), "{why}");
        assert_eq!(partial_session.is_on_unknown_node, column == "gateway", "{why}");
        assert_eq!(partial_session.epoch, (column != "epoch").then_some(3), "{why}");
        assert_eq!(partial_session.sequence, 1, "{why}");
        let cleanup = cleanup_of(&session, &scope(), environment.now());
        let mark = partial_session.stored_version;
        let raced = delete_session(&store, &scope(), StoredVersion(mark + 1), &cleanup, &[]).await;
        assert_eq!(raced.expect("an answer"), Ok(Written::Raced), "{why}");
        done(delete_session(&store, &scope(), StoredVersion(mark), &cleanup, &[]).await);
        assert_eq!(SessionStore::find(&store, &scope(), id).await.expect("gone"), None, "{why}");
        let cleaning_up =
            store.pending_cleanups(node.as_ref().expect("a name")).await.expect("retiring");
        assert!(cleaning_up.contains(id), "{why}");
    }
}

async fn confined_caller_reads_only_sessions_in_reach(test_db: TestDatabase) {
    let (store, session, ..) = filled(&test_db).await;
    let confined = |id: &SessionId| {
        let mut caller = Caller::operator(scope().organization().clone());
        caller.reach = Reach::Only([id.clone()].into());
        caller.may(Capability::Manage).expect("may manage")
    };
    let visible = stored_events(&store, &confined(&session.id)).await;
    assert_eq!(visible.len(), 1);
    let visible = stored_events(&store, &confined(&SessionId::from_bits(5))).await;
    assert_eq!(visible, []);
    let mut nothing = Caller::operator(scope().organization().clone());
    nothing.reach = Reach::Only([].into());
    let nothing = nothing.may(Capability::Manage).expect("may manage");
    let page = SessionPage { filter: SessionFilter::default(), after: None, limit: 9 };
    assert_eq!(SessionStore::list(&store, &nothing, &page).await.expect("list"), []);
    assert_eq!(SessionStore::find(&store, &nothing, &session.id).await.expect("find"), None);
}

on_both!(
    unreadable_row_is_broken_alone_and_absent_from_lists,
    write_into_another_organization_is_rejected,
    confined_caller_reads_only_sessions_in_reach,
    ids_are_unique_across_organizations,
    unreadable_row_does_not_block_claims_of_others,
    list_skips_unreadable_rows,
    unreadable_session_stays_on_its_node,
    unreadable_session_can_be_deleted,
);
