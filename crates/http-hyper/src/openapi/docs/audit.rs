//! The operation docs of the audit log and of operators.

use crate::openapi::operation_doc::{Content, DocTag, OperationDoc, ResponseDoc, Shape};
use crate::wire::{EventView, ListView, SessionView};

pub(crate) static AUDIT_LIST: OperationDoc = OperationDoc::new(
    DocTag::Audit,
    "List the audit log",
    "The events of the organization, newest first, in pages. Events of a deleted session remain.",
    ResponseDoc::new(200, "A page.", &[Content::Json(Shape::of::<ListView<EventView>>())]),
);

pub(crate) static ADMIN_SESSION_LIST: OperationDoc = OperationDoc::new(
    DocTag::Platform,
    "List the sessions of all organizations",
    "Newest first, in pages.",
    ResponseDoc::new(200, "A page.", &[Content::Json(Shape::of::<ListView<SessionView<'_>>>())]),
);
