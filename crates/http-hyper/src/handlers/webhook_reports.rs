//! The handlers of the state of deliveries, each below its operation doc.

use domain::{
    AttemptId, EventId,
    ports::{Position, WebhookPage},
};

use crate::{
    api::OperationContext,
    openapi::operation_doc::{Content, DocTag, OperationDoc, ResponseDoc, Shape},
    request::{cursor::CursorPosition, page::Page},
    response::{problem::Result, reply::Reply},
    wire::{AttemptView, DeadLetterView, ListView, WebhookStateView},
};

pub(crate) static WEBHOOK_STATE: OperationDoc = OperationDoc::new(
    DocTag::Webhooks,
    "View the state of deliveries",
    "What was sent, what waits, and why.",
    ResponseDoc::new(200, "The state.", &[Content::Json(Shape::of::<WebhookStateView>())]),
);

pub(crate) async fn state(cx: OperationContext) -> Result<Reply> {
    let state = cx.resources.webhooks.state(cx.caller()?, cx.path("webhook")).await?;
    Reply::ok(&WebhookStateView::of(&state))
}

pub(crate) static WEBHOOK_ATTEMPTS: OperationDoc = OperationDoc::new(
    DocTag::Webhooks,
    "List attempts",
    "Newest first, in pages. The last 500 attempts are kept, at least.",
    ResponseDoc::new(200, "A page.", &[Content::Json(Shape::of::<ListView<AttemptView>>())]),
);

pub(crate) async fn attempts(mut cx: OperationContext) -> Result<Reply> {
    let (caller, id) = (cx.caller()?.clone(), cx.path("webhook").to_owned());
    let all = cx.list("webhook-attempts")?.with_filter("webhook", &id);
    let page = cx.read(|input| Page::read(&mut input.query, all))?;
    let after = page.after.map(|position| Position {
        created_at: position.created_at,
        id: AttemptId::from_bits(position.bits),
    });
    let spec = WebhookPage { after, limit: page.with_one_more() };
    let found = cx.resources.webhooks.attempts(&caller, &id, &spec).await?;
    let (records, next_cursor) = page
        .paginate(found, |record| CursorPosition { created_at: record.at, bits: record.id.bits() });
    let data: Vec<_> = records.iter().map(AttemptView::of).collect();
    Reply::ok(&ListView { data, next_cursor })
}

pub(crate) static DEAD_LETTER_LIST: OperationDoc = OperationDoc::new(
    DocTag::Webhooks,
    "List dead letters",
    "Events that the receiver did not take within the attempts of the retry policy, newest first, in \
     pages.",
    ResponseDoc::new(200, "A page.", &[Content::Json(Shape::of::<ListView<DeadLetterView>>())]),
);

pub(crate) async fn dead_letters(mut cx: OperationContext) -> Result<Reply> {
    let (caller, id) = (cx.caller()?.clone(), cx.path("webhook").to_owned());
    let all = cx.list("dead-letters")?.with_filter("webhook", &id);
    let page = cx.read(|input| Page::read(&mut input.query, all))?;
    let after = page.after.map(|position| Position {
        created_at: position.created_at,
        id: EventId::from_bits(position.bits),
    });
    let spec = WebhookPage { after, limit: page.with_one_more() };
    let found = cx.resources.webhooks.dead_letters(&caller, &id, &spec).await?;
    let (found, next_cursor) = page.paginate(found, |dead| CursorPosition {
        created_at: dead.died_at,
        bits: dead.event.bits(),
    });
    let data: Vec<_> = found.iter().map(DeadLetterView::of).collect();
    Reply::ok(&ListView { data, next_cursor })
}
