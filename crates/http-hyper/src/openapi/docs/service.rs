//! What the service's own rows say of themselves: probes, and the document.

use serde_json::{Value, json};
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{
        RefOr,
        schema::{ObjectBuilder, Schema, SchemaType, Type},
    },
};

use crate::openapi::{
    WithExample,
    operation_doc::{Content, DocTag, OperationDoc, ResponseDoc, Shape},
};
use crate::wire::{
    LivenessView, ReadinessView,
    schema::{list, text},
};

/// The document itself, as far as it is worth describing in itself.
pub(crate) struct Document;

impl PartialSchema for Document {
    fn schema() -> RefOr<Schema> {
        let part = || {
            let part = ObjectBuilder::new().schema_type(SchemaType::new(Type::Object));
            part.description(Some("As the specification has it."))
        };
        let list = || list("As the specification has it.", part().build());
        let document = part()
            .description(Some("An OpenAPI 3.1 document."))
            .property("openapi", text("Which OpenAPI it is written in."))
            .property("info", part())
            .property("servers", list())
            .property("tags", list())
            .property("paths", part())
            .property("components", part());
        RefOr::T(document.build().into())
    }
}

impl ToSchema for Document {}

impl WithExample for Document {
    fn example() -> Value {
        json!({
            "openapi": "3.1.0",
            "info": { "title": "berth", "version": "…" },
            "servers": [],
            "tags": [],
            "paths": {},
            "components": {},
        })
    }
}

pub(crate) static LIVEZ: OperationDoc = OperationDoc::new(
    DocTag::Service,
    "Ask whether the process lives",
    "For probes. Looks at no credential and touches nothing.",
    ResponseDoc::new(200, "It does.", &[Content::Json(Shape::of::<LivenessView>())]),
);

const READINESS: &[Content] = &[Content::Json(Shape::of::<ReadinessView>())];

pub(crate) static READYZ: OperationDoc = OperationDoc::new(
    DocTag::Service,
    "Ask whether the service can do its work",
    "For probes: whether what it needs can be reached, each by name. Looks at no credential.",
    ResponseDoc::new(200, "It can.", READINESS),
)
.or(&[ResponseDoc::new(503, "It cannot; `checks` says what is away.", READINESS)]);

pub(crate) static OPENAPI: OperationDoc = OperationDoc::new(
    DocTag::Service,
    "Get this document",
    "OpenAPI 3.1, for programs.",
    ResponseDoc::new(200, "The document.", &[Content::Json(Shape::of::<Document>())]).tagged(),
);

pub(crate) static DOCS: OperationDoc = OperationDoc::new(
    DocTag::Service,
    "Read this document as a page",
    "An interactive page that shows this document and can send its requests. Asks no other host for \
     anything.",
    ResponseDoc::new(200, "The page.", &[Content::Text("text/html", "<!doctype html>…")]).tagged(),
);

pub(crate) static DOCS_START: OperationDoc = OperationDoc::new(
    DocTag::Service,
    "Get the script that begins that page",
    "Part of `/docs`.",
    ResponseDoc::new(200, "A script.", &[Content::Text("text/javascript", "window.ui = …")])
        .tagged(),
);

pub(crate) static DOCS_SCRIPT: OperationDoc = OperationDoc::new(
    DocTag::Service,
    "Get the script that is that page",
    "Part of `/docs`.",
    ResponseDoc::new(200, "A script.", &[Content::Text("text/javascript", "/*! For license …")])
        .tagged()
        .varying(),
);

pub(crate) static DOCS_STYLE: OperationDoc = OperationDoc::new(
    DocTag::Service,
    "Get the style of that page",
    "Part of `/docs`.",
    ResponseDoc::new(200, "A style sheet.", &[Content::Text("text/css", ".swagger-ui{…}")])
        .tagged()
        .varying(),
);
