//! Pages of a list, newest first.

use std::borrow::Cow;

use domain::{
    GatewayId, Session, SessionId, Status,
    ports::{Position, SessionFilter, SessionPage},
};
use serde::Serialize;
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{
        RefOr,
        schema::{ArrayBuilder, ObjectBuilder, Ref, Schema, SchemaType, Type},
    },
};

use super::{ApiKeyView, SessionView};
use crate::{
    request::cursor::{CursorPosition, ListIdentity},
    request::page::Page,
    request::query::Query,
    wire::schema::text_or_null,
};

/// One page.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ListView<T> {
    /// What is on it.
    pub data: Vec<T>,
    /// Where the next page begins; null on the last.
    pub next_cursor: Option<String>,
}

impl<T: ToSchema> PartialSchema for ListView<T> {
    fn schema() -> RefOr<Schema> {
        let things = RefOr::Ref(Ref::from_schema_name(T::name()));
        let page = ObjectBuilder::new()
            .schema_type(SchemaType::new(Type::Object))
            .description(Some("One page, newest first."))
            .property("data", ArrayBuilder::new().items(things).description(Some("What is on it.")))
            .property("nextCursor", text_or_null("Where the next page begins; null on the last."));
        RefOr::T(page.build().into())
    }
}

impl<T: ToSchema> ToSchema for ListView<T> {
    fn name() -> Cow<'static, str> {
        format!("{}List", T::name()).into()
    }

    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        schemas.push((T::name().into_owned(), T::schema()));
        T::schemas(schemas);
    }
}

/// Which sessions are asked for, and which page of them.
#[derive(Clone, Debug)]
pub struct SessionPageSpec {
    /// `None` when there can be no such session.
    filter: Option<SessionFilter>,
    page: Page,
}

impl SessionPageSpec {
    /// An example: the query that asks for it.
    pub fn sample() -> &'static str {
        "status=working&status=failed&limit=20"
    }

    /// Of this list, by the query.
    pub(crate) fn read(query: &mut Query, list: ListIdentity) -> Self {
        let named = query.text("gatewayId");
        let gateway = named.as_deref().map(GatewayId::parse);
        let filter = SessionFilter {
            statuses: statuses(query),
            label: label(query),
            gateway: gateway.clone().flatten(),
            phone: phone(query),
        };
        let conditions = filter.statuses.iter().map(|status| ("status", status.as_str()));
        let conditions = conditions
            .chain(filter.label.as_deref().map(|label| ("label", label)))
            .chain(named.as_deref().map(|gateway| ("gatewayId", gateway)))
            .chain(filter.phone.as_deref().map(|phone| ("phoneNumber", phone)));
        let list = conditions.fold(list, |list, (name, value)| list.with_filter(name, value));
        // A node that cannot be has no sessions; as everywhere, that is no fault.
        let filter = (gateway != Some(None)).then_some(filter);
        Self { filter, page: Page::read(query, list) }
    }

    /// What to look up; `None` when there can be nothing.
    pub(crate) fn spec(&self) -> Option<SessionPage> {
        let filter = self.filter.clone()?;
        let after = self.page.after.map(|position| Position {
            created_at: position.created_at,
            id: SessionId::from_bits(position.bits),
        });
        let limit = self.page.with_one_more();
        Some(SessionPage { filter, after, limit })
    }

    /// The page, of what was looked up for it.
    pub(crate) fn show<'a>(&self, sessions: &'a [Session]) -> ListView<SessionView<'a>> {
        let position = |session: &&Session| CursorPosition {
            created_at: session.created_at,
            bits: session.id.bits(),
        };
        let (sessions, next_cursor) = self.page.paginate(sessions.iter().collect(), position);
        ListView { data: sessions.into_iter().map(SessionView::of).collect(), next_cursor }
    }
}

/// Any of these, in one order and each once, so that the same is asked for by the same cursor.
fn statuses(query: &mut Query) -> Vec<Status> {
    let mut spec = Vec::new();
    for name in query.texts("status") {
        if let Some(status) = Status::parse(&name) {
            spec.push(status);
        } else {
            let known = Status::ALL.map(Status::as_str).join(", ");
            query.fault("status", &format!("is none of {known}"));
        }
    }
    Status::ALL.into_iter().filter(|status| spec.contains(status)).collect()
}

fn label(query: &mut Query) -> Option<String> {
    let label = query.text("label")?;
    if label.contains('\0') {
        query.fault("label", "text cannot contain the character U+0000");
    }
    Some(label)
}

fn phone(query: &mut Query) -> Option<String> {
    let phone = query.text("phoneNumber")?;
    if phone.is_empty() || !phone.bytes().all(|byte| byte.is_ascii_digit()) {
        query.fault("phoneNumber", "must be digits alone, in international form without the plus");
    }
    Some(phone)
}

impl ListView<SessionView<'_>> {
    /// An example.
    pub fn sample() -> Self {
        Self { data: vec![SessionView::sample()], next_cursor: None }
    }
}

impl ListView<ApiKeyView> {
    /// An example.
    pub fn sample() -> Self {
        Self { data: vec![ApiKeyView::sample()], next_cursor: None }
    }
}
