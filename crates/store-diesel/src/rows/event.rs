//! The table `events`: rows and payloads.

use diesel::{
    pg::Pg,
    prelude::*,
    query_builder::AstPass,
    result::QueryResult,
    sql_types::{BigInt, Nullable, Text},
};
use domain::{
    Event, EventFields, EventId, EventName, EventPayload, EventValue, OrganizationId, SessionId,
    Timestamp,
};
use serde::Serialize;
use serde_json::{Value, from_value};

use crate::{
    StoreError,
    rows::{
        bind_params::bind_all,
        column::{
            actor, actor_columns, from_bigint, from_json, parse_optional, to_bigint, to_json,
        },
    },
    schema::events,
};

/// A row of `events`.
#[derive(Queryable, Selectable, Insertable, Serialize)]
#[diesel(table_name = events, treat_none_as_default_value = false)]
pub(crate) struct EventRow {
    pub(crate) id: String,
    organization: String,
    session: Option<String>,
    stream: String,
    sequence: i64,
    name: String,
    at: i64,
    actor_kind: String,
    actor_name: Option<String>,
    /// `None` for a payload that was removed.
    payload: Option<String>,
}

impl EventRow {
    fn new(event: &Event) -> Result<Self, StoreError> {
        let (kind, name) = actor_columns(&event.actor);
        Ok(Self {
            id: event.id.to_string(),
            organization: event.organization.to_string(),
            session: event.session.as_ref().map(ToString::to_string),
            stream: event.stream().as_str().to_owned(),
            sequence: to_bigint("events.sequence", event.sequence)?,
            name: event.name().as_str().to_owned(),
            at: event.at.millis(),
            actor_kind: kind.to_owned(),
            actor_name: name,
            // The content of a message is stored with the message.
            payload: Some(payload_text(&event.payload.clone().without_content())?),
        })
    }

    /// Pushes one insert of the rows for the one row of the statement part `changed`. One statement
    /// with an order, because the database assigns positions in the order of the rows; several
    /// statements of a `WITH` are executed in no particular order.
    pub(crate) fn insert_all_where_changed<'b>(
        rows: &'b [Self],
        mut out: AstPass<'_, 'b, Pg>,
    ) -> QueryResult<()> {
        const COLUMNS: &str = "id, organization, session, stream, sequence, name, at, actor_kind, \
            actor_name, payload";
        out.push_sql("INSERT INTO events (");
        out.push_sql(COLUMNS);
        out.push_sql(") SELECT new.* FROM changed, (VALUES ");
        for (number, row) in rows.iter().enumerate() {
            out.push_sql(if number == 0 { "(" } else { ", (" });
            bind_all!(
                out,
                Text: &row.id,
                Text: &row.organization,
                Nullable<Text>: &row.session,
                Text: &row.stream,
                BigInt: &row.sequence,
                Text: &row.name,
                BigInt: &row.at,
                Text: &row.actor_kind,
                Nullable<Text>: &row.actor_name,
                Nullable<Text>: &row.payload,
            );
            out.push_sql(")");
        }
        out.push_sql(") AS new (");
        out.push_sql(COLUMNS);
        out.push_sql(") ORDER BY new.sequence");
        Ok(())
    }

    /// Whether the event belongs to the session.
    pub(crate) fn tells_of(&self, session: &str) -> bool {
        self.session.as_deref() == Some(session)
    }

    /// Converts events to rows.
    pub(crate) fn all(events: &[Event]) -> Result<Vec<Self>, StoreError> {
        events.iter().map(Self::new).collect()
    }

    fn event(&self) -> Result<Event, &'static str> {
        let name = EventName::parse(&self.name).ok_or("events.name")?;
        Ok(Event {
            id: EventId::parse(&self.id).ok_or("events.id")?,
            organization: OrganizationId::parse(&self.organization).ok_or("events.organization")?,
            session: parse_optional(self.session.as_deref(), SessionId::parse)
                .ok_or("events.session")?,
            sequence: from_bigint(self.sequence).ok_or("events.sequence")?,
            at: Timestamp::from_millis(self.at),
            actor: actor(&self.actor_kind, self.actor_name.as_deref())
                .ok_or("events.actor_kind")?,
            payload: match &self.payload {
                Some(text) => payload_of(name, text).ok_or("events.payload")?,
                None => EventPayload::from_fields(name, EventFields::new()),
            },
        })
    }
}

impl TryFrom<EventRow> for Event {
    type Error = StoreError;

    fn try_from(row: EventRow) -> Result<Self, StoreError> {
        row.event().map_err(|column| StoreError::corrupt(column, &row.id))
    }
}

fn pairs_of(fields: &EventFields) -> Vec<Value> {
    fields
        .iter()
        .map(|(key, value)| Value::from(vec![key.as_ref().into(), value_to_json(value)]))
        .collect()
}

fn value_to_json(value: &EventValue) -> Value {
    match value {
        EventValue::Texts(texts) => Value::from(texts.as_slice()),
        // Like the payload, a list of pairs.
        EventValue::Object(fields) => Value::from(pairs_of(fields)),
        EventValue::Text(text) => Value::from(text.as_str()),
        EventValue::Number(number) => Value::from(*number),
        EventValue::Flag(flag) => Value::from(*flag),
        EventValue::Null => Value::Null,
    }
}

/// Serializes a payload.
pub(crate) fn payload_text(payload: &EventPayload) -> Result<String, StoreError> {
    // A list of pairs, because a JSON object does not keep the order of its members.
    to_json("events.payload", &pairs_of(&payload.fields()))
}

/// Parses a payload; `None` when the text is not a list of fields. Fields of another version are a
/// payload too.
pub(crate) fn payload_of(name: EventName, text: &str) -> Option<EventPayload> {
    Some(EventPayload::from_fields(name, fields_of(from_json(text)?)?))
}

fn fields_of(pairs: Vec<(String, Value)>) -> Option<EventFields> {
    let field = |(key, value): (String, Value)| Some((key.into(), value_from_json(value)?));
    pairs.into_iter().map(field).collect()
}

fn value_from_json(value: Value) -> Option<EventValue> {
    match value {
        Value::String(text) => Some(EventValue::Text(text)),
        Value::Number(number) => number.as_i64().map(EventValue::Number),
        Value::Bool(flag) => Some(EventValue::Flag(flag)),
        Value::Null => Some(EventValue::Null),
        Value::Array(items) if items.iter().any(Value::is_array) => {
            let pairs = items.into_iter().map(|pair| from_value(pair).ok());
            fields_of(pairs.collect::<Option<_>>()?).map(EventValue::Object)
        }
        Value::Array(items) => from_value(Value::Array(items)).ok().map(EventValue::Texts),
        Value::Object(_) => None,
    }
}

#[cfg(test)]
mod tests;
