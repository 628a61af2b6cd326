//! What the rows of the audit trail and of the platform's own people say of themselves.

use super::words::{Answer, Content, Shape, Tag, Words};
use crate::wire::{EventView, ListView, SessionView};

pub(crate) static AUDIT_LIST: Words = Words::new(
    Tag::Audit,
    "See who did what",
    "Everything that happened in the organization, newest first, in pages. It stays when the session it \
     tells of is deleted.",
    Answer::new(200, "A page.", &[Content::Json(Shape::of::<ListView<EventView>>())]),
);

pub(crate) static ADMIN_SESSION_LIST: Words = Words::new(
    Tag::Platform,
    "List the sessions of all organizations",
    "Newest first, in pages.",
    Answer::new(200, "A page.", &[Content::Json(Shape::of::<ListView<SessionView<'_>>>())]),
);
