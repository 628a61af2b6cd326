//! Test: statements of chats and messages walk an index within the rows of one session, and of one
//! chat or message where that is given.

use diesel::{
    prelude::*,
    sql_types::{BigInt, Bool, Text},
};
use diesel_async::RunQueryDsl;
use domain::SessionId;

use super::{
    accesses::{Access, Connections, PlannedDatabase, by, plan_faults},
    scope,
};
use crate::{
    rows::{chat::ChatRow, message::MessageRow, session_messaging::SessionMessagingRow},
    schema::{chat_names, chats, messages},
    scope::{
        ScopedSessionId,
        bound_query::bound_query,
        messages::{
            MessageParams, chat_name, chat_page, message_page, messages_by_wa_id, of_all_chats,
            session_messages, unsent,
        },
        messaging::{
            MERGE, bodies_statement, chats_statement, entries_statement, guard_statement,
            insert_entries_statement, insert_messages_statement, messages_statement,
            names_statement, recover_statement, sessions_statement, shown_chats_statement,
            shown_entries_statement, shown_messages_statement, store_chats_statement,
            store_names_statement, update_entries_statement, update_states_statement,
            versions_statement,
        },
        number_keyset::NumberPosition,
    },
};

fn one_session() -> ScopedSessionId {
    ScopedSessionId::new(&scope(), &SessionId::from_bits(1))
}

fn page_params() -> MessageParams {
    MessageParams {
        session: one_session(),
        after: NumberPosition::at(6_000, 9),
        since: 5,
        inbound: None,
        level: None,
        reference: None,
    }
}

const SESSION: [&str; 2] = ["organization", "session"];

/// Accesses by an index of the same name on both databases.
const fn of(index: &'static str, bounds: &'static [&'static str]) -> Access {
    by([index, index], bounds)
}

/// Returns the faults of the plans of reads of callers.
async fn read_faults(planned: &PlannedDatabase) -> Vec<String> {
    let session = one_session();
    let (params, after) = (page_params(), NumberPosition::at(6_000, 9));
    let names = ["chat_names_pkey", "sqlite_autoindex_chat_names_1"];
    plan_faults!(
        planned,
        by(["session_messaging_pkey", "session_messaging"], &SESSION) =>
            session_messages(&session).select(SessionMessagingRow::as_select()),
        of("chats_by_activity", &["organization", "session", "account", "last_at"]).of_few().of_session() =>
            chat_page(&session, "15550000001", after).select(ChatRow::as_select()).limit(50),
        of("chats_by_activity", &["organization", "session", "account", "last_at"]).of_few().of_session() =>
            chat_page(&session, "15550000001", after)
                .filter(chats::unread.gt(0))
                .select(ChatRow::as_select())
                .limit(50),
        by(names, &["organization", "session", "name", "account"]) =>
            chat_name(&session, "15550000001", "1@lid").select(chat_names::chat),
        of("messages_newest_first", &["organization", "session", "at"]).of_few().of_session() =>
            message_page(&params)
                .filter(of_all_chats())
                .select(MessageRow::as_select())
                .limit(50),
        of("messages_of_chat", &["organization", "session", "chat", "at"]).of_few_each().of_session() =>
            message_page(&params)
                .filter(messages::chat.eq(7))
                .select(MessageRow::as_select())
                .limit(50),
        of("messages_unsent", &["organization", "session", "level", "at"]).of_few().of_session() =>
            message_page(&params)
                .filter(messages::level.eq(-1))
                .filter(unsent())
                .select(MessageRow::as_select())
                .limit(50),
        of("messages_by_reference", &["organization", "session", "reference", "at"]).of_few().of_session() =>
            message_page(&params)
                .filter(messages::reference.eq("ref-1"))
                .select(MessageRow::as_select())
                .limit(50),
        of("messages_once", &["organization", "session", "wa_id"]).of_few().of_session() =>
            messages_by_wa_id(&session, "WA7").select(MessageRow::as_select()),
    )
}

/// A list with one row of each kind.
const LIST: &str = r#"[{"organization": "org-1", "session": "sess_1", "id": 1, "name": "1@lid",
    "wa_id": "WA1", "message": 1, "account": "", "expected": 1}]"#;

const fn listed(index: [&'static str; 2], bounds: &'static [&'static str]) -> Access {
    by(index, bounds).on(Connections::Lookups).of_list().of_session()
}

/// Returns the faults of the plans of statements about listed rows.
async fn list_faults(planned: &PlannedDatabase) -> Vec<String> {
    let kind = planned.database.kind();
    let message = ["messages_pkey", "sqlite_autoindex_messages_1"];
    let entry = ["outbox_pkey", "sqlite_autoindex_outbox_1"];
    plan_faults!(
        planned,
        // The session by its id, and its counters by organization and session.
        by(["session_messaging_pkey", "session_messaging"], &[])
            .on(Connections::Lookups)
            .of_list()
            .with_any_bounds() =>
            bound_query!(sessions_statement(kind).as_str(), Text: LIST),
        by(["session_messaging_pkey", "session_messaging"], &[])
            .on(Connections::Lookups)
            .of_list()
            .with_any_bounds() =>
            bound_query!(versions_statement(kind).as_str(), Text: LIST),
        listed(["chat_names_pkey", "sqlite_autoindex_chat_names_1"], &["organization", "session", "name"]) =>
            bound_query!(names_statement(kind).as_str(), Text: LIST),
        listed(["chats_pkey", "sqlite_autoindex_chats_1"], &["organization", "session", "id"]) =>
            bound_query!(chats_statement(kind).as_str(), Text: LIST),
        listed(["messages_once", "messages_once"], &["organization", "session", "wa_id"]) =>
            bound_query!(messages_statement(kind).as_str(), Text: LIST),
        listed(entry, &["organization", "session", "message"]) =>
            bound_query!(entries_statement(kind).as_str(), Text: LIST),
        listed(["chats_pkey", "sqlite_autoindex_chats_1"], &["organization", "session", "id"]) =>
            bound_query!(shown_chats_statement(kind).as_str(), Text: LIST, Bool: true),
        listed(message, &["organization", "session", "id"]) =>
            bound_query!(shown_messages_statement(kind).as_str(), Text: LIST, Bool: true),
        listed(entry, &["organization", "session", "message"]) =>
            bound_query!(shown_entries_statement(kind).as_str(), Text: LIST, Bool: true),
        listed(message, &["organization", "session", "id"]) =>
            bound_query!(bodies_statement(kind).as_str(), Text: LIST),
        listed(["session_messaging_pkey", "session_messaging"], &SESSION) =>
            bound_query!(guard_statement(kind).as_str(), Text: LIST),
        listed(message, &["organization", "session", "id"]) =>
            bound_query!(update_states_statement(kind).as_str(), Text: LIST),
        listed(message, &["organization", "session", "id"]) =>
            bound_query!(recover_statement(kind).as_str(), Text: LIST),
        listed(entry, &["organization", "session", "message"]) =>
            bound_query!(update_entries_statement(kind).as_str(), Text: LIST),
        by(["", ""], &[]).on(Connections::Lookups) => bound_query!(store_chats_statement(kind).as_str(), Text: LIST),
        by(["", ""], &[]).on(Connections::Lookups) => bound_query!(store_names_statement(kind).as_str(), Text: LIST),
        by(["", ""], &[]).on(Connections::Lookups) => bound_query!(insert_messages_statement(kind).as_str(), Text: LIST),
        by(["", ""], &[]).on(Connections::Lookups) => bound_query!(insert_entries_statement(kind).as_str(), Text: LIST),
    )
}

/// Returns the faults of the plans of a merge, which reads rows of one session alone.
async fn merge_faults(planned: &PlannedDatabase) -> Vec<String> {
    let mut faults = Vec::new();
    for statement in MERGE {
        let query = || {
            bound_query!(
                statement,
                Text: "org-1",
                Text: "sess_1",
                BigInt: 7,
                BigInt: 1
            )
        };
        let access = by(["", ""], &SESSION).on(Connections::Lookups);
        faults.extend(plan_faults!(planned, access => query()));
    }
    faults
}

#[tokio::test(flavor = "multi_thread")]
async fn statements_of_messages_walk_an_index() {
    let mut faults = Vec::new();
    for planned in PlannedDatabase::of_each_kind().await {
        faults.extend(read_faults(&planned).await);
        faults.extend(list_faults(&planned).await);
        faults.extend(merge_faults(&planned).await);
    }
    assert!(faults.is_empty(), "{}", faults.join("\n\n"));
}
