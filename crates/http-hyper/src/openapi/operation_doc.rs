//! Operation docs: the part of the document that does not follow from the operation table.

use std::borrow::Cow;

use serde_json::Value;
use utoipa::openapi::{RefOr, schema::Schema};

use super::failure::Failure;
use crate::wire::WithExample;

/// The description of an operation. Permission, parameters and common errors follow from its row.
pub struct OperationDoc {
    pub(crate) tag: DocTag,
    pub(crate) summary: &'static str,
    pub(crate) description: &'static str,
    pub(crate) accepts: Option<Shape>,
    pub(crate) response: ResponseDoc,
    /// Further success responses.
    pub(crate) other_responses: &'static [ResponseDoc],
    /// Failures besides those that follow from the row.
    pub(crate) failures: &'static [&'static Failure],
}

/// The default of operations without a doc; a test rejects it.
pub(crate) static UNDOCUMENTED: OperationDoc =
    OperationDoc::new(DocTag::Service, "", "", ResponseDoc::new(200, "", &[]));

/// The tags that group operations in the document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DocTag {
    Sessions,
    Pairing,
    Messages,
    ApiKeys,
    Webhooks,
    Audit,
    Events,
    Platform,
    Browser,
    Service,
}

impl DocTag {
    pub(crate) const ALL: [Self; 10] = [
        Self::Sessions,
        Self::Pairing,
        Self::Messages,
        Self::ApiKeys,
        Self::Webhooks,
        Self::Audit,
        Self::Events,
        Self::Platform,
        Self::Browser,
        Self::Service,
    ];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Sessions => "Sessions",
            Self::Pairing => "Pairing",
            Self::Messages => "Messages",
            Self::ApiKeys => "API keys",
            Self::Webhooks => "Webhooks",
            Self::Audit => "Audit",
            Self::Events => "Events",
            Self::Platform => "Platform",
            Self::Browser => "Browser sessions",
            Self::Service => "Service",
        }
    }

    pub(crate) const fn about(self) -> &'static str {
        match self {
            Self::Sessions => "Attached, or to-be-attached, WhatsApp numbers.",
            Self::Pairing => "Linking a phone to a session, and the linked account.",
            Self::Messages => "Chats and messages of a session, and messages to send.",
            Self::ApiKeys => "Keys by which programs call this API.",
            Self::Webhooks => "URLs to which berth sends events.",
            Self::Audit => "The audit log.",
            Self::Events => "Events as they happen, over streams that resume without gaps.",
            Self::Platform => "For operators of the platform, across all organizations.",
            Self::Browser => "Logins of browsers, for the pages of the service.",
            Self::Service => {
                "The service itself: the caller as the service sees it, health probes and this document."
            }
        }
    }
}

/// A success response.
#[expect(clippy::struct_excessive_bools, reason = "each is a header of the response")]
pub(crate) struct ResponseDoc {
    pub(crate) status: u16,
    pub(crate) about: &'static str,
    pub(crate) content: &'static [Content],
    /// Whether the response has an `ETag`, so that `If-None-Match` can avoid its body.
    pub(crate) tagged: bool,
    /// Whether `Location` names the new object.
    pub(crate) located: bool,
    /// Whether the response depends on a request header, which `Vary` names.
    pub(crate) varies: bool,
    /// Whether the response sets or removes a cookie.
    pub(crate) sets_cookie: bool,
    pub(crate) kind: ResponseKind,
}

/// What follows the head of a response.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum ResponseKind {
    /// A body of a known length.
    Whole,
    /// A body that may be a stream, which proxies must not buffer.
    Stream,
    /// Another protocol.
    Upgrade,
}

/// The content of a response.
pub(crate) enum Content {
    /// JSON.
    Json(Shape),
    /// Text: its media type, and its beginning as example.
    Text(&'static str, &'static str),
    /// Bytes: their media type.
    Bytes(&'static str),
}

/// The shape of JSON: name, schema, referenced schemas and example, each as a function of the type.
#[derive(Clone, Copy)]
pub(crate) struct Shape {
    pub(crate) name: fn() -> Cow<'static, str>,
    pub(crate) schema: fn() -> RefOr<Schema>,
    pub(crate) referenced: fn(&mut Vec<(String, RefOr<Schema>)>),
    pub(crate) example: fn() -> Value,
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

    /// Sets the shape of the request body.
    pub(crate) const fn accepts(self, shape: Shape) -> Self {
        Self { accepts: Some(shape), ..self }
    }

    /// Adds further success responses.
    pub(crate) const fn or(self, other_responses: &'static [ResponseDoc]) -> Self {
        Self { other_responses, ..self }
    }

    /// Adds failures.
    pub(crate) const fn fails(self, failures: &'static [&'static Failure]) -> Self {
        Self { failures, ..self }
    }

    pub(crate) fn responses(&self) -> impl Iterator<Item = &ResponseDoc> {
        std::iter::once(&self.response).chain(self.other_responses)
    }

    /// Returns the shapes of all JSON responses.
    pub(crate) fn response_shapes(&self) -> impl Iterator<Item = Shape> {
        self.responses().flat_map(|response| response.content).filter_map(|content| match content {
            Content::Json(shape) => Some(*shape),
            Content::Text(..) | Content::Bytes(_) => None,
        })
    }
}

impl ResponseDoc {
    pub(crate) const fn new(status: u16, about: &'static str, content: &'static [Content]) -> Self {
        Self {
            status,
            about,
            content,
            tagged: false,
            located: false,
            varies: false,
            sets_cookie: false,
            kind: ResponseKind::Whole,
        }
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

    pub(crate) const fn setting_cookie(self) -> Self {
        Self { sets_cookie: true, ..self }
    }

    pub(crate) const fn streaming(self) -> Self {
        Self { kind: ResponseKind::Stream, ..self }
    }

    pub(crate) const fn upgrading(self) -> Self {
        Self { kind: ResponseKind::Upgrade, ..self }
    }
}
