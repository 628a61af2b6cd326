//! What the rows of API keys say of themselves.

use crate::openapi::{
    failures::KEYS_FULL,
    operation_doc::{Content, DocTag, OperationDoc, ResponseDoc, Shape},
};
use crate::wire::{ApiKeySpec, ApiKeyView, ListView, NewApiKeyView};

pub(crate) static API_KEY_LIST: OperationDoc = OperationDoc::new(
    DocTag::ApiKeys,
    "List keys",
    "Newest first, in pages; revoked keys are gone from it.",
    ResponseDoc::new(200, "A page.", &[Content::Json(Shape::of::<ListView<ApiKeyView>>())]),
);

pub(crate) static API_KEY_CREATE: OperationDoc = OperationDoc::new(
    DocTag::ApiKeys,
    "Make a key",
    "A key never gets more than its maker holds: that is 403. `expiresAt` must be ahead, and `sessions` \
     must be yours, else the body is at fault.",
    ResponseDoc::new(
        201,
        "The key. `key` is its whole text, shown this once.",
        &[Content::Json(Shape::of::<NewApiKeyView>())],
    )
    .located(),
)
.accepts(Shape::of::<ApiKeySpec>())
.fails(&[&KEYS_FULL]);

pub(crate) static API_KEY_VIEW: OperationDoc = OperationDoc::new(
    DocTag::ApiKeys,
    "View a key",
    "Never its secret.",
    ResponseDoc::new(200, "The key.", &[Content::Json(Shape::of::<ApiKeyView>())]),
);

pub(crate) static API_KEY_REVOKE: OperationDoc = OperationDoc::new(
    DocTag::ApiKeys,
    "Revoke a key",
    "Refused at once by the router that answered, by every other within a second. Keys carry no entity \
     tag, so that an `If-Match` other than `*` never holds.",
    ResponseDoc::new(204, "It is revoked.", &[]),
);
