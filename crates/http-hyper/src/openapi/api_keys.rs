//! What the rows of API keys say of themselves.

use super::{
    failures::KEYS_FULL,
    words::{Answer, Content, Shape, Tag, Words},
};
use crate::wire::{ApiKeySpec, ApiKeyView, ListView, NewApiKeyView};

pub(crate) static API_KEY_LIST: Words = Words::new(
    Tag::ApiKeys,
    "List keys",
    "Newest first, in pages; revoked keys are gone from it.",
    Answer::new(200, "A page.", &[Content::Json(Shape::of::<ListView<ApiKeyView>>())]),
);

pub(crate) static API_KEY_CREATE: Words = Words::new(
    Tag::ApiKeys,
    "Make a key",
    "A key never gets more than its maker holds: that is 403. `expiresAt` must be ahead, and `sessions` \
     must be yours, else the body is at fault.",
    Answer::new(
        201,
        "The key. `key` is its whole text, shown this once.",
        &[Content::Json(Shape::of::<NewApiKeyView>())],
    )
    .located(),
)
.takes(Shape::of::<ApiKeySpec>())
.fails(&[&KEYS_FULL]);

pub(crate) static API_KEY_VIEW: Words = Words::new(
    Tag::ApiKeys,
    "View a key",
    "Never its secret.",
    Answer::new(200, "The key.", &[Content::Json(Shape::of::<ApiKeyView>())]),
);

pub(crate) static API_KEY_REVOKE: Words = Words::new(
    Tag::ApiKeys,
    "Revoke a key",
    "Refused at once by the router that answered, by every other within a second. Keys carry no entity \
     tag, so that an `If-Match` other than `*` never holds.",
    Answer::new(204, "It is revoked.", &[]),
);
