//! The handlers of sessions, each below its operation doc.

use domain::{Session, Version};

use crate::{
    api::OperationContext,
    openapi::{
        failures::{LOGGING_OUT, METADATA_FULL, SESSIONS_FULL, TOO_MANY_PAIRINGS, UNPAIRED},
        operation_doc::{Content, DocTag, OperationDoc, ResponseDoc, Shape},
    },
    request::conditions::IfMatch,
    response::{etag::session_tag, problem::Result, reply::Reply},
    wire::{ListView, SessionPageSpec, SessionPatch, SessionSpec, SessionView},
};

const SESSION: &[Content] = &[Content::Json(Shape::of::<SessionView<'_>>())];

pub(crate) static SESSION_LIST: OperationDoc = OperationDoc::new(
    DocTag::Sessions,
    "List sessions",
    "Newest first, in pages. Sessions must match all given filters. A cursor is valid with the same filters \
     only.",
    ResponseDoc::new(200, "A page.", &[Content::Json(Shape::of::<ListView<SessionView<'_>>>())]),
);

pub(crate) async fn list(mut cx: OperationContext) -> Result<Reply> {
    let (caller, all) = (cx.caller()?.clone(), cx.list("sessions")?);
    let page = cx.read(|input| SessionPageSpec::read(&mut input.query, all))?;
    let sessions = match page.spec() {
        Some(spec) => cx.resources.sessions.list(&caller, &spec).await?,
        None => Vec::new(),
    };
    Reply::ok(&page.show(&sessions))
}

pub(crate) static SESSION_CREATE: OperationDoc = OperationDoc::new(
    DocTag::Sessions,
    "Create a session",
    "Every field is optional; the body may be empty. With `start`, pairing begins at once.",
    ResponseDoc::new(201, "The session.", SESSION).tagged().located(),
)
.accepts(Shape::of::<SessionSpec>())
.fails(&[&SESSIONS_FULL, &METADATA_FULL, &TOO_MANY_PAIRINGS]);

pub(crate) async fn create(mut cx: OperationContext) -> Result<Reply> {
    let spec = cx.read(|input| SessionSpec::read(&mut input.body))?;
    let (caller, recorder) = (cx.caller()?, cx.recorder(created));
    let sessions = &cx.resources.sessions;
    let session = sessions.create(caller, spec.settings, spec.start, recorder.as_deref()).await?;
    created(&session)
}

fn created(session: &Session) -> Result<Reply> {
    let location = format!("/api/v1/sessions/{}", session.id);
    Ok(Reply::created(&location, &SessionView::of(session))?.tagged(session_tag(session)))
}

pub(crate) static SESSION_VIEW: OperationDoc = OperationDoc::new(
    DocTag::Sessions,
    "View a session",
    "`desired` is the state that you asked for, `status` the current state, `statusReason` the reason for a \
     difference.",
    ResponseDoc::new(200, "The session.", SESSION).tagged(),
);

pub(crate) async fn view(cx: OperationContext) -> Result<Reply> {
    let session = cx.resources.sessions.view(cx.caller()?, cx.path("session")).await?;
    tagged(&session)
}

pub(crate) static SESSION_UPDATE: OperationDoc = OperationDoc::new(
    DocTag::Sessions,
    "Change a session's settings",
    "By a JSON merge patch; `metadata` is merged key by key. A patch without effect does not change \
     `version`.",
    ResponseDoc::new(200, "The changed session.", SESSION).tagged(),
)
.accepts(Shape::of::<SessionPatch>())
.fails(&[&METADATA_FULL]);

pub(crate) async fn update(mut cx: OperationContext) -> Result<Reply> {
    let patch = cx.read(|input| SessionPatch::read(&mut input.body))?;
    let (caller, id, expected_version) =
        (cx.caller()?, cx.path("session"), expected_version(&cx).await?);
    let session =
        cx.resources.sessions.update(caller, id, expected_version, patch.settings).await?;
    tagged(&session)
}

pub(crate) static SESSION_DELETE: OperationDoc = OperationDoc::new(
    DocTag::Sessions,
    "Delete a session",
    "After the response the session no longer exists; a second delete is 404. The device is then unlinked \
     from WhatsApp and its keys are wiped, with retries for up to an hour. The response never waits for \
     WhatsApp.",
    ResponseDoc::new(204, "The session is deleted.", &[]),
);

pub(crate) async fn delete(cx: OperationContext) -> Result<Reply> {
    let (caller, id, expected_version) =
        (cx.caller()?, cx.path("session"), expected_version(&cx).await?);
    cx.resources.sessions.delete(caller, id, expected_version).await?;
    Ok(Reply::no_content())
}

pub(crate) static SESSION_START: OperationDoc = OperationDoc::new(
    DocTag::Sessions,
    "Connect a paired session",
    "Has no effect on a running session.",
    ResponseDoc::new(200, "The session, starting.", SESSION).tagged(),
)
.fails(&[&UNPAIRED, &LOGGING_OUT]);

pub(crate) async fn start(cx: OperationContext) -> Result<Reply> {
    let (caller, id, recorder) = (cx.caller()?, cx.path("session"), cx.recorder(tagged));
    tagged(&cx.resources.sessions.start(caller, id, recorder.as_deref()).await?)
}

pub(crate) static SESSION_STOP: OperationDoc = OperationDoc::new(
    DocTag::Sessions,
    "Disconnect a session",
    "The session stays paired. Also ends a pairing. Has no effect on a stopped session.",
    ResponseDoc::new(200, "The session, stopping.", SESSION).tagged(),
);

pub(crate) async fn stop(cx: OperationContext) -> Result<Reply> {
    let (caller, id, recorder) = (cx.caller()?, cx.path("session"), cx.recorder(tagged));
    tagged(&cx.resources.sessions.stop(caller, id, recorder.as_deref()).await?)
}

pub(crate) static SESSION_RESTART: OperationDoc = OperationDoc::new(
    DocTag::Sessions,
    "Reconnect a paired session",
    "The session stays paired.",
    ResponseDoc::new(200, "The session, starting.", SESSION).tagged(),
)
.fails(&[&UNPAIRED, &LOGGING_OUT]);

pub(crate) async fn restart(cx: OperationContext) -> Result<Reply> {
    let (caller, id, recorder) = (cx.caller()?, cx.path("session"), cx.recorder(tagged));
    tagged(&cx.resources.sessions.restart(caller, id, recorder.as_deref()).await?)
}

pub(crate) static SESSION_LOGOUT: OperationDoc = OperationDoc::new(
    DocTag::Sessions,
    "Unlink a session's device",
    "Keeps the session. Waits up to 10 s for WhatsApp, then returns the current state. Has no effect on a \
     session without a linked phone.",
    ResponseDoc::new(200, "The session.", SESSION).tagged(),
);

pub(crate) async fn logout(cx: OperationContext) -> Result<Reply> {
    let (caller, id, recorder) = (cx.caller()?, cx.path("session"), cx.recorder(tagged));
    tagged(&cx.resources.sessions.logout(caller, id, recorder.as_deref()).await?)
}

/// Returns a session with its entity tag.
fn tagged(session: &Session) -> Result<Reply> {
    Ok(Reply::ok(&SessionView::of(session))?.tagged(session_tag(session)))
}

/// A version that no session has; versions start at 1.
const NO_VERSION: Version = Version(0);

/// Returns the version that the session must still have. Of several versions in `If-Match`, returns
/// the current one; a later change of the session then fails the update.
async fn expected_version(cx: &OperationContext) -> Result<Option<Version>> {
    let IfMatch::OneOf(versions) = cx.if_match() else { return Ok(None) };
    Ok(Some(match versions.as_slice() {
        [] => NO_VERSION,
        [version] => *version,
        many => {
            let now = cx.resources.sessions.view(cx.caller()?, cx.path("session")).await?.version;
            if many.contains(&now) { now } else { NO_VERSION }
        }
    }))
}
