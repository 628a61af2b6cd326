//! The shape of the OpenAPI document.

use serde_json::{Value, json};
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{
        RefOr,
        schema::{ObjectBuilder, Schema, SchemaType, Type},
    },
};

use super::WithExample;
use crate::wire::schema::{list, text};

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
