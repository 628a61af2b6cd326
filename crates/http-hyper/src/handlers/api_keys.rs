//! The endpoints of API keys.

use domain::{
    ApiKey, ApiKeys, Error, KeyId, KeySpec, NO_SUCH_SESSION, NewApiKey, Violation,
    ports::{KeyPage, Position},
};

use crate::{
    api::context::Context,
    request::conditions::IfMatch,
    request::cursor::CursorPosition,
    request::page::Page,
    response::problem::{Problem, Result},
    response::reply::Reply,
    wire::{ApiKeySpec, ApiKeyView, ListView, NewApiKeyView},
};

pub(crate) async fn list(mut cx: Context) -> Result<Reply> {
    let (caller, all) = (cx.caller()?.clone(), cx.list("api-keys")?);
    let page = cx.read(|input| Page::read(&mut input.query, all))?;
    let after = page.after.map(|position| Position {
        created_at: position.created_at,
        id: KeyId::from_bits(position.bits),
    });
    let spec = KeyPage { after, limit: page.with_one_more() };
    let (keys, next_cursor) = page.paginate(cx.app.keys.list(&caller, &spec).await?, position);
    let data: Vec<_> = keys.iter().map(|key| ApiKeyView::of(key, &cx.app.keys)).collect();
    Reply::ok(&ListView { data, next_cursor })
}

fn position(key: &ApiKey) -> CursorPosition {
    CursorPosition { created_at: key.created_at, bits: key.id.bits() }
}

pub(crate) async fn create(mut cx: Context) -> Result<Reply> {
    let now = cx.app.environment.now();
    let ApiKeySpec { key, pointers } = ApiKeySpec::read(&mut cx.input.body, now);
    // Whoever would grant too much hears so first: 403 depends on no look-up.
    cx.caller()?.may_grant(&key.capabilities)?;
    if let Err(problem) = cx.input.finish() {
        return Err(add_unknown_sessions(problem, &cx, &key, &pointers).await?);
    }
    let new = cx.keys(created).create(cx.caller()?, key).await?;
    created(&cx.app.keys, &new)
}

/// The same problem, with a fault for each session that is none of the caller's: all faults of a body are
/// told at once.
async fn add_unknown_sessions(
    problem: Problem,
    cx: &Context,
    key: &KeySpec,
    pointers: &[String],
) -> Result<Problem> {
    let Problem::Domain(Error::Validation(mut faults)) = problem else { return Ok(problem) };
    let unknown = cx.app.keys.unknown_sessions(cx.caller()?, key).await?;
    let pointers = unknown.into_iter().filter_map(|position| pointers.get(position));
    faults.extend(pointers.map(|pointer| Violation::new(pointer, NO_SUCH_SESSION)));
    Ok(Error::Validation(faults).into())
}

fn created(keys: &ApiKeys, new: &NewApiKey) -> Result<Reply> {
    let view = ApiKeyView::of(&new.key, keys);
    let location = format!("/api/v1/api-keys/{}", view.id);
    Reply::created(&location, &NewApiKeyView { key: new.text.clone(), view })
}

pub(crate) async fn view(cx: Context) -> Result<Reply> {
    let key = cx.app.keys.view(cx.caller()?, cx.path("key")).await?;
    Reply::ok(&ApiKeyView::of(&key, &cx.app.keys))
}

pub(crate) async fn revoke(cx: Context) -> Result<Reply> {
    let (caller, id) = (cx.caller()?, cx.path("key"));
    if let IfMatch::OneOf(_) = cx.if_match() {
        // Keys carry no tags, so that none can match.
        cx.app.keys.view(caller, id).await?;
        return Err(Error::PreconditionFailed.into());
    }
    cx.app.keys.revoke(caller, id).await?;
    Ok(Reply::no_content())
}
