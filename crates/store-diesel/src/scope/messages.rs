//! Fragments of chats and messages for callers. Each takes organization, session and reach from
//! [`ScopedSessionId`].

use diesel::{
    dsl::{auto_type, not, sql},
    expression::SqlLiteral,
    prelude::*,
    sql_types::Bool,
};

use crate::{
    schema::{chat_names, chats, messages, session_messaging},
    scope::{
        Flag, ScopedSessionId, flag,
        number_keyset::{NumberBefore, NumberPosition},
    },
};

/// The condition of the index over messages that are not sent. A literal, because a parameter would
/// not allow PostgreSQL to use the index.
const UNSENT: &str = "level <= 0";

/// Conditions on messages of which no index has the columns, and the position of a page.
pub(crate) struct MessageParams {
    pub(crate) session: ScopedSessionId,
    pub(crate) after: NumberPosition,
    pub(crate) since: i64,
    /// Whether only received messages, or only sent ones, are selected.
    pub(crate) inbound: Option<bool>,
    pub(crate) level: Option<i64>,
    pub(crate) reference: Option<String>,
}

/// Selects the counters of a session's messages. A session that is deleted has none.
#[auto_type(no_type_alias)]
pub(crate) fn session_messages<'a>(session: &'a ScopedSessionId) -> _ {
    let organization: &'a str = session.organization.as_str();
    let id: &'a str = session.id.as_str();
    let in_reach: Flag = flag(session.in_reach);
    session_messaging::table
        .filter(session_messaging::organization.eq(organization))
        .filter(session_messaging::session.eq(id))
        .filter(in_reach)
        .filter(session_messaging::removal_due.is_null())
}

/// Selects the chats of an account after a position, by last activity. Chats that became a part of
/// another one are not selected.
#[auto_type(no_type_alias)]
pub(crate) fn chat_page<'a>(
    session: &'a ScopedSessionId,
    account: &'a str,
    after: NumberPosition,
) -> _ {
    let organization: &'a str = session.organization.as_str();
    let id: &'a str = session.id.as_str();
    let in_reach: Flag = flag(session.in_reach);
    let follows: NumberBefore<chats::last_at, chats::id> = after.before(chats::last_at, chats::id);
    chats::table
        .filter(chats::organization.eq(organization))
        .filter(chats::session.eq(id))
        .filter(in_reach)
        .filter(chats::account.eq(account))
        .filter(chats::merged_into.is_null())
        .filter(follows)
        .order((chats::last_at.desc(), chats::id.desc()))
}

/// Selects a name of a chat of an account.
#[auto_type(no_type_alias)]
pub(crate) fn chat_name<'a>(session: &'a ScopedSessionId, account: &'a str, name: &'a str) -> _ {
    let organization: &'a str = session.organization.as_str();
    let id: &'a str = session.id.as_str();
    let in_reach: Flag = flag(session.in_reach);
    chat_names::table
        .filter(chat_names::organization.eq(organization))
        .filter(chat_names::session.eq(id))
        .filter(in_reach)
        .filter(chat_names::name.eq(name))
        .filter(chat_names::account.eq(account))
}

/// Selects the listed messages of a session after a position, newest first.
#[auto_type(no_type_alias)]
pub(crate) fn message_page<'a>(params: &'a MessageParams) -> _ {
    let organization: &'a str = params.session.organization.as_str();
    let session: &'a str = params.session.id.as_str();
    let in_reach: Flag = flag(params.session.in_reach);
    let position: NumberPosition = params.after;
    let follows: NumberBefore<messages::at, messages::id> =
        position.before(messages::at, messages::id);
    let since: i64 = params.since;
    let any_direction: Flag = flag(params.inbound.is_none());
    let inbound: bool = params.inbound.unwrap_or_default();
    let any_level: Flag = flag(params.level.is_none());
    let level: i64 = params.level.unwrap_or_default();
    let any_reference: Flag = flag(params.reference.is_none());
    let reference: Option<&'a str> = params.reference.as_deref();
    messages::table
        .filter(messages::organization.eq(organization))
        .filter(messages::session.eq(session))
        .filter(in_reach)
        .filter(not(messages::hidden))
        .filter(follows)
        .filter(messages::at.ge(since))
        .filter(any_direction.or(messages::source.eq("contact").eq(inbound)))
        .filter(any_level.or(messages::level.eq(level)))
        .filter(any_reference.nullable().or(messages::reference.eq(reference)))
        .order((messages::at.desc(), messages::id.desc()))
}

/// The condition of the index over the messages of all chats, which is always true (ADR 0017).
const OF_ALL_CHATS: &str = "ephemeral_seconds >= 0";

/// The condition of the index over the messages of all chats. Only a page of all chats states it.
pub(crate) fn of_all_chats() -> SqlLiteral<Bool> {
    sql(OF_ALL_CHATS)
}

/// The condition of the index over messages that are not sent. Narrows a page with such a level.
pub(crate) fn unsent() -> SqlLiteral<Bool> {
    sql(UNSENT)
}

/// Selects the listed messages with an id at WhatsApp, of any chat and sender.
#[auto_type(no_type_alias)]
pub(crate) fn messages_by_wa_id<'a>(session: &'a ScopedSessionId, wa_id: &'a str) -> _ {
    let organization: &'a str = session.organization.as_str();
    let id: &'a str = session.id.as_str();
    let in_reach: Flag = flag(session.in_reach);
    messages::table
        .filter(messages::organization.eq(organization))
        .filter(messages::session.eq(id))
        .filter(in_reach)
        .filter(messages::wa_id.eq(wa_id))
        .filter(not(messages::hidden))
}
