//! The handlers of actions on webhooks, each below its operation doc.

use domain::Replay;

use super::webhooks::tagged;
use crate::{
    api::OperationContext,
    openapi::{
        failures::{GONE, NO_SEAL_KEY_FAILURE, REPLAY_IN_PROGRESS},
        operation_doc::{Content, DocTag, OperationDoc, ResponseDoc, Shape},
    },
    response::{problem::Result, reply::Reply},
    wire::{PingView, ReplayRequestSpec, ReplayView, WebhookView},
};

const WEBHOOK: &[Content] = &[Content::Json(Shape::of::<WebhookView>())];

pub(crate) static WEBHOOK_PING: OperationDoc = OperationDoc::new(
    DocTag::Webhooks,
    "Send a test request",
    "Sends the event `webhook.ping` once, also to a paused or disabled webhook, and waits for the \
     response, up to 17 s. `Idempotency-Key` has no effect.",
    ResponseDoc::new(200, "The outcome.", &[Content::Json(Shape::of::<PingView>())]),
)
.fails(&[&NO_SEAL_KEY_FAILURE]);

pub(crate) async fn ping(cx: OperationContext) -> Result<Reply> {
    let (caller, id) = (cx.caller()?, cx.path("webhook"));
    let outcome = cx.wait(cx.resources.webhooks.ping(caller, id)).await?;
    Reply::ok(&PingView::of(&outcome))
}

pub(crate) static WEBHOOK_PAUSE: OperationDoc = OperationDoc::new(
    DocTag::Webhooks,
    "Pause deliveries",
    "Events wait until the webhook is resumed, for as long as berth keeps events. Has no effect on a \
     paused webhook.",
    ResponseDoc::new(200, "The webhook.", WEBHOOK).tagged(),
);

pub(crate) async fn pause(cx: OperationContext) -> Result<Reply> {
    let (caller, id, recorder) = (cx.caller()?, cx.path("webhook"), cx.recorder(tagged));
    tagged(&cx.resources.webhooks.pause(caller, id, recorder.as_deref()).await?)
}

pub(crate) static WEBHOOK_RESUME: OperationDoc = OperationDoc::new(
    DocTag::Webhooks,
    "Resume deliveries",
    "Continues where the deliveries stopped: after a pause, after berth disabled the webhook, or at once \
     instead of at the next attempt.",
    ResponseDoc::new(200, "The webhook.", WEBHOOK).tagged(),
);

pub(crate) async fn resume(cx: OperationContext) -> Result<Reply> {
    let (caller, id, recorder) = (cx.caller()?, cx.path("webhook"), cx.recorder(tagged));
    tagged(&cx.resources.webhooks.resume(caller, id, recorder.as_deref()).await?)
}

pub(crate) static WEBHOOK_REPLAY: OperationDoc = OperationDoc::new(
    DocTag::Webhooks,
    "Replay earlier events",
    "Sends events again, with the same ids and the header `X-Webhook-Replay: 1`, beside new events. The \
     body names `since` (a time) or `after` (an event); with `deadOnly`, neither is necessary. One replay \
     runs at a time.",
    ResponseDoc::new(202, "The replay.", &[Content::Json(Shape::of::<ReplayView>())]),
)
.accepts(Shape::of::<ReplayRequestSpec>())
.fails(&[&GONE, &REPLAY_IN_PROGRESS]);

pub(crate) async fn replay(mut cx: OperationContext) -> Result<Reply> {
    let ReplayRequestSpec(spec) = cx.read(|input| ReplayRequestSpec::read(&mut input.body))?;
    let (caller, id, recorder) = (cx.caller()?, cx.path("webhook"), cx.recorder(accepted));
    accepted(&cx.resources.webhooks.replay(caller, id, &spec, recorder.as_deref()).await?)
}

fn accepted(replay: &Replay) -> Result<Reply> {
    Reply::accepted(&ReplayView::of(replay))
}

pub(crate) static DEAD_LETTER_REPLAY: OperationDoc = OperationDoc::new(
    DocTag::Webhooks,
    "Replay a dead letter",
    "Sends the event again, with all attempts of the retry policy.",
    ResponseDoc::new(204, "The delivery is scheduled.", &[]),
);

pub(crate) async fn replay_dead_letter(cx: OperationContext) -> Result<Reply> {
    let (caller, id, event) = (cx.caller()?, cx.path("webhook"), cx.path("deadLetter"));
    let recorder = cx.recorder(|(): &()| Ok(Reply::no_content()));
    let webhooks = &cx.resources.webhooks;
    webhooks.replay_dead_letter(caller, id, event, recorder.as_deref()).await?;
    Ok(Reply::no_content())
}

pub(crate) static DEAD_LETTER_SKIP: OperationDoc = OperationDoc::new(
    DocTag::Webhooks,
    "Skip a failing event",
    "Makes the event for whose delivery a session waits a dead letter at once, so that the later events \
     of the session are sent. An event that is not such a failing event is not found.",
    ResponseDoc::new(204, "The event will be skipped.", &[]),
);

pub(crate) async fn skip(cx: OperationContext) -> Result<Reply> {
    let (caller, id, event) = (cx.caller()?, cx.path("webhook"), cx.path("deadLetter"));
    let recorder = cx.recorder(|(): &()| Ok(Reply::no_content()));
    cx.resources.webhooks.skip(caller, id, event, recorder.as_deref()).await?;
    Ok(Reply::no_content())
}
