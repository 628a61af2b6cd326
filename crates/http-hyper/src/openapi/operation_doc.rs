//! What a row of the table says of itself to people: the part of the document that nothing else knows.

use std::borrow::Cow;

use serde_json::Value;
use utoipa::{
    ToSchema,
    openapi::{RefOr, schema::Schema},
};

use super::failures::Failure;

/// A row's own words. What follows from its method, path, needs and intake is not said here.
pub struct OperationDoc {
    pub(crate) tag: DocTag,
    pub(crate) summary: &'static str,
    pub(crate) description: &'static str,
    pub(crate) accepts: Option<Shape>,
    pub(crate) response: ResponseDoc,
    /// Further successes.
    pub(crate) other_responses: &'static [ResponseDoc],
    /// How it can end badly besides what every row like it can.
    pub(crate) failures: &'static [&'static Failure],
}

/// Of a row that says nothing; a test refuses it.
pub(crate) static UNDOCUMENTED: OperationDoc =
    OperationDoc::new(DocTag::Service, "", "", ResponseDoc::new(200, "", &[]));

/// The chapters of the document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DocTag {
    Sessions,
    Pairing,
    ApiKeys,
    Audit,
    Platform,
    Service,
}

impl DocTag {
    pub(crate) const ALL: [Self; 6] =
        [Self::Sessions, Self::Pairing, Self::ApiKeys, Self::Audit, Self::Platform, Self::Service];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Sessions => "Sessions",
            Self::Pairing => "Pairing",
            Self::ApiKeys => "API keys",
            Self::Audit => "Audit",
            Self::Platform => "Platform",
            Self::Service => "Service",
        }
    }

    pub(crate) const fn about(self) -> &'static str {
        match self {
            Self::Sessions => "Attached, or to-be-attached, WhatsApp numbers.",
            Self::Pairing => "Linking a phone to a session, and who is linked.",
            Self::ApiKeys => "Keys by which programs call this API.",
            Self::Audit => "Who did what.",
            Self::Platform => "For the platform's own people, over all organizations.",
            Self::Service => "The service itself: whether it lives, and what it documents.",
        }
    }
}

/// One way to succeed.
pub(crate) struct ResponseDoc {
    pub(crate) status: u16,
    pub(crate) about: &'static str,
    pub(crate) content: &'static [Content],
    /// Carries an `ETag`, so that `If-None-Match` can spare it.
    pub(crate) tagged: bool,
    /// Names, by a `Location`, what was made.
    pub(crate) located: bool,
    /// Differs by a request header, which `Vary` names.
    pub(crate) varies: bool,
}

/// What an answer holds.
pub(crate) enum Content {
    /// JSON of this shape.
    Json(Shape),
    /// Text of this media type, and how it begins.
    Text(&'static str, &'static str),
    /// Bytes of this media type.
    Bytes(&'static str),
}

/// The shape of some JSON: its name, its schema, those its schema speaks of, an example.
#[derive(Clone, Copy)]
pub(crate) struct Shape {
    pub(crate) name: fn() -> Cow<'static, str>,
    pub(crate) schema: fn() -> RefOr<Schema>,
    pub(crate) referenced: fn(&mut Vec<(String, RefOr<Schema>)>),
    pub(crate) example: fn() -> Value,
}

/// Something that goes over the wire and can show one of itself.
pub(crate) trait WithExample: ToSchema {
    /// An example.
    fn example() -> Value;
}

impl Shape {
    pub(crate) const fn of<T: WithExample>() -> Self {
        Self { name: T::name, schema: T::schema, referenced: T::schemas, example: T::example }
    }
}

impl OperationDoc {
    pub(crate) const fn new(
        tag: DocTag,
        summary: &'static str,
        description: &'static str,
        response: ResponseDoc,
    ) -> Self {
        Self {
            tag,
            summary,
            description,
            accepts: None,
            response,
            other_responses: &[],
            failures: &[],
        }
    }

    /// It takes a body of this shape.
    pub(crate) const fn accepts(self, shape: Shape) -> Self {
        Self { accepts: Some(shape), ..self }
    }

    /// It may also succeed like this.
    pub(crate) const fn or(self, other_responses: &'static [ResponseDoc]) -> Self {
        Self { other_responses, ..self }
    }

    /// It may also end like this.
    pub(crate) const fn fails(self, failures: &'static [&'static Failure]) -> Self {
        Self { failures, ..self }
    }

    pub(crate) fn responses(&self) -> impl Iterator<Item = &ResponseDoc> {
        std::iter::once(&self.response).chain(self.other_responses)
    }

    /// Every shape it shows.
    pub(crate) fn response_shapes(&self) -> impl Iterator<Item = Shape> {
        self.responses().flat_map(|response| response.content).filter_map(|content| match content {
            Content::Json(shape) => Some(*shape),
            Content::Text(..) | Content::Bytes(_) => None,
        })
    }
}

impl ResponseDoc {
    pub(crate) const fn new(status: u16, about: &'static str, content: &'static [Content]) -> Self {
        Self { status, about, content, tagged: false, located: false, varies: false }
    }

    pub(crate) const fn tagged(self) -> Self {
        Self { tagged: true, ..self }
    }

    pub(crate) const fn located(self) -> Self {
        Self { located: true, ..self }
    }

    pub(crate) const fn varying(self) -> Self {
        Self { varies: true, ..self }
    }
}
