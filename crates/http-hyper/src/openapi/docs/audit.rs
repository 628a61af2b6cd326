//! What the rows of the audit trail and of the platform's own people say of themselves.

use crate::openapi::operation_doc::{Content, DocTag, OperationDoc, ResponseDoc, Shape};
use crate::wire::{EventView, ListView, SessionView};

pub(crate) static AUDIT_LIST: OperationDoc = OperationDoc::new(
    DocTag::Audit,
    "See who did what",
    "Everything that happened in the organization, newest first, in pages. It stays when the session it \
     tells of is deleted.",
    ResponseDoc::new(200, "A page.", &[Content::Json(Shape::of::<ListView<EventView>>())]),
);

pub(crate) static ADMIN_SESSION_LIST: OperationDoc = OperationDoc::new(
    DocTag::Platform,
    "List the sessions of all organizations",
    "Newest first, in pages.",
    ResponseDoc::new(200, "A page.", &[Content::Json(Shape::of::<ListView<SessionView<'_>>>())]),
);
