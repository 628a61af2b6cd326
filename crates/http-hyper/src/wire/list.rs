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

use super::{api_key::ApiKeyView, example::example_is_sample, session::SessionView};
use crate::{
    request::{
        cursor::{CursorPosition, ListIdentity},
        page::Page,
        query::Query,
    },
    wire::schema::text_or_null,
};

/// One page of a list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ListView<T> {
    /// The entries of the page.
    pub data: Vec<T>,
    /// The cursor of the next page; null on the last page.
    pub next_cursor: Option<String>,
}

example_is_sample!(ListView<ApiKeyView>, ListView<SessionView<'static>>);

impl<T: ToSchema> PartialSchema for ListView<T> {
    fn schema() -> RefOr<Schema> {
        let things = RefOr::Ref(Ref::from_schema_name(T::name()));
        let page = ObjectBuilder::new()
            .schema_type(SchemaType::new(Type::Object))
            .description(Some("One page, newest first."))
            .property(
                "data",
                ArrayBuilder::new().items(things).description(Some("The entries of the page.")),
            )
            .property(
                "nextCursor",
                text_or_null("The cursor of the next page; null on the last page."),
            );
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

/// The requested page of sessions, with its filters.
#[derive(Clone, Debug)]
pub struct SessionPageSpec {
    /// `None` when no session can match.
    filter: Option<SessionFilter>,
    page: Page,
}

impl SessionPageSpec {
    /// Returns an example of the query.
    pub fn sample() -> &'static str {
        "status=working&status=failed&limit=20"
    }

    /// Reads the query of a list.
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
        // A node id that cannot exist matches no sessions and is no fault, as in every list.
        let filter = (gateway != Some(None)).then_some(filter);
        Self { filter, page: Page::read(query, list) }
    }

    /// Returns the query to the sessions; `None` when no session can match.
    pub(crate) fn spec(&self) -> Option<SessionPage> {
        let filter = self.filter.clone()?;
        let after = self.page.after.map(|position| Position {
            created_at: position.created_at,
            id: SessionId::from_bits(position.bits),
        });
        let limit = self.page.with_one_more();
        Some(SessionPage { filter, after, limit })
    }

    /// Returns the page of the sessions that were found.
    pub(crate) fn show<'a>(&self, sessions: &'a [Session]) -> ListView<SessionView<'a>> {
        let position = |session: &&Session| CursorPosition {
            created_at: session.created_at,
            bits: session.id.bits(),
        };
        let (sessions, next_cursor) = self.page.paginate(sessions.iter().collect(), position);
        ListView { data: sessions.into_iter().map(SessionView::of).collect(), next_cursor }
    }
}

/// Reads the statuses, sorted and without repetition, so that equal filters have equal cursors.
fn statuses(query: &mut Query) -> Vec<Status> {
    let mut spec = Vec::new();
    for name in query.texts("status") {
        if let Some(status) = Status::parse(&name) {
            spec.push(status);
        } else {
            let known = Status::ALL.map(Status::as_str).join(", ");
            query.fault("status", &format!("must be one of {known}"));
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
    /// Returns an example.
    pub fn sample() -> Self {
        Self { data: vec![SessionView::sample()], next_cursor: None }
    }
}

impl ListView<ApiKeyView> {
    /// Returns an example.
    pub fn sample() -> Self {
        Self { data: vec![ApiKeyView::sample()], next_cursor: None }
    }
}
