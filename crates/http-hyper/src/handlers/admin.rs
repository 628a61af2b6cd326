//! The handlers of operators, each below its operation doc.

use domain::OrganizationId;

use crate::{
    api::OperationContext,
    openapi::operation_doc::{Content, DocTag, OperationDoc, ResponseDoc, Shape},
    response::{problem::Result, reply::Reply},
    wire::{GatewayView, ListView, SessionPageSpec, SessionView},
};

pub(crate) static ADMIN_SESSION_LIST: OperationDoc = OperationDoc::new(
    DocTag::Platform,
    "List the sessions of all organizations",
    "Newest first, in pages.",
    ResponseDoc::new(200, "A page.", &[Content::Json(Shape::of::<ListView<SessionView<'_>>>())]),
);

/// An organization id that cannot exist matches no sessions and is no fault, as in every list.
pub(crate) async fn sessions(mut cx: OperationContext) -> Result<Reply> {
    let (caller, all) = (cx.caller()?.clone(), cx.list("admin-sessions")?);
    let (organization, page) = cx.read(|input| {
        let organization = input.query.text("organizationId");
        let all =
            organization.iter().fold(all, |all, name| all.with_filter("organizationId", name));
        (organization, SessionPageSpec::read(&mut input.query, all))
    })?;
    let named = organization.as_deref().map(OrganizationId::parse);
    let sessions = match (page.spec(), &named) {
        (None, _) | (_, Some(None)) => Vec::new(),
        (Some(spec), named) => {
            let organization = named.as_ref().and_then(Option::as_ref);
            cx.resources.operators.sessions(&caller, organization, &spec).await?
        }
    };
    Reply::ok(&page.show(&sessions))
}

pub(crate) static ADMIN_GATEWAY_LIST: OperationDoc = OperationDoc::new(
    DocTag::Platform,
    "List the gateways",
    "All gateways on one page, by id.",
    ResponseDoc::new(200, "The gateways.", &[Content::Json(Shape::of::<ListView<GatewayView>>())]),
);

pub(crate) async fn gateways(cx: OperationContext) -> Result<Reply> {
    let nodes = cx.resources.operators.gateways(cx.caller()?).await?;
    let data = nodes.iter().map(GatewayView::of).collect();
    Reply::ok(&ListView { data, next_cursor: None })
}
