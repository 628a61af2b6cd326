//! Events as the audit log shows them.

use bytes::Bytes;
use domain::{
    Actor, Event, EventFields, EventId, EventName, EventStream, EventValue, SessionId,
    ports::{EventFilter, EventPage},
};
use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::{example::example_is_sample, list::ListView};
use crate::{
    request::{
        cursor::{CursorPosition, ListIdentity},
        page::Page,
        query::Query,
    },
    wire::schema,
};

/// The version of the event envelope.
const SCHEMA: &str = "v1";

/// Renders an event as the JSON text of streams and webhooks, which is that of the audit log.
pub fn render_event(event: &Event) -> Bytes {
    // Text, numbers and maps with text keys are always JSON.
    serde_json::to_vec(&EventView::of(event)).unwrap_or_default().into()
}

/// An event in its envelope.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Event)]
pub struct EventView {
    /// The version of this envelope: `v1`.
    #[schema(schema_with = schema::envelope)]
    pub schema: &'static str,
    /// The id of the event.
    pub id: String,
    /// The name of the event.
    #[schema(schema_with = schema::event_name)]
    pub event: &'static str,
    /// The id of the event's session; null without a session.
    pub session: Option<String>,
    /// The organization of the event.
    pub organization: String,
    /// The time of the event.
    pub timestamp: i64,
    /// The stream of the event: `session`, or `messages` for events of chats and messages.
    #[schema(schema_with = schema::stream)]
    pub stream: &'static str,
    /// The number of the event among the events of its session and stream, from 1 without gaps; 0
    /// without a session.
    pub sequence: u64,
    /// The cause of the event.
    pub actor: ActorView,
    /// The facts of the event.
    #[schema(schema_with = schema::event_payload)]
    pub payload: Map<String, Value>,
}

/// The person, key or part of the system that caused an event.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Actor)]
pub struct ActorView {
    /// `user`, `key`, `operator` (the command line) or `system` (berth itself).
    #[schema(schema_with = schema::actor_kind)]
    pub kind: &'static str,
    /// The id of the user or the key; null for other kinds, and for a user without id.
    pub id: Option<String>,
}

/// The requested page of the audit log, with its filters.
#[derive(Clone, Debug)]
pub struct AuditPageSpec {
    /// `None` when no event can match.
    filter: Option<EventFilter>,
    page: Page,
}

example_is_sample!(EventView, ListView<EventView>);

impl EventView {
    /// Returns an example.
    pub fn sample() -> Self {
        let payload = [("action", "stop"), ("desired", "stopped")];
        Self {
            schema: SCHEMA,
            id: "evt_01JGXS1DN00000000000000003".to_owned(),
            event: EventName::SessionRequested.as_str(),
            session: Some("sess_01JGXS1DN00000000000000001".to_owned()),
            organization: "acme".to_owned(),
            timestamp: 1_767_254_400_000,
            stream: EventStream::Session.as_str(),
            sequence: 7,
            actor: ActorView { kind: "user", id: Some("user_1".to_owned()) },
            payload: payload
                .map(|(name, value)| (name.to_owned(), value.into()))
                .into_iter()
                .collect(),
        }
    }

    pub(crate) fn of(event: &Event) -> Self {
        Self {
            schema: SCHEMA,
            id: event.id.to_string(),
            event: event.name().as_str(),
            session: event.session.as_ref().map(ToString::to_string),
            organization: event.organization.to_string(),
            timestamp: event.at.millis(),
            stream: event.stream().as_str(),
            sequence: event.sequence,
            actor: ActorView::of(&event.actor),
            payload: members(event.payload.fields()),
        }
    }
}

impl ActorView {
    fn of(actor: &Actor) -> Self {
        let (kind, id) = match actor {
            Actor::User(user) => ("user", user.as_ref().map(ToString::to_string)),
            Actor::Key(key) => ("key", Some(key.to_string())),
            Actor::Link(link) => ("link", Some(link.to_string())),
            Actor::Operator => ("operator", None),
            Actor::System => ("system", None),
        };
        Self { kind, id }
    }
}

/// Returns the members of a JSON object.
fn members(fields: EventFields) -> Map<String, Value> {
    fields.into_iter().map(|(name, field)| (name.into_owned(), value(field))).collect()
}

fn value(event_value: EventValue) -> Value {
    match event_value {
        EventValue::Text(text) => text.into(),
        EventValue::Number(number) => number.into(),
        EventValue::Flag(flag) => flag.into(),
        EventValue::Texts(texts) => texts.into(),
        EventValue::Object(fields) => members(fields).into(),
        EventValue::Null => Value::Null,
    }
}

impl AuditPageSpec {
    /// Returns an example of the query.
    pub fn sample() -> &'static str {
        "event=session.deleted&limit=20"
    }

    pub(crate) fn read(query: &mut Query, list: ListIdentity) -> Self {
        let (session, name) = (query.text("sessionId"), query.text("event"));
        let event = name.as_deref().and_then(|name| {
            let known = EventName::parse(name);
            if known.is_none() {
                let known = EventName::ALL.map(EventName::as_str).join(", ");
                query.fault("event", &format!("must be one of {known}"));
            }
            known
        });
        let id = session.as_deref().map(SessionId::parse);
        let list = session.iter().fold(list, |list, id| list.with_filter("sessionId", id));
        let list = name.iter().fold(list, |list, name| list.with_filter("event", name));
        let filter = EventFilter { session: id.clone().flatten(), name: event };
        // A session id that cannot exist matches no events and is no fault, as in every list.
        let filter = (id != Some(None)).then_some(filter);
        Self { filter, page: Page::read(query, list) }
    }

    /// Returns the query to the audit log; `None` when no event can match.
    pub(crate) fn spec(&self) -> Option<EventPage> {
        let filter = self.filter.clone()?;
        let before = self.page.after.map(|position| EventId::from_bits(position.bits));
        Some(EventPage { filter, before, limit: self.page.with_one_more() })
    }

    /// Returns the page of the events that were found.
    pub(crate) fn show(&self, events: &[Event]) -> ListView<EventView> {
        let position =
            |event: &&Event| CursorPosition { created_at: event.at, bits: event.id.bits() };
        let (events, next_cursor) = self.page.paginate(events.iter().collect(), position);
        ListView { data: events.into_iter().map(EventView::of).collect(), next_cursor }
    }
}

impl ListView<EventView> {
    /// Returns an example.
    pub fn sample() -> Self {
        Self { data: vec![EventView::sample()], next_cursor: None }
    }
}
