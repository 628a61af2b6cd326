//! The operation docs of the health probes and of the document.

use serde_json::{Value, json};
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{
        RefOr,
        schema::{ObjectBuilder, Schema, SchemaType, Type},
    },
};

use crate::openapi::operation_doc::{Content, DocTag, OperationDoc, ResponseDoc, Shape};
use crate::wire::{
    LivenessView, ReadinessView, WithExample,
    schema::{list, text},
};

/// The schema of the document itself, without its parts.
pub(crate) struct Document;

impl PartialSchema for Document {
    fn schema() -> RefOr<Schema> {
        let part = || {
            let part = ObjectBuilder::new().schema_type(SchemaType::new(Type::Object));
            part.description(Some("As in the OpenAPI specification."))
        };
        let list = || list("As in the OpenAPI specification.", part().build());
        let document = part()
            .description(Some("An OpenAPI 3.1 document."))
            .property("openapi", text("The version of OpenAPI."))
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
    "Check that the process runs",
    "For probes. Reads no credential and performs no check.",
    ResponseDoc::new(200, "The process runs.", &[Content::Json(Shape::of::<LivenessView>())]),
);

const READINESS: &[Content] = &[Content::Json(Shape::of::<ReadinessView>())];

pub(crate) static READYZ: OperationDoc = OperationDoc::new(
    DocTag::Service,
    "Check that the service can serve requests",
    "For probes: the state of each dependency by name. Reads no credential.",
    ResponseDoc::new(200, "The service is ready.", READINESS),
)
.or(&[ResponseDoc::new(
    503,
    "The service is not ready; `checks` names the failed dependencies.",
    READINESS,
)]);

pub(crate) static OPENAPI: OperationDoc = OperationDoc::new(
    DocTag::Service,
    "Get this document",
    "OpenAPI 3.1, for programs.",
    ResponseDoc::new(200, "The document.", &[Content::Json(Shape::of::<Document>())]).tagged(),
);

pub(crate) static DOCS: OperationDoc = OperationDoc::new(
    DocTag::Service,
    "Read this document as a page",
    "An interactive page that shows this document and can send its requests. The page loads nothing from \
     other hosts.",
    ResponseDoc::new(200, "The page.", &[Content::Text("text/html", "<!doctype html>…")]).tagged(),
);

pub(crate) static DOCS_START: OperationDoc = OperationDoc::new(
    DocTag::Service,
    "Get the start script of the page",
    "Part of `/docs`.",
    ResponseDoc::new(200, "A script.", &[Content::Text("text/javascript", "window.ui = …")])
        .tagged(),
);

pub(crate) static DOCS_SCRIPT: OperationDoc = OperationDoc::new(
    DocTag::Service,
    "Get the main script of the page",
    "Part of `/docs`.",
    ResponseDoc::new(200, "A script.", &[Content::Text("text/javascript", "/*! For license …")])
        .tagged()
        .varying(),
);

pub(crate) static DOCS_STYLE: OperationDoc = OperationDoc::new(
    DocTag::Service,
    "Get the style sheet of the page",
    "Part of `/docs`.",
    ResponseDoc::new(200, "A style sheet.", &[Content::Text("text/css", ".swagger-ui{…}")])
        .tagged()
        .varying(),
);
