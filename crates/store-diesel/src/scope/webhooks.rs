//! Fragments of webhooks for their owners. Each takes the organization from [`ScopeParams`]. A reach
//! restricts sessions; callers of webhooks reach the whole organization.

use diesel::{
    dsl::{auto_type, sql},
    expression::SqlLiteral,
    prelude::*,
    sql_types::BigInt,
};

use crate::{
    schema::{
        events, webhook_attempts, webhook_cursors, webhook_dead_letters, webhook_retries, webhooks,
    },
    scope::{KeysetPosition, ScopeParams, feed::POSITION, keyset::KeysetBefore},
};

/// Selects one webhook.
#[auto_type(no_type_alias)]
pub(crate) fn webhook<'a>(scope: &'a ScopeParams, id: &'a str) -> _ {
    let organization: &'a str = scope.organization.as_str();
    webhooks::table.filter(webhooks::organization.eq(organization)).filter(webhooks::id.eq(id))
}

/// Selects the webhooks after a position, newest first.
#[auto_type(no_type_alias)]
pub(crate) fn webhook_page<'a>(scope: &'a ScopeParams, after: &'a KeysetPosition) -> _ {
    let organization: &'a str = scope.organization.as_str();
    let follows: KeysetBefore<'a, webhooks::created_at, webhooks::id> =
        after.before(webhooks::created_at, webhooks::id);
    webhooks::table
        .filter(webhooks::organization.eq(organization))
        .filter(follows)
        .order((webhooks::created_at.desc(), webhooks::id.desc()))
}

/// Selects the progress of a webhook.
#[auto_type(no_type_alias)]
pub(crate) fn cursor<'a>(scope: &'a ScopeParams, webhook: &'a str) -> _ {
    let organization: &'a str = scope.organization.as_str();
    webhook_cursors::table
        .filter(webhook_cursors::organization.eq(organization))
        .filter(webhook_cursors::webhook.eq(webhook))
}

/// Selects the retry queues of a webhook.
#[auto_type(no_type_alias)]
pub(crate) fn retries<'a>(scope: &'a ScopeParams, webhook: &'a str) -> _ {
    let organization: &'a str = scope.organization.as_str();
    webhook_retries::table
        .filter(webhook_retries::organization.eq(organization))
        .filter(webhook_retries::webhook.eq(webhook))
}

/// Selects the dead letters of a webhook.
#[auto_type(no_type_alias)]
pub(crate) fn dead_letters<'a>(scope: &'a ScopeParams, webhook: &'a str) -> _ {
    let organization: &'a str = scope.organization.as_str();
    webhook_dead_letters::table
        .filter(webhook_dead_letters::organization.eq(organization))
        .filter(webhook_dead_letters::webhook.eq(webhook))
}

/// Selects the dead letters of a webhook after a position, newest first.
#[auto_type(no_type_alias)]
pub(crate) fn dead_letter_page<'a>(
    scope: &'a ScopeParams,
    webhook: &'a str,
    after: &'a KeysetPosition,
) -> _ {
    let organization: &'a str = scope.organization.as_str();
    let follows: KeysetBefore<'a, webhook_dead_letters::died_at, webhook_dead_letters::event> =
        after.before(webhook_dead_letters::died_at, webhook_dead_letters::event);
    webhook_dead_letters::table
        .filter(webhook_dead_letters::organization.eq(organization))
        .filter(webhook_dead_letters::webhook.eq(webhook))
        .filter(follows)
        .order((webhook_dead_letters::died_at.desc(), webhook_dead_letters::event.desc()))
}

/// Selects the attempts at a webhook.
#[auto_type(no_type_alias)]
pub(crate) fn attempts<'a>(scope: &'a ScopeParams, webhook: &'a str) -> _ {
    let organization: &'a str = scope.organization.as_str();
    webhook_attempts::table
        .filter(webhook_attempts::organization.eq(organization))
        .filter(webhook_attempts::webhook.eq(webhook))
}

/// Selects the attempts at a webhook after a position, newest first.
#[auto_type(no_type_alias)]
pub(crate) fn attempt_page<'a>(
    scope: &'a ScopeParams,
    webhook: &'a str,
    after: &'a KeysetPosition,
) -> _ {
    let organization: &'a str = scope.organization.as_str();
    let follows: KeysetBefore<'a, webhook_attempts::at, webhook_attempts::id> =
        after.before(webhook_attempts::at, webhook_attempts::id);
    webhook_attempts::table
        .filter(webhook_attempts::organization.eq(organization))
        .filter(webhook_attempts::webhook.eq(webhook))
        .filter(follows)
        .order((webhook_attempts::at.desc(), webhook_attempts::id.desc()))
}

/// Selects the events of a stream in the feed from an id on, oldest first.
#[auto_type(no_type_alias)]
pub(crate) fn events_from<'a>(scope: &'a ScopeParams, stream: &'static str, id: &'a str) -> _ {
    let organization: &'a str = scope.organization.as_str();
    let position: SqlLiteral<BigInt> = sql(POSITION);
    events::table
        .filter(events::organization.eq(organization))
        .filter(events::stream.eq(stream))
        .filter(events::id.ge(id))
        .filter(position.gt(0_i64))
        .order(events::id.asc())
}
