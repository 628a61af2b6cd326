//! The handlers that send messages and make live requests of a session, each below its operation
//! doc.

use std::time::Duration;

use domain::{
    ChatReference, Error, FailureReason, MessageFailure, RateQuota, SendMode, SentMessage,
};
use hyper::StatusCode;

use crate::{
    api::OperationContext,
    idempotency::replayed,
    openapi::{
        failure::Failure,
        failures::UNPAIRED,
        operation_doc::{Content, DocTag, OperationDoc, ResponseDoc, Shape},
    },
    request::query::Query,
    response::{
        problem::{Problem, Result},
        reply::Reply,
    },
    wire::{
        ChatView, ContactCheckView, MessageSpec, MessageView, PresenceSpec, ReadSpec,
        SendResultView,
    },
};

const SENT: &[Content] = &[Content::Json(Shape::of::<SendResultView<'_>>())];

pub(crate) static MESSAGE_SEND: OperationDoc = OperationDoc::new(
    DocTag::Messages,
    "Send a message",
    "Accepts a message durably, under an id at WhatsApp that never changes, and waits up to 10 s until WhatsApp \
     has it. With `async`, does not wait, and accepts the message also while the session is not connected or \
     over its rate.\n\n\
     After a 202 the message will be sent: repeat the request with the same `Idempotency-Key` only. A \
     repetition returns the message as it is then.",
    ResponseDoc::new(200, "WhatsApp has the message.", SENT),
)
.accepts(Shape::of::<MessageSpec>())
.or(&[ResponseDoc::new(202, "The message is queued and will be sent.", SENT)])
.fails(&[&UNPAIRED, &UNDELIVERABLE, &OVER_THE_RATE, &QUEUE_FULL, &NOT_WORKING, &NO_MESSAGES]);

pub(crate) async fn send(mut cx: OperationContext) -> Result<Reply> {
    let now = cx.resources.environment.now();
    let (mode, spec) =
        cx.read(|input| (send_mode(&mut input.query), MessageSpec::read(&mut input.body, now)))?;
    let Some(message) = spec.message else {
        return Err(Problem::internal("a request without a fault has no message"));
    };
    let (caller, session, key) = (cx.caller()?, cx.path("session"), cx.acceptance_key());
    let outbox = &cx.resources.outbox;
    let sent = outbox.send(caller, session, &message, mode, key).await?;
    // The message stays accepted when the wait is cut short, and the response must say so.
    let waited = cx.wait(outbox.wait(caller, session, sent.clone())).await;
    show_sent(&waited.unwrap_or(sent))
}

fn send_mode(query: &mut Query) -> SendMode {
    match query.text("async").as_deref() {
        None | Some("false") => SendMode::Sync,
        Some("" | "true") => SendMode::Async,
        Some(_) => {
            query.fault("async", "must be true or false, or have no value");
            SendMode::Async
        }
    }
}

fn show_sent(sent: &SentMessage) -> Result<Reply> {
    let message = &sent.shown.message;
    if let Some(failure) = message.state.failure() {
        let problem = Problem::NotSent {
            failure,
            wa_message_id: message.wa_id.to_string(),
            outbox_id: message.outbox.as_ref().map(ToString::to_string),
        };
        return if sent.replayed { Ok(replayed(problem.reply())) } else { Err(problem) };
    }
    let view = SendResultView::of(sent);
    let status = if sent.is_queued() { StatusCode::ACCEPTED } else { StatusCode::OK };
    let reply = Reply::json(status, &view)?;
    Ok(if sent.replayed { replayed(reply) } else { reply })
}

pub(crate) static MESSAGE_CANCEL: OperationDoc = OperationDoc::new(
    DocTag::Messages,
    "Cancel a queued message",
    "Ends a message that was never handed to a gateway, so that WhatsApp cannot have it. Has no effect on a \
     cancelled message, and `Idempotency-Key` has no effect.",
    ResponseDoc::new(
        200,
        "The message, with `status` `cancelled`.",
        &[Content::Json(Shape::of::<MessageView<'_>>())],
    ),
)
.fails(&[&HANDED_OVER]);

pub(crate) async fn cancel(cx: OperationContext) -> Result<Reply> {
    let (caller, session) = (cx.caller()?, cx.path("session"));
    let shown = cx.resources.outbox.cancel(caller, session, cx.path("message")).await?;
    Reply::ok(&MessageView::of(session, &shown))
}

pub(crate) static CHAT_READ: OperationDoc = OperationDoc::new(
    DocTag::Messages,
    "Mark messages of a chat as read",
    "Marks the received messages of the chat, up to `upTo` or all of them. With `receipts`, the senders learn \
     this, which needs a connected session. A repetition changes nothing, and `Idempotency-Key` has no effect.",
    ResponseDoc::new(200, "The chat.", &[Content::Json(Shape::of::<ChatView<'_>>())]),
)
.accepts(Shape::of::<ReadSpec>())
.fails(&[&UNPAIRED, &NOT_WORKING, &NO_MESSAGES]);

pub(crate) async fn read(mut cx: OperationContext) -> Result<Reply> {
    let spec = cx.read(|input| ReadSpec::read(&mut input.body))?;
    let (caller, session, chat) = (cx.caller()?, cx.path("session"), cx.path("chat"));
    let ReadSpec { up_to, receipts } = spec;
    let outbox = &cx.resources.outbox;
    let shown = outbox.read_chat(caller, session, chat, up_to.as_deref(), receipts).await?;
    Reply::ok(&ChatView::of(session, &shown))
}

pub(crate) static CHAT_PRESENCE: OperationDoc = OperationDoc::new(
    DocTag::Messages,
    "Show what the account does in a chat",
    "The partner sees \"typing…\" or \"recording…\" for about 10 s, or until `paused`.",
    ResponseDoc::new(204, "The partner can see the activity.", &[]),
)
.accepts(Shape::of::<PresenceSpec>())
.fails(&[&UNPAIRED, &NOT_WORKING, &NO_MESSAGES]);

pub(crate) async fn presence(mut cx: OperationContext) -> Result<Reply> {
    let spec = cx.read(|input| PresenceSpec::read(&mut input.body))?;
    let Some(state) = spec.state else {
        return Err(Problem::internal("a request without a fault has no activity"));
    };
    let (caller, session, chat) = (cx.caller()?, cx.path("session"), cx.path("chat"));
    cx.resources.outbox.show_activity(caller, session, chat, state).await?;
    Ok(Reply::no_content())
}

pub(crate) static CONTACT_CHECK: OperationDoc = OperationDoc::new(
    DocTag::Messages,
    "Check whether a phone number is on WhatsApp",
    "Asks WhatsApp over the session, which must be connected. The answer has the number as WhatsApp writes it.",
    ResponseDoc::new(200, "The answer.", &[Content::Json(Shape::of::<ContactCheckView>())]),
)
.fails(&[&UNPAIRED, &NOT_WORKING, &NO_MESSAGES]);

pub(crate) async fn check(mut cx: OperationContext) -> Result<Reply> {
    let digits = cx.read(|input| phone(&mut input.query))?;
    let Some(digits) = digits else {
        return Err(Problem::internal("a request without a fault has no phone number"));
    };
    let (caller, session) = (cx.caller()?, cx.path("session"));
    let found = cx.resources.outbox.check_contact(caller, session, &digits).await?;
    Reply::ok(&ContactCheckView::of(&digits, found))
}

/// Returns the digits of a phone number.
fn phone(query: &mut Query) -> Option<String> {
    let text = query.text("phone").unwrap_or_default();
    // A `+` of a query is a space.
    let parsed = ChatReference::parse(text.trim_start_matches([' ', '+']));
    if let Ok(ChatReference::Digits(digits)) = parsed {
        return Some(digits);
    }
    query.fault("phone", "must be a phone number: 7 to 15 digits, also after +");
    None
}

pub(crate) static UNDELIVERABLE: Failure = Failure::new(
    "Undeliverable",
    "`undeliverable`: the message was not sent, and is not sent later. `details.reason` says why: \
     `not_on_whatsapp` before the message is accepted, and any other reason after that, with the ids of the \
     message.",
    || Error::Undeliverable(MessageFailure::of(FailureReason::NotOnWhatsapp)).into(),
);

static OVER_THE_RATE: Failure = Failure::new(
    "OverTheMessageRate",
    "`rate_limited`: the session has sent `ratePerMin` or `ratePerHour` messages. Nothing was accepted. Not with \
     `async`.",
    || {
        let minute = Duration::from_secs(60);
        let quota = RateQuota { name: "messages_per_minute", count: 20, window: minute };
        Error::RateLimited { rate_quota: quota, retry_after: Duration::from_secs(12) }.into()
    },
);

static QUEUE_FULL: Failure = Failure::new(
    "MessageQueueFull",
    "`rate_limited`: the session has its maximum number of queued messages. Nothing was accepted.",
    || {
        let minute = Duration::from_secs(60);
        let quota = RateQuota { name: "message_queue", count: 10_000, window: minute };
        Error::RateLimited { rate_quota: quota, retry_after: minute }.into()
    },
);

pub(crate) static NOT_WORKING: Failure = Failure::new(
    "SessionNotConnected",
    "`unavailable` with `Retry-After`: the session is not connected to WhatsApp. Nothing was changed.",
    || {
        let source = "never shown".into();
        Error::Unavailable { retry_after: Duration::from_secs(5), source }.into()
    },
);

static NO_MESSAGES: Failure = Failure::new(
    "NoMessages",
    "`not_implemented`: the gateway of the session sends no messages.",
    || Error::NotImplemented.into(),
);

static HANDED_OVER: Failure = Failure::new(
    "MessageHandedOver",
    "`conflict`: the message was handed to a gateway, or has ended.",
    || Error::conflict("the message was handed over, or has ended").into(),
);
