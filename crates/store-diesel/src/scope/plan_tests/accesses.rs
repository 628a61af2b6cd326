//! The accesses to tables in a plan, and what a statement may access.

use crate::{
    Database, DatabaseKind,
    engine::postgres::server::{FEED_SETTINGS, LOOKUP_SETTINGS},
    scope::plan_tests::filled_database,
    test_database::TestDatabase,
};

/// Rows of webhooks and of what belongs to them.
const ROWS: &str = include_str!("webhooks.sql");
/// Rows of share links.
const LINKS: &str = include_str!("share_links.sql");
/// Rows of chats, messages and the outbox.
const MESSAGES: &str = include_str!("messages.sql");

const TABLES: [&str; 13] = [
    "data_keys",
    "webhooks",
    "webhook_cursors",
    "webhook_retries",
    "webhook_dead_letters",
    "webhook_attempts",
    "share_links",
    "events",
    "session_messaging",
    "chats",
    "chat_names",
    "messages",
    "outbox",
];

/// The states of the tables in which plans are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TableState {
    /// Filled, with statistics.
    Analysed,
    /// Filled, without statistics.
    Unanalysed,
    /// All access paths cost the same, and the indexes still contain the deleted rows.
    Emptied,
}

/// A database of its own whose plans are read.
pub(super) struct PlannedDatabase {
    pub(super) database: Database,
    /// Connections of PostgreSQL that make each plan once for all values: without other settings, for
    /// the feed, and for lookups. Connections without settings may do so after some executions.
    pub(super) generic: Option<[tokio_postgres::Client; 3]>,
    pub(super) state: TableState,
    /// Dropped last: the database ends with it.
    _test_db: TestDatabase,
}

impl PlannedDatabase {
    /// Returns one database of each engine in each state; those of PostgreSQL only with a test server.
    pub(super) async fn of_each_kind() -> Vec<Self> {
        let mut all = Vec::new();
        for state in [TableState::Analysed, TableState::Unanalysed, TableState::Emptied] {
            if let Some(test_db) = TestDatabase::postgres().await {
                all.push(Self::new(test_db, state).await);
            }
            all.push(Self::new(TestDatabase::sqlite(), state).await);
        }
        all
    }

    async fn new(test_db: TestDatabase, state: TableState) -> Self {
        let digest = match test_db {
            TestDatabase::Postgres { .. } => "decode(md5(i::text), 'hex')",
            TestDatabase::Sqlite(_) => "randomblob(32)",
        };
        let database = filled_database(&test_db, digest, false).await;
        if database.kind() == DatabaseKind::Postgres {
            // Autovacuum would make statistics, and remove the emptied pages.
            let off = |table| format!("ALTER TABLE {table} SET (autovacuum_enabled = off);");
            test_db.execute(&TABLES.map(off).concat()).await;
        }
        for rows in [ROWS, LINKS, MESSAGES] {
            test_db.execute(&rows.replace("DIGEST", digest)).await;
        }
        if state == TableState::Emptied {
            let deletes = TABLES.map(|table| format!("DELETE FROM {table};"));
            test_db.execute(&deletes.concat()).await;
        }
        if state != TableState::Unanalysed {
            test_db.execute("ANALYZE").await;
        }
        let generic = match database.kind() {
            DatabaseKind::Postgres => Some([
                generic_planner(&test_db, &[("plan_cache_mode", "force_generic_plan")]).await,
                generic_planner(&test_db, &FEED_SETTINGS).await,
                generic_planner(&test_db, &LOOKUP_SETTINGS).await,
            ]),
            DatabaseKind::Sqlite => None,
        };
        Self { database, generic, state, _test_db: test_db }
    }
}

async fn generic_planner(
    test_db: &TestDatabase,
    settings: &[(&str, &str)],
) -> tokio_postgres::Client {
    let client = test_db.client().await;
    for (name, value) in settings {
        client.batch_execute(&format!("SET {name} = '{value}'")).await.expect("set");
    }
    client
}

/// The connections of PostgreSQL that a statement runs on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Connections {
    /// Without settings for plans.
    Plain,
    Feed,
    Lookups,
}

/// What a statement must access, on which connections.
#[derive(Clone, Copy)]
#[expect(clippy::struct_excessive_bools, reason = "each allows another plan")]
pub(super) struct Access {
    connections: Connections,
    /// A text in the names of the indexes of PostgreSQL and of SQLite.
    index: [&'static str; 2],
    /// The columns that are bounds of every access to an index.
    bounds: &'static [&'static str],
    /// Whether PostgreSQL may sort rows if it expects few, which it does without statistics.
    few: bool,
    /// Whether PostgreSQL may walk the index of a table in which it expects no row, once for a list of
    /// keys. It plans anew when it has other statistics.
    list: bool,
    /// Whether the accesses of the plan have different bounds, each some.
    any_bounds: bool,
    /// Whether PostgreSQL may read all rows of a session without statistics, which it gets within a
    /// minute.
    session: bool,
    /// Whether PostgreSQL may sort the rows of one session, if it expects few.
    sorted: bool,
    /// Whether either database may sort the rows, because one session has few of them.
    small_list: bool,
}

/// Accesses that have these columns as bounds, of which one has the index.
pub(super) const fn by(index: [&'static str; 2], bounds: &'static [&'static str]) -> Access {
    Access {
        connections: Connections::Plain,
        index,
        bounds,
        few: false,
        list: false,
        any_bounds: false,
        session: false,
        sorted: false,
        small_list: false,
    }
}

impl Access {
    pub(super) const fn on(self, connections: Connections) -> Self {
        Self { connections, ..self }
    }

    pub(super) const fn of_few(self) -> Self {
        Self { few: true, ..self }
    }

    pub(super) const fn of_list(self) -> Self {
        Self { list: true, ..self }
    }

    /// The accesses have different bounds: each has some.
    pub(super) const fn with_any_bounds(self) -> Self {
        Self { any_bounds: true, ..self }
    }

    /// Without statistics, PostgreSQL may read all rows of a session.
    pub(super) const fn of_session(self) -> Self {
        Self { session: true, ..self }
    }

    /// The rows of one session are few: either database may sort them.
    pub(super) const fn of_small_list(self) -> Self {
        Self { small_list: true, ..self }
    }

    /// PostgreSQL may sort the rows of one session, if it expects few.
    pub(super) const fn of_few_each(self) -> Self {
        Self { sorted: true, ..self }
    }

    /// Returns which of the generic planners has the plan.
    pub(super) const fn planner(self) -> usize {
        self.connections as usize
    }

    /// Returns whether the plan may depend on the values.
    pub(super) fn depends_on_values(self, kind: DatabaseKind) -> bool {
        kind == DatabaseKind::Sqlite || self.connections == Connections::Plain
    }

    /// Returns what is wrong with a plan.
    pub(super) fn fault(self, planned: &PlannedDatabase, plan: &str) -> Option<String> {
        let kind = planned.database.kind();
        if self.list && planned.state == TableState::Emptied && planned.generic.is_some() {
            return None;
        }
        let may_sort = self.small_list
            || planned.generic.is_some()
                && (self.sorted || (self.few && planned.state != TableState::Analysed));
        let (accesses, unbounded) = match kind {
            DatabaseKind::Postgres => postgres_accesses(plan),
            DatabaseKind::Sqlite => sqlite_accesses(plan),
        };
        if self.session && planned.state != TableState::Analysed && planned.generic.is_some() {
            let beyond =
                |access: &&str| !["organization", "session"].iter().all(|it| access.contains(it));
            let fault = unbounded > 0 || accesses.iter().any(beyond);
            return fault.then(|| format!("{:?}: rows of other sessions:\n{plan}", planned.state));
        }
        let [postgres, sqlite] = self.index;
        let index = if kind == DatabaseKind::Postgres { postgres } else { sqlite };
        let lacks = |access: &&str| !self.bounds.iter().all(|bound| mentions(access, bound));
        let fault = if !plan.contains(index)
            || accesses.is_empty() != (self.bounds.is_empty() && !self.any_bounds)
        {
            format!("no access by {index}")
        } else if unbounded > 0 {
            "an access without bounds".to_owned()
        } else if !may_sort && sorts(plan) {
            "a sort".to_owned()
        } else {
            let access = accesses.into_iter().find(lacks)?;
            format!("not all of {:?} in {access}", self.bounds)
        };
        Some(format!("{:?}, {:?}: {fault}:\n{plan}", planned.state, self.connections))
    }
}

/// Returns whether a plan sorts rows other than those of a page, whose number is limited.
fn sorts(plan: &str) -> bool {
    plan.contains("Sort") || (plan.contains("TEMP B-TREE") && !plan.contains("CO-ROUTINE page"))
}

/// Returns the bounds of accesses to indexes, and the number of accesses without bounds.
fn postgres_accesses(plan: &str) -> (Vec<&str>, usize) {
    let bounds: Vec<_> = plan.lines().filter(|line| line.contains("Index Cond")).collect();
    let of_index = |line: &&str| line.contains("Index Scan") || line.contains("Index Only Scan");
    let accesses = plan.lines().filter(of_index).count();
    let whole = plan.lines().filter(|line| line.contains("Seq Scan")).count();
    let unbounded = accesses - bounds.len() + whole;
    (bounds, unbounded)
}

fn sqlite_accesses(plan: &str) -> (Vec<&str>, usize) {
    let bounded = plan.lines().filter(|line| line.starts_with("SEARCH "));
    let scans = plan.lines().filter(|line| line.starts_with("SCAN "));
    // A list in a parameter, and the results of the statement's own parts.
    let own = ["VIRTUAL TABLE", "SCAN entry", "SCAN page", "SCAN present", "CONSTANT ROW"];
    let whole = scans.filter(|line| !own.iter().any(|own| line.contains(own)));
    (bounded.collect(), whole.count())
}

/// Returns whether a column is a bound. SQLite calls the position in the feed, an expression, `<expr>`.
fn mentions(access: &str, bound: &str) -> bool {
    let bounds = access.split_once('(').map_or(access, |(_, bounds)| bounds);
    let is_word = |byte: char| byte.is_ascii_alphanumeric() || byte == '_';
    bounds
        .split(|byte| !is_word(byte))
        .any(|word| word == bound || (word == "expr" && bound == "position"))
}

/// Evaluates to the faults of the plans of statements, each with its accesses.
macro_rules! plan_faults {
    ($planned:expr, $($access:expr => $query:expr),+ $(,)?) => {{
        let planned = &$planned;
        let mut faults: Vec<String> = Vec::new();
        $({
            let access = $access;
            if let Some(planners) = &planned.generic {
                let planner = &planners[access.planner()];
                let plan = $crate::scope::plan_tests::explain::generic_plan(planner, &$query).await;
                faults.extend(access.fault(planned, &plan));
            }
            if access.depends_on_values(planned.database.kind()) {
                let plan =
                    $crate::scope::plan_tests::explain::plan!(planned.database, |_conn| $query);
                faults.extend(access.fault(planned, &plan));
            }
        })+
        faults
    }};
}
pub(super) use plan_faults;
