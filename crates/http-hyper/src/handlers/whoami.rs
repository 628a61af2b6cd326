//! The handler that shows the caller, below its operation doc.

use crate::{
    api::OperationContext,
    openapi::operation_doc::{Content, DocTag, OperationDoc, ResponseDoc, Shape},
    response::{problem::Result, reply::Reply},
    wire::WhoamiView,
};

pub(crate) static WHOAMI: OperationDoc = OperationDoc::new(
    DocTag::Service,
    "View the caller",
    "The credential of the request, its organization, its capabilities, its sessions and its expiry.",
    ResponseDoc::new(200, "The caller.", &[Content::Json(Shape::of::<WhoamiView>())]),
);

pub(crate) async fn view(cx: OperationContext) -> Result<Reply> {
    Reply::ok(&WhoamiView::of(cx.caller()?))
}
