//! The handler of the audit log, below its operation doc.

use crate::{
    api::OperationContext,
    openapi::operation_doc::{Content, DocTag, OperationDoc, ResponseDoc, Shape},
    response::{problem::Result, reply::Reply},
    wire::{AuditPageSpec, EventView, ListView},
};

pub(crate) static AUDIT_LIST: OperationDoc = OperationDoc::new(
    DocTag::Audit,
    "List the audit log",
    "The events of the organization, newest first, in pages. Events of a deleted session remain.",
    ResponseDoc::new(200, "A page.", &[Content::Json(Shape::of::<ListView<EventView>>())]),
);

pub(crate) async fn list(mut cx: OperationContext) -> Result<Reply> {
    let (caller, all) = (cx.caller()?.clone(), cx.list("audit")?);
    let spec = cx.read(|input| AuditPageSpec::read(&mut input.query, all))?;
    let events = match spec.spec() {
        Some(spec) => cx.resources.audit.list(&caller, &spec).await?,
        None => Vec::new(),
    };
    Reply::ok(&spec.show(&events))
}
