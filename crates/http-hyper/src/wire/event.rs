//! What happened, as the audit trail and whoever listens see it.

use std::borrow::Cow;

use domain::{
    Actor, Event, EventId, EventName, EventValue, SessionId,
    ports::{EventFilter, EventPage},
};
use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::ListView;
use crate::{
    cursor::{List, Place},
    openapi::schemas,
    page::Page,
    query::Query,
};

/// The version of the envelope.
const SCHEMA: &str = "v1";

/// An event in its envelope.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Event)]
pub struct EventView {
    /// The version of this envelope: `v1`.
    #[schema(schema_with = schemas::envelope)]
    pub schema: &'static str,
    /// Its own name.
    pub id: String,
    /// What kind of event it is.
    #[schema(schema_with = schemas::event_name)]
    pub event: &'static str,
    /// The session it tells of; null when it tells of none.
    pub session: Option<String>,
    /// Whose it is.
    pub organization: String,
    /// When.
    pub timestamp: i64,
    /// Counts the session's events from 1, without gaps; 0 when it tells of no session.
    pub sequence: u64,
    /// Who caused it.
    pub actor: ActorView,
    /// What there is to know.
    #[schema(value_type = Object)]
    pub payload: Map<String, Value>,
}

/// Who did something.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Actor)]
pub struct ActorView {
    /// `user`, `key`, `operator` (the command line) or `system` (berth itself).
    #[schema(schema_with = schemas::actor_kind)]
    pub kind: &'static str,
    /// The user's or the key's name; null when it has none.
    pub id: Option<String>,
}

/// Which events are asked for, and which page of them.
#[derive(Clone, Debug)]
pub struct TrailSpec {
    /// `None` when there can be no such event.
    filter: Option<EventFilter>,
    page: Page,
}

impl EventView {
    /// An example.
    pub fn sample() -> Self {
        let payload = [("action", "stop"), ("desired", "stopped")];
        Self {
            schema: SCHEMA,
            id: "evt_01JGXS1DN00000000000000003".to_owned(),
            event: EventName::SessionRequested.as_str(),
            session: Some("sess_01JGXS1DN00000000000000001".to_owned()),
            organization: "acme".to_owned(),
            timestamp: 1_767_254_400_000,
            sequence: 7,
            actor: ActorView { kind: "user", id: Some("user_1".to_owned()) },
            payload: payload
                .map(|(name, value)| (name.to_owned(), value.into()))
                .into_iter()
                .collect(),
        }
    }

    pub(crate) fn of(event: &Event) -> Self {
        let fact = |(name, fact): &(Cow<'static, str>, EventValue)| {
            (name.clone().into_owned(), value(fact))
        };
        Self {
            schema: SCHEMA,
            id: event.id.to_string(),
            event: event.name.as_str(),
            session: event.session.as_ref().map(ToString::to_string),
            organization: event.organization.to_string(),
            timestamp: event.at.millis(),
            sequence: event.sequence,
            actor: ActorView::of(&event.actor),
            payload: event.payload.iter().map(fact).collect(),
        }
    }
}

impl ActorView {
    fn of(actor: &Actor) -> Self {
        let (kind, id) = match actor {
            Actor::User(user) => ("user", user.as_ref().map(ToString::to_string)),
            Actor::Key(key) => ("key", Some(key.to_string())),
            Actor::Operator => ("operator", None),
            Actor::System => ("system", None),
        };
        Self { kind, id }
    }
}

fn value(fact: &EventValue) -> Value {
    match fact {
        EventValue::Text(text) => text.as_str().into(),
        EventValue::Number(number) => (*number).into(),
        EventValue::Flag(flag) => (*flag).into(),
        EventValue::Null => Value::Null,
    }
}

impl TrailSpec {
    /// An example: the query that asks for it.
    pub fn sample() -> &'static str {
        "event=session.deleted&limit=20"
    }

    pub(crate) fn read(query: &mut Query, list: List) -> Self {
        let (session, name) = (query.text("sessionId"), query.text("event"));
        let event = name.as_deref().and_then(|name| {
            let known = EventName::parse(name);
            if known.is_none() {
                let known = EventName::ALL.map(EventName::as_str).join(", ");
                query.fault("event", &format!("is none of {known}"));
            }
            known
        });
        let id = session.as_deref().map(SessionId::parse);
        let list = session.iter().fold(list, |list, id| list.narrowed("sessionId", id));
        let list = name.iter().fold(list, |list, name| list.narrowed("event", name));
        let filter = EventFilter { session: id.clone().flatten(), name: event };
        // A session that cannot be has no events; as everywhere, that is no fault.
        let filter = (id != Some(None)).then_some(filter);
        Self { filter, page: Page::read(query, list) }
    }

    /// What to look up; `None` when there can be nothing.
    pub(crate) fn spec(&self) -> Option<EventPage> {
        let filter = self.filter.clone()?;
        let before = self.page.after.map(|place| EventId::from_bits(place.bits));
        Some(EventPage { filter, before, limit: self.page.with_one_more() })
    }

    /// The page, of what was looked up for it.
    pub(crate) fn show(&self, events: &[Event]) -> ListView<EventView> {
        let place = |event: &&Event| Place { created_at: event.at, bits: event.id.bits() };
        let (events, next_cursor) = self.page.cut(events.iter().collect(), place);
        ListView { data: events.into_iter().map(EventView::of).collect(), next_cursor }
    }
}

impl ListView<EventView> {
    /// An example.
    pub fn sample() -> Self {
        Self { data: vec![EventView::sample()], next_cursor: None }
    }
}
