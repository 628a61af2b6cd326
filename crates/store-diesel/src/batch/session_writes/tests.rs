//! Tests: a batched write changes only the rows whose guard and scope match.

use domain::{
    Caller, Capability, ExpectedVersion, Reach, Scope, Session, SessionId, Settings, Timestamp,
    Version,
    ports::{Environment as _, SessionStore as _},
    testing::{
        TestEnvironment, cleanup_of, commit_parts,
        contract::{filled, stored_events},
    },
};

use super::*;
use crate::{Database, database::pools::Pools, test_database::TestDatabase};

fn scope(organization: &str, reach: Reach) -> Scope {
    let organization = domain::OrganizationId::parse(organization).expect("a name");
    let caller = Caller { reach, ..Caller::operator(organization) };
    caller.may(Capability::Manage).expect("may manage")
}

fn session(organization: &str, environment: &TestEnvironment) -> Session {
    let params = scope(organization, Reach::Everything).organization().clone();
    let new = Session::new(params, None, Settings::default(), environment);
    filled(new, environment)
}

fn events(session: &Session, environment: &TestEnvironment) -> Vec<EventRow> {
    let operator = scope(session.organization.as_str(), Reach::Everything);
    let (_, _, events) = commit_parts(session.clone().created(), operator.actor(), environment);
    EventRow::all(&events).expect("rows")
}

fn cleanup_row(session: &Session, environment: &TestEnvironment) -> CleanupRow {
    let operator = scope(session.organization.as_str(), Reach::Everything);
    CleanupRow::new(&cleanup_of(session, &operator, environment.now())).expect("a row")
}

fn keys(row: &impl Serialize) -> Vec<String> {
    let row = serde_json::to_value(row).expect("JSON");
    let mut keys: Vec<_> = row.as_object().expect("an object").keys().cloned().collect();
    keys.sort();
    keys
}

fn named(columns: &[&str]) -> Vec<String> {
    let names = columns.iter().flat_map(|columns| columns.split(", "));
    let mut names: Vec<_> = names.map(str::to_owned).collect();
    names.sort();
    names
}

#[test]
fn column_lists_are_complete() {
    let environment = TestEnvironment::new();
    let session = session("acme", &environment);
    assert_eq!(keys(&SessionRow::new(&session).expect("a row")), named(&[IMMUTABLE, MUTABLE]));
    assert_eq!(keys(&MutableColumns::new(&session).expect("a state")), named(&[MUTABLE]));
    assert_eq!(keys(&cleanup_row(&session, &environment)), named(&[CLEANUP]));
    assert_eq!(keys(&events(&session, &environment)[0]), named(&[EVENT]));
}

async fn execute(database: &Database, together: SessionWrites<'_>) -> Vec<String> {
    let Pools::Postgres(pool) = &database.pools else { panic!("PostgreSQL is asked") };
    let conn = pool.lookups.connection().await.expect("a connection");
    let mut changed = together.execute(&conn).await.expect("an answer");
    changed.sort();
    changed
}

#[tokio::test(flavor = "multi_thread")]
async fn batched_write_changes_only_matching_rows_of_each_scope() {
    let Some(test_db) = TestDatabase::postgres().await else { return };
    let database = test_db.open().await;
    let environment = TestEnvironment::new();
    let [mine, theirs, hidden, stale, woken, gone, kept, veiled] =
        ["acme", "zeta", "acme", "acme", "acme", "acme", "zeta", "acme"]
            .map(|organization| session(organization, &environment));
    let everybody = [&mine, &theirs, &hidden, &stale, &woken, &gone, &kept, &veiled];
    let rows = everybody.map(|session| SessionRow::new(session).expect("a row"));
    let mut together = SessionWrites::default();
    for row in &rows {
        together.insert(row, &[]);
    }
    assert_eq!(execute(&database, together).await.len(), everybody.len());
    for session in everybody {
        let params = scope(session.organization.as_str(), Reach::Everything);
        let found = database.find(&params, &session.id).await.expect("an answer");
        assert_eq!(found.as_ref(), Some(session), "read as it was written");
    }

    let acme = scope("acme", Reach::Everything);
    let only_mine = scope("acme", Reach::Only([mine.id.clone()].into()));
    let row_of = |scope, session: &Session| ScopedSessionId::new(scope, &session.id);
    let expected_version =
        |session: &Session| ExpectedVersion { version: session.version, due: session.due };
    let expected =
        |session: &Session| ExpectedRowVersion::of(expected_version(session)).expect("it stands");
    let older =
        ExpectedVersion { version: Version(mine.version.0 + 1), ..expected_version(&stale) };
    let slept = ExpectedVersion { due: None, ..expected_version(&woken) };
    let missing = Session { id: SessionId::from_bits(7), ..mine.clone() };
    let bare = Session::new(mine.organization.clone(), None, Settings::default(), &*environment);
    let bare = MutableColumns::new(&bare).expect("a state");
    let updates = [
        (row_of(&acme, &mine), expected(&mine)),
        (row_of(&acme, &theirs), expected(&theirs)),
        (row_of(&only_mine, &hidden), expected(&hidden)),
        (row_of(&acme, &stale), ExpectedRowVersion::of(older).expect("it stands")),
        (row_of(&acme, &woken), ExpectedRowVersion::of(slept).expect("it stands")),
        (row_of(&acme, &missing), expected(&missing)),
    ];
    let deletions = [row_of(&acme, &gone), row_of(&acme, &kept), row_of(&only_mine, &veiled)];
    let cleanups = [&gone, &kept, &veiled].map(|session| cleanup_row(session, &environment));
    let told = everybody.map(|session| events(session, &environment));
    let mut together = SessionWrites::default();
    for (scoped_id, expected) in &updates {
        together.update(scoped_id, *expected, &bare, None);
    }
    for (scoped_id, cleanup) in deletions.iter().zip(&cleanups) {
        together.delete(scoped_id, 0, Some(cleanup));
    }
    for events in &told {
        together.add_events(events);
    }
    let mut expected = [mine.id.to_string(), gone.id.to_string()];
    expected.sort();
    assert_eq!(execute(&database, together).await, expected);

    let changed = database.find(&acme, &mine.id).await.expect("an answer").expect("it is there");
    assert_eq!((changed.settings, changed.due), (Settings::default(), None::<Timestamp>));
    assert_eq!(database.find(&acme, &gone.id).await.expect("an answer"), None);
    for session in [&theirs, &hidden, &stale, &woken, &kept, &veiled] {
        let params = scope(session.organization.as_str(), Reach::Everything);
        let found = database.find(&params, &session.id).await.expect("an answer");
        assert_eq!(found.as_ref(), Some(session), "left as it was");
    }
    let log = stored_events(&database, &acme).await;
    let mut of: Vec<_> = log.iter().filter_map(|event| event.session.clone()).collect();
    of.sort();
    assert_eq!(of.iter().map(ToString::to_string).collect::<Vec<_>>(), expected);
    let zeta = scope("zeta", Reach::Everything);
    assert_eq!(stored_events(&database, &zeta).await, []);
    let resting = test_db.client().await.query("SELECT session FROM retirements", &[]).await;
    let resting = resting.expect("an answer");
    assert_eq!(resting.iter().map(|row| row.get(0)).collect::<Vec<String>>(), [gone.id.as_str()]);
}
