//! The handlers of API keys, each below its operation doc.

use domain::{
    ApiKey, ApiKeys, Error, KeyId, NO_SUCH_SESSION, NewApiKey,
    ports::{KeyPage, Position},
};

use crate::{
    api::OperationContext,
    openapi::{
        failures::KEYS_FULL,
        operation_doc::{Content, DocTag, OperationDoc, ResponseDoc, Shape},
    },
    request::{conditions::IfMatch, cursor::CursorPosition, page::Page},
    response::{
        problem::{Problem, Result},
        reply::Reply,
        violation::Violation,
    },
    wire::{ApiKeySpec, ApiKeyView, ListView, NewApiKeyView},
};

pub(crate) static API_KEY_LIST: OperationDoc = OperationDoc::new(
    DocTag::ApiKeys,
    "List keys",
    "Newest first, in pages. Revoked keys are not listed.",
    ResponseDoc::new(200, "A page.", &[Content::Json(Shape::of::<ListView<ApiKeyView>>())]),
);

pub(crate) async fn list(mut cx: OperationContext) -> Result<Reply> {
    let (caller, all) = (cx.caller()?.clone(), cx.list("api-keys")?);
    let page = cx.read(|input| Page::read(&mut input.query, all))?;
    let after = page.after.map(|position| Position {
        created_at: position.created_at,
        id: KeyId::from_bits(position.bits),
    });
    let spec = KeyPage { after, limit: page.with_one_more() };
    let (keys, next_cursor) =
        page.paginate(cx.resources.keys.list(&caller, &spec).await?, position);
    let data: Vec<_> = keys.iter().map(|key| ApiKeyView::of(key, &cx.resources.keys)).collect();
    Reply::ok(&ListView { data, next_cursor })
}

fn position(key: &ApiKey) -> CursorPosition {
    CursorPosition { created_at: key.created_at, bits: key.id.bits() }
}

pub(crate) static API_KEY_CREATE: OperationDoc = OperationDoc::new(
    DocTag::ApiKeys,
    "Create a key",
    "A key cannot have capabilities that its creator lacks (403). `expiresAt` must be in the future, and \
     `sessions` must belong to your organization; otherwise the response is a validation error.",
    ResponseDoc::new(
        201,
        "The key. `key` is its full text, which no later response contains.",
        &[Content::Json(Shape::of::<NewApiKeyView>())],
    )
    .located(),
)
.accepts(Shape::of::<ApiKeySpec>())
.fails(&[&KEYS_FULL]);

pub(crate) async fn create(mut cx: OperationContext) -> Result<Reply> {
    let now = cx.resources.environment.now();
    let ApiKeySpec { key, pointers } = ApiKeySpec::read(&mut cx.input.body, now);
    let (mut faults, keys) = (cx.input.take_faults(), &cx.resources.keys);
    if !faults.is_empty() {
        // 403 precedes the faults of the body, of which one response reports all, sessions that the
        // caller does not have included.
        let unknown = keys.unknown_sessions(cx.caller()?, &key).await?;
        let pointers = unknown.into_iter().filter_map(|index| pointers.get(index));
        faults.extend(pointers.map(|pointer| Violation::new(pointer, NO_SUCH_SESSION)));
        return Err(Problem::Invalid(faults));
    }
    let recorder = cx.recorder(|new| created(keys, new));
    let new = keys.create(cx.caller()?, key, recorder.as_deref()).await?;
    created(keys, &new)
}

fn created(keys: &ApiKeys, new: &NewApiKey) -> Result<Reply> {
    let view = ApiKeyView::of(&new.key, keys);
    let location = format!("/api/v1/api-keys/{}", view.id);
    Reply::created(&location, &NewApiKeyView { key: new.text.clone(), view })
}

pub(crate) static API_KEY_VIEW: OperationDoc = OperationDoc::new(
    DocTag::ApiKeys,
    "View a key",
    "Without its secret.",
    ResponseDoc::new(200, "The key.", &[Content::Json(Shape::of::<ApiKeyView>())]),
);

pub(crate) async fn view(cx: OperationContext) -> Result<Reply> {
    let key = cx.resources.keys.view(cx.caller()?, cx.path("key")).await?;
    Reply::ok(&ApiKeyView::of(&key, &cx.resources.keys))
}

pub(crate) static API_KEY_REVOKE: OperationDoc = OperationDoc::new(
    DocTag::ApiKeys,
    "Revoke a key",
    "The router that answers rejects the key at once, every other router within one second. Keys have no \
     entity tag, so that an `If-Match` other than `*` never matches.",
    ResponseDoc::new(204, "The key is revoked.", &[]),
);

pub(crate) async fn revoke(cx: OperationContext) -> Result<Reply> {
    let (caller, id) = (cx.caller()?, cx.path("key"));
    if let IfMatch::OneOf(_) = cx.if_match() {
        // Keys have no entity tags, so that no tag matches.
        cx.resources.keys.view(caller, id).await?;
        return Err(Error::PreconditionFailed.into());
    }
    cx.resources.keys.revoke(caller, id).await?;
    Ok(Reply::no_content())
}
