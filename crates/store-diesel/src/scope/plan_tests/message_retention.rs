//! Test: statements that remove messages walk an index within the rows of one session, or of what is
//! due.

use diesel::sql_types::{BigInt, Text};
use diesel_async::RunQueryDsl;

use super::accesses::{Access, Connections, PlannedDatabase, by, plan_faults};
use crate::scope::{
    bound_query::bound_query,
    message_retention::{
        AgedPart, COUNT_REMOVED, NEXT_REMOVAL, NEXT_SESSIONS, NTH_FINISHED, RELEASE,
        REMOVE_COUNTERS, REMOVE_ENTRIES, REMOVE_MESSAGES, REMOVE_OTHERS, RENEW_COUNTERS,
        aged_statement, blank_statement, claim_statement, mark_statement, remove_old_statement,
    },
};

const SESSION: [&str; 2] = ["organization", "session"];

/// Accesses to rows of one session.
const fn of_session() -> Access {
    by(["", ""], &SESSION).of_session().of_few_each()
}

/// Returns the faults of the plans of statements about a deleted session.
async fn deletion_faults(planned: &PlannedDatabase) -> Vec<String> {
    let claim = || claim_statement();
    let mut faults = plan_faults!(
        planned,
        by(["session_messaging_removals"; 2], &["removal_due"]).of_few_each() =>
            bound_query!(NEXT_REMOVAL, BigInt: 5),
        of_session() => bound_query!(
            claim(),
            Text: "org-1",
            Text: "sess_1",
            BigInt: 5,
            BigInt: 6
        ),
        of_session() => bound_query!(RELEASE, Text: "org-1", Text: "sess_1", BigInt: 5),
        of_session() => bound_query!(REMOVE_MESSAGES, Text: "org-1", Text: "sess_1", BigInt: 1000),
        of_session() => bound_query!(COUNT_REMOVED, Text: "org-1", Text: "sess_1", BigInt: 5),
        of_session() => bound_query!(REMOVE_COUNTERS, Text: "org-1", Text: "sess_1"),
        by(["sessions", "sessions"], &["organization", "id"]) =>
            bound_query!(RENEW_COUNTERS, Text: "org-1", Text: "sess_1", BigInt: 5),
    );
    // Events have an index over the session alone, whose ids are unique.
    let [events, others @ ..] = REMOVE_OTHERS;
    let of_events = by(["events_in_stream"; 2], &["session", "stream"]);
    faults.extend(plan_faults!(
        planned,
        of_events => bound_query!(events, Text: "org-1", Text: "sess_1", BigInt: 1000)
    ));
    for statement in others {
        faults.extend(plan_faults!(
            planned,
            of_session() => bound_query!(statement, Text: "org-1", Text: "sess_1", BigInt: 1000)
        ));
    }
    faults
}

/// Returns the faults of the plans of statements about old messages.
async fn age_faults(planned: &PlannedDatabase) -> Vec<String> {
    let mut faults = plan_faults!(
        planned,
        by(["sessions_by_id"; 2], &[]).on(Connections::Lookups).of_list().with_any_bounds() =>
            bound_query!(NEXT_SESSIONS, Text: "sess_1", BigInt: 100),
        of_session() => bound_query!(
            remove_old_statement(),
            Text: "org-1",
            Text: "sess_1",
            BigInt: 1000,
            BigInt: 5
        ),
        by(["outbox_finished"; 2], &["finished_at"]).of_few() =>
            bound_query!(NTH_FINISHED, BigInt: 5, BigInt: 999),
        by(["outbox_finished"; 2], &["finished_at"]) => bound_query!(REMOVE_ENTRIES, BigInt: 5),
    );
    for part in [AgedPart::Body, AgedPart::Encoded] {
        faults.extend(plan_faults!(
            planned,
            of_session() => bound_query!(
                aged_statement(part),
                Text: "org-1",
                Text: "sess_1",
                BigInt: 1000
            ),
            of_session() => bound_query!(
                blank_statement(part),
                Text: "org-1",
                Text: "sess_1",
                BigInt: 5
            ),
            of_session() => bound_query!(
                &mark_statement(part),
                Text: "org-1",
                Text: "sess_1",
                BigInt: 5
            ),
        ));
    }
    faults
}

#[tokio::test(flavor = "multi_thread")]
async fn statements_that_remove_messages_walk_an_index() {
    let mut faults = Vec::new();
    for planned in PlannedDatabase::of_each_kind().await {
        faults.extend(deletion_faults(&planned).await);
        faults.extend(age_faults(&planned).await);
    }
    assert!(faults.is_empty(), "{}", faults.join("\n\n"));
}
