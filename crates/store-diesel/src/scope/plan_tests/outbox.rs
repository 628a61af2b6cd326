//! Test: statements of the outbox walk an index within the rows of one session, or of what is due.

use diesel::sql_types::{BigInt, Binary, Bool, Text};
use diesel_async::RunQueryDsl;

use super::accesses::{Access, Connections, PlannedDatabase, by, plan_faults};
use crate::scope::{
    bound_query::bound_query,
    operator_figures::EARLIEST_DUE,
    outbox::{
        BY_KEY, EARLIEST, HAND_OVERS, NEXT_DUE, NEXT_EXPIRY, OLDEST_WAITING, RELEASE,
        WAITING_BEFORE, ended_statement, session_statement, unread_statement, waiting_statement,
    },
};

const SESSION: [&str; 2] = ["organization", "session"];

/// Accesses to rows of one session, of which one uses the index.
const fn of_session(index: &'static str) -> Access {
    by([index, index], &SESSION).on(Connections::Lookups).of_session()
}

/// Returns the faults of the plans of statements about one session.
async fn session_faults(planned: &PlannedDatabase) -> Vec<String> {
    plan_faults!(
        planned,
        of_session("outbox_") => bound_query!(
            waiting_statement(),
            Text: "org-1",
            Text: "sess_1",
            Bool: true,
            BigInt: 200
        ),
        of_session("outbox_") => bound_query!(NEXT_EXPIRY, Text: "org-1", Text: "sess_1"),
        of_session("outbox_") => bound_query!(
            ended_statement(),
            Text: "org-1",
            Text: "sess_1",
            BigInt: 5,
            Text: "15550000001",
            BigInt: 500
        ),
        of_session("outbox_pace") => bound_query!(
            HAND_OVERS,
            Text: "org-1",
            Text: "sess_1",
            BigInt: 5,
            BigInt: 19
        ),
        of_session("messages_newest_first").of_few_each() => bound_query!(
            unread_statement(),
            Text: "org-1",
            Text: "sess_1",
            BigInt: 4,
            BigInt: 256
        ),
        by(["outbox_", "outbox_"], &SESSION).of_session() =>
            bound_query!(WAITING_BEFORE, Text: "org-1", Text: "sess_1", BigInt: 7),
        by(["session_messaging_pkey", "session_messaging"], &[])
            .on(Connections::Lookups)
            .with_any_bounds() => bound_query!(session_statement(), Text: "sess_1"),
        by(["session_messaging_pkey", "session_messaging"], &SESSION) =>
            bound_query!(RELEASE, Text: "org-1", Text: "sess_1", BigInt: 5),
        by(["outbox_by_key", "outbox_by_key"], &["organization", "key_hash"]) =>
            bound_query!(BY_KEY, Text: "org-1", Binary: &[7_u8; 32][..]),
    )
}

/// Returns the faults of the plans of statements about what is due.
async fn due_faults(planned: &PlannedDatabase) -> Vec<String> {
    let due = ["session_messaging_outbox_due", "session_messaging_outbox_due"];
    plan_faults!(
        planned,
        by(due, &["outbox_due"]) => bound_query!(EARLIEST, BigInt: 5, BigInt: 50),
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn statements_of_the_outbox_walk_an_index() {
    let mut faults = Vec::new();
    for planned in PlannedDatabase::of_each_kind().await {
        faults.extend(session_faults(&planned).await);
        faults.extend(due_faults(&planned).await);
        let first = [
            (NEXT_DUE, "session_messaging_outbox_due"),
            (OLDEST_WAITING, "outbox_oldest"),
            (EARLIEST_DUE, "sessions_due"),
        ];
        for (statement, index) in first {
            let plan =
                super::explain::plan!(planned.database, |_conn| diesel::sql_query(statement));
            if !plan.contains(index) {
                faults.push(format!("no access by {index}:\n{plan}"));
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n\n"));
}
