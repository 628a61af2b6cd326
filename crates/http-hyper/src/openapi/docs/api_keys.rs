//! The operation docs of API keys.

use crate::openapi::{
    failures::KEYS_FULL,
    operation_doc::{Content, DocTag, OperationDoc, ResponseDoc, Shape},
};
use crate::wire::{ApiKeySpec, ApiKeyView, ListView, NewApiKeyView};

pub(crate) static API_KEY_LIST: OperationDoc = OperationDoc::new(
    DocTag::ApiKeys,
    "List keys",
    "Newest first, in pages. Revoked keys are not listed.",
    ResponseDoc::new(200, "A page.", &[Content::Json(Shape::of::<ListView<ApiKeyView>>())]),
);

pub(crate) static API_KEY_CREATE: OperationDoc = OperationDoc::new(
    DocTag::ApiKeys,
    "Create a key",
    "A key cannot have capabilities that its creator lacks (403). `expiresAt` must be in the future, and \
     `sessions` must belong to your organization; otherwise the response is a validation error.",
    ResponseDoc::new(
        201,
        "The key. `key` is its full text, which no later response contains.",
        &[Content::Json(Shape::of::<NewApiKeyView>())],
    )
    .located(),
)
.accepts(Shape::of::<ApiKeySpec>())
.fails(&[&KEYS_FULL]);

pub(crate) static API_KEY_VIEW: OperationDoc = OperationDoc::new(
    DocTag::ApiKeys,
    "View a key",
    "Without its secret.",
    ResponseDoc::new(200, "The key.", &[Content::Json(Shape::of::<ApiKeyView>())]),
);

pub(crate) static API_KEY_REVOKE: OperationDoc = OperationDoc::new(
    DocTag::ApiKeys,
    "Revoke a key",
    "The router that answers rejects the key at once, every other router within one second. Keys have no \
     entity tag, so that an `If-Match` other than `*` never matches.",
    ResponseDoc::new(204, "The key is revoked.", &[]),
);
