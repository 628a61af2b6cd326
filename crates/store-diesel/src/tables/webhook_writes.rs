//! Changes of webhooks as rows, and the statements that write them in the transaction of a commit.
//! Statements take the rows of a webhook in one order: webhook, cursor, others.

use domain::{Scope, Webhook, WebhookWrite, ports::PortResult};

use crate::{
    rows::{
        column::to_bigint,
        webhook::{MutableWebhookColumns, WebhookRow},
        webhook_progress::{NewCursorRow, ReplayColumns, column},
    },
    scope::ScopeParams,
};

/// A change of one webhook.
pub(crate) struct WebhookChange {
    pub(crate) params: ScopeParams,
    pub(crate) id: String,
    /// Time of the change, at which the webhook becomes due.
    pub(crate) due: i64,
    pub(crate) kind: WebhookChangeKind,
}

/// The kinds of changes; see [`WebhookWrite`].
pub(crate) enum WebhookChangeKind {
    Insert(Box<(WebhookRow, NewCursorRow)>),
    Update { expected: i64, columns: Box<MutableWebhookColumns>, restart: Option<i64> },
    Delete { expected: Option<i64> },
    StartReplay(Box<ReplayColumns>),
    ReplayDeadLetter { event: String },
    Skip { event: String },
}

impl WebhookChange {
    pub(crate) fn of(scope: &Scope, write: &WebhookWrite) -> PortResult<Self> {
        let change = |id: &domain::WebhookId, at: domain::Timestamp, kind| Self {
            params: ScopeParams::of(scope),
            id: id.to_string(),
            due: at.millis(),
            kind,
        };
        let version = |version: domain::Version| to_bigint("webhooks.version", version.0);
        Ok(match write {
            WebhookWrite::Insert { webhook, start } => {
                let rows = (WebhookRow::new(webhook)?, NewCursorRow::new(webhook, *start)?);
                change(&webhook.id, webhook.created_at, WebhookChangeKind::Insert(Box::new(rows)))
            }
            WebhookWrite::Update { webhook, expected, restart } => {
                let Webhook { id, updated_at, .. } = webhook;
                let kind = WebhookChangeKind::Update {
                    expected: version(*expected)?,
                    columns: Box::new(MutableWebhookColumns::new(webhook)?),
                    restart: restart.map(column).transpose()?,
                };
                change(id, *updated_at, kind)
            }
            WebhookWrite::Delete { id, expected, at } => {
                let expected = expected.map(version).transpose()?;
                change(id, *at, WebhookChangeKind::Delete { expected })
            }
            WebhookWrite::StartReplay { id, replay } => {
                let columns = Box::new(ReplayColumns::new(replay)?);
                change(id, replay.started_at, WebhookChangeKind::StartReplay(columns))
            }
            WebhookWrite::ReplayDeadLetter { id, event, at } => {
                let event = event.to_string();
                change(id, *at, WebhookChangeKind::ReplayDeadLetter { event })
            }
            WebhookWrite::Skip { id, event, at } => {
                change(id, *at, WebhookChangeKind::Skip { event: event.to_string() })
            }
        })
    }
}

/// Makes a webhook due.
macro_rules! make_due {
    ($conn:expr, $change:expr) => {
        diesel::update($crate::scope::webhooks::cursor(&$change.params, &$change.id))
            .set($crate::schema::webhook_cursors::due.eq(Some($change.due)))
            .execute($conn)
            .await?
    };
}

/// Begins the deliveries of a webhook anew, and fences a router that still delivers.
macro_rules! restart_deliveries {
    ($conn:expr, $change:expr, $start:expr) => {{
        use $crate::{
            rows::webhook_progress::ReplayColumns,
            schema::webhook_cursors,
            scope::webhooks::{cursor, retries},
        };
        let (params, id) = (&$change.params, $change.id.as_str());
        let fenced = webhook_cursors::epoch.eq(webhook_cursors::epoch + 1);
        diesel::update(cursor(params, id))
            .set((ReplayColumns::default(), fenced))
            .execute($conn)
            .await?;
        diesel::update(cursor(params, id).filter(webhook_cursors::position.lt($start)))
            .set(webhook_cursors::position.eq($start))
            .execute($conn)
            .await?;
        diesel::delete(retries(params, id)).execute($conn).await?;
    }};
}

/// Deletes a webhook with everything that belongs to it; returns the number of webhooks.
macro_rules! delete_webhook {
    ($conn:expr, $change:expr, $expected:expr) => {{
        use $crate::{schema::webhooks, scope::webhooks as scope};
        let (params, id) = (&$change.params, $change.id.as_str());
        let deleted = match $expected {
            Some(expected) => {
                let row = scope::webhook(params, id).filter(webhooks::version.eq(expected));
                diesel::delete(row).execute($conn).await?
            }
            None => diesel::delete(scope::webhook(params, id)).execute($conn).await?,
        };
        if deleted > 0 {
            diesel::delete(scope::cursor(params, id)).execute($conn).await?;
            diesel::delete(scope::retries(params, id)).execute($conn).await?;
            diesel::delete(scope::dead_letters(params, id)).execute($conn).await?;
            diesel::delete(scope::attempts(params, id)).execute($conn).await?;
        }
        deleted
    }};
}

/// Schedules a dead letter; returns the number of dead letters.
macro_rules! replay_dead_letter {
    ($conn:expr, $change:expr, $event:expr) => {{
        use $crate::{
            rows::{dead_letter::DeadLetterRow, retry_queue::RetryQueueRow},
            schema::{webhook_dead_letters, webhook_retries},
            scope::webhooks::dead_letters,
        };
        let (params, id) = (&$change.params, $change.id.as_str());
        let row: Option<DeadLetterRow> = dead_letters(params, id)
            .filter(webhook_dead_letters::event.eq($event))
            .select(DeadLetterRow::as_select())
            .get_result($conn)
            .await
            .optional()?;
        match row {
            None => 0,
            Some(row) => {
                let now = domain::Timestamp::from_millis($change.due);
                let queue = domain::DeadLetter::try_from(row)?.retry_queue(now);
                let row = RetryQueueRow::new(&params.organization, id, &queue)?;
                $crate::tables::webhook_writes::make_due!($conn, $change);
                diesel::insert_into(webhook_retries::table)
                    .values(&row)
                    .on_conflict_do_nothing()
                    .execute($conn)
                    .await?;
                1
            }
        }
    }};
}

/// Marks the retry queue of a failing event; returns 1 if there is one.
macro_rules! skip_event {
    ($conn:expr, $change:expr, $event:expr) => {{
        use $crate::{schema::webhook_retries, scope::webhooks::retries};
        let (params, id) = (&$change.params, $change.id.as_str());
        let failing: Option<String> = retries(params, id)
            .filter(webhook_retries::event.eq($event))
            .select(webhook_retries::event)
            .first($conn)
            .await
            .optional()?;
        if failing.is_some() {
            $crate::tables::webhook_writes::make_due!($conn, $change);
            diesel::update(retries(params, id).filter(webhook_retries::event.eq($event)))
                .set(webhook_retries::skip.eq(true))
                .execute($conn)
                .await?;
        }
        usize::from(failing.is_some())
    }};
}

/// Writes a change of a webhook; returns the number of changed webhooks.
macro_rules! write_webhook {
    ($conn:expr, $change:expr) => {{
        use $crate::{
            schema::{webhook_cursors, webhooks},
            scope::webhooks as scope_of_webhooks,
            tables::webhook_writes::{
                WebhookChangeKind, delete_webhook, make_due, replay_dead_letter,
                restart_deliveries, skip_event,
            },
        };
        let change = $change;
        match &change.kind {
            WebhookChangeKind::Insert(rows) => {
                let insert = diesel::insert_into(webhooks::table).values(&rows.0);
                let inserted = insert.on_conflict_do_nothing().execute($conn).await?;
                if inserted > 0 {
                    let insert = diesel::insert_into(webhook_cursors::table).values(&rows.1);
                    insert.execute($conn).await?;
                }
                inserted
            }
            WebhookChangeKind::Update { expected, columns, restart } => {
                let row = scope_of_webhooks::webhook(&change.params, &change.id);
                let row = row.filter(webhooks::version.eq(*expected));
                let updated = diesel::update(row).set(&**columns).execute($conn).await?;
                if updated > 0 {
                    make_due!($conn, change);
                    if let Some(start) = restart {
                        restart_deliveries!($conn, change, *start);
                    }
                }
                updated
            }
            WebhookChangeKind::Delete { expected } => delete_webhook!($conn, change, *expected),
            WebhookChangeKind::StartReplay(columns) => {
                let row = scope_of_webhooks::cursor(&change.params, &change.id);
                let row = row.filter(webhook_cursors::replay_started_at.is_null());
                let due = webhook_cursors::due.eq(Some(change.due));
                diesel::update(row).set(((**columns).clone(), due)).execute($conn).await?
            }
            WebhookChangeKind::ReplayDeadLetter { event } => {
                replay_dead_letter!($conn, change, event)
            }
            WebhookChangeKind::Skip { event } => skip_event!($conn, change, event),
        }
    }};
}

pub(crate) use {
    delete_webhook, make_due, replay_dead_letter, restart_deliveries, skip_event, write_webhook,
};
