//! The handlers that read chats and messages, each below its operation doc.

use crate::{
    api::OperationContext,
    openapi::operation_doc::{Content, DocTag, OperationDoc, ResponseDoc, Shape},
    response::{problem::Result, reply::Reply},
    wire::{ChatPageSpec, ChatView, ListView, MessagePageSpec, MessageView, narrowing},
};

pub(crate) static CHAT_LIST: OperationDoc = OperationDoc::new(
    DocTag::Messages,
    "List chats",
    "By last activity, newest first, in pages. Works on a stopped session: the store has the chats. A chat \
     that gets a message while you page moves to the front, and no chat is missing.",
    ResponseDoc::new(200, "A page.", &[Content::Json(Shape::of::<ListView<ChatView<'_>>>())]),
);

pub(crate) async fn chats(mut cx: OperationContext) -> Result<Reply> {
    let (caller, session) = (cx.caller()?.clone(), cx.path("session").to_owned());
    let all = cx.list("chats")?.with_filter("session", &session);
    let page = cx.read(|input| ChatPageSpec::read(&mut input.query, all))?;
    let found = cx.resources.chats.list(&caller, &session, &page.spec()).await?;
    Reply::ok(&page.show(&session, &found))
}

pub(crate) static CHAT_VIEW: OperationDoc = OperationDoc::new(
    DocTag::Messages,
    "View a chat",
    "By its id, a phone number or an address. A chat has one id and many names: a phone number and a private \
     address that belong to one account lead to one chat.",
    ResponseDoc::new(200, "The chat.", &[Content::Json(Shape::of::<ChatView<'_>>())]),
);

pub(crate) async fn chat(cx: OperationContext) -> Result<Reply> {
    let (session, chat) = (cx.path("session"), cx.path("chat"));
    let found = cx.resources.chats.view(cx.caller()?, session, chat).await?;
    Reply::ok(&ChatView::of(session, &found))
}

pub(crate) static MESSAGE_LIST: OperationDoc = OperationDoc::new(
    DocTag::Messages,
    "List the messages of a chat",
    "Newest first by the time at WhatsApp, then by the order of arrival, in pages. A cursor stays valid while \
     messages arrive.",
    ResponseDoc::new(200, "A page.", MESSAGES),
);

pub(crate) async fn of_chat(mut cx: OperationContext) -> Result<Reply> {
    let (caller, session) = (cx.caller()?.clone(), cx.path("session").to_owned());
    let chat = cx.path("chat").to_owned();
    let all = cx.list("chat-messages")?.with_filter("session", &session).with_filter("chat", &chat);
    let page = cx.read(|input| MessagePageSpec::read_of_chat(&mut input.query, all))?;
    let found = cx.resources.messages.list_of_chat(&caller, &session, &chat, &page.spec()).await?;
    Reply::ok(&page.show(&session, &found))
}

pub(crate) static MESSAGE_LIST_ALL: OperationDoc = OperationDoc::new(
    DocTag::Messages,
    "List the messages of all chats",
    "The messages of all chats, newest first, in pages. `status` finds what waits or has failed, `reference` \
     what you sent with a reference of yours.",
    ResponseDoc::new(200, "A page.", MESSAGES),
);

pub(crate) async fn list(mut cx: OperationContext) -> Result<Reply> {
    let (caller, session) = (cx.caller()?.clone(), cx.path("session").to_owned());
    let all = cx.list("messages")?.with_filter("session", &session);
    let page = cx.read(|input| MessagePageSpec::read_of_session(&mut input.query, all))?;
    let found = cx.resources.messages.list(&caller, &session, &page.spec()).await?;
    Reply::ok(&page.show(&session, &found))
}

pub(crate) static MESSAGE_VIEW: OperationDoc = OperationDoc::new(
    DocTag::Messages,
    "View a message",
    "By its `waMessageId`, which is unique within a chat and a sender only: `chat` and `sender` narrow it. \
     Without them, the account's own message comes first, then the earliest.",
    ResponseDoc::new(200, "The message.", &[Content::Json(Shape::of::<MessageView<'_>>())]),
);

pub(crate) async fn view(mut cx: OperationContext) -> Result<Reply> {
    let (caller, session) = (cx.caller()?.clone(), cx.path("session").to_owned());
    let narrowing = cx.read(|input| narrowing(&mut input.query))?;
    let id = cx.path("message");
    let found = cx.resources.messages.view(&caller, &session, id, &narrowing).await?;
    Reply::ok(&MessageView::of(&session, &found))
}

const MESSAGES: &[Content] = &[Content::Json(Shape::of::<ListView<MessageView<'_>>>())];
