//! The handlers of webhooks, each below its operation doc.

use domain::{
    Error, Version, Webhook, WebhookId,
    ports::{Position, WebhookPage},
};

use crate::{
    api::OperationContext,
    openapi::{
        failures::{NO_SEAL_KEY_FAILURE, WEBHOOKS_FULL},
        operation_doc::{Content, DocTag, OperationDoc, ResponseDoc, Shape},
    },
    request::{conditions::IfMatch, cursor::CursorPosition, page::Page},
    response::{etag::entity_tag, problem::Result, reply::Reply},
    wire::{ListView, WebhookPatchSpec, WebhookSpec, WebhookView},
};

const WEBHOOK: &[Content] = &[Content::Json(Shape::of::<WebhookView>())];

pub(crate) static WEBHOOK_LIST: OperationDoc = OperationDoc::new(
    DocTag::Webhooks,
    "List webhooks",
    "Newest first, in pages.",
    ResponseDoc::new(200, "A page.", &[Content::Json(Shape::of::<ListView<WebhookView>>())]),
);

pub(crate) async fn list(mut cx: OperationContext) -> Result<Reply> {
    let (caller, all) = (cx.caller()?.clone(), cx.list("webhooks")?);
    let page = cx.read(|input| Page::read(&mut input.query, all))?;
    let after = page.after.map(|position| Position {
        created_at: position.created_at,
        id: WebhookId::from_bits(position.bits),
    });
    let spec = WebhookPage { after, limit: page.with_one_more() };
    let found = cx.resources.webhooks.list(&caller, &spec).await?;
    let (webhooks, next_cursor) = page.paginate(found, position);
    let data: Vec<_> = webhooks.iter().map(WebhookView::of).collect();
    Reply::ok(&ListView { data, next_cursor })
}

fn position(webhook: &Webhook) -> CursorPosition {
    CursorPosition { created_at: webhook.created_at, bits: webhook.id.bits() }
}

pub(crate) static WEBHOOK_CREATE: OperationDoc = OperationDoc::new(
    DocTag::Webhooks,
    "Create a webhook",
    "Events from now on are sent, the event of the creation included. Kinds of events that you cannot \
     see are not sent; a kind that you name and cannot see is 403. A URL that leads to a private address \
     is a validation error, unless the operator allows the address.",
    ResponseDoc::new(201, "The webhook.", WEBHOOK).tagged().located(),
)
.accepts(Shape::of::<WebhookSpec>())
.fails(&[&WEBHOOKS_FULL, &NO_SEAL_KEY_FAILURE]);

pub(crate) async fn create(mut cx: OperationContext) -> Result<Reply> {
    let WebhookSpec(patch) = cx.read(|input| WebhookSpec::read(&mut input.body))?;
    let (caller, recorder) = (cx.caller()?, cx.recorder(created));
    let webhook = cx.resources.webhooks.create(caller, patch, recorder.as_deref()).await?;
    created(&webhook)
}

fn created(webhook: &Webhook) -> Result<Reply> {
    let location = format!("/api/v1/webhooks/{}", webhook.id);
    let reply = Reply::created(&location, &WebhookView::of(webhook))?;
    Ok(reply.tagged(entity_tag(webhook.version)))
}

pub(crate) static WEBHOOK_VIEW: OperationDoc = OperationDoc::new(
    DocTag::Webhooks,
    "View a webhook",
    "Without its secret. The state of the deliveries is at `/state`.",
    ResponseDoc::new(200, "The webhook.", WEBHOOK).tagged(),
);

pub(crate) async fn view(cx: OperationContext) -> Result<Reply> {
    tagged(&cx.resources.webhooks.view(cx.caller()?, cx.path("webhook")).await?)
}

pub(crate) static WEBHOOK_UPDATE: OperationDoc = OperationDoc::new(
    DocTag::Webhooks,
    "Change a webhook",
    "By a JSON merge patch; `customHeaders` and `retryPolicy` are merged key by key. A new `secret` signs \
     at once, and the previous one for a further 24 hours. `active: true` on an inactive webhook skips \
     the events of the time in between; to keep them, use `:pause` and `:resume`.",
    ResponseDoc::new(200, "The changed webhook.", WEBHOOK).tagged(),
)
.accepts(Shape::of::<WebhookPatchSpec>())
.fails(&[&NO_SEAL_KEY_FAILURE]);

pub(crate) async fn update(mut cx: OperationContext) -> Result<Reply> {
    let WebhookPatchSpec(patch) = cx.read(|input| WebhookPatchSpec::read(&mut input.body))?;
    let expected = expected_version(&cx).await?;
    let (caller, id) = (cx.caller()?, cx.path("webhook"));
    tagged(&cx.resources.webhooks.update(caller, id, expected, patch).await?)
}

pub(crate) static WEBHOOK_DELETE: OperationDoc = OperationDoc::new(
    DocTag::Webhooks,
    "Delete a webhook",
    "With its dead letters. A request that is in flight ends within 17 s; no further request follows.",
    ResponseDoc::new(204, "The webhook is deleted.", &[]),
);

pub(crate) async fn delete(cx: OperationContext) -> Result<Reply> {
    let expected = expected_version(&cx).await?;
    cx.resources.webhooks.delete(cx.caller()?, cx.path("webhook"), expected).await?;
    Ok(Reply::no_content())
}

/// Returns a webhook with its entity tag.
pub(super) fn tagged(webhook: &Webhook) -> Result<Reply> {
    Ok(Reply::ok(&WebhookView::of(webhook))?.tagged(entity_tag(webhook.version)))
}

/// Returns the version that the webhook must still have. Of several versions in `If-Match`, returns
/// the current one; a later change then fails the update.
async fn expected_version(cx: &OperationContext) -> Result<Option<Version>> {
    let IfMatch::OneOf(versions) = cx.if_match() else { return Ok(None) };
    if let [version] = versions.as_slice() {
        return Ok(Some(*version));
    }
    let now = cx.resources.webhooks.view(cx.caller()?, cx.path("webhook")).await?.version;
    if versions.contains(&now) { Ok(Some(now)) } else { Err(Error::PreconditionFailed.into()) }
}
