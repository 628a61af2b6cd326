//! The handlers of sessions.

use std::time::Duration;

use domain::{QrCode, Session, Version};
use hyper::{
    StatusCode,
    header::{self, HeaderValue},
};

use crate::{
    api::OperationContext,
    request::{conditions::IfMatch, negotiate::choose},
    response::{
        etag::session_tag,
        problem::{Problem, Result},
        qr_image,
        reply::Reply,
    },
    wire::{
        IdentityView, PairingCodeSpec, PairingCodeView, QrView, SessionPageSpec, SessionPatch,
        SessionSpec, SessionView,
    },
};

pub(crate) async fn list(mut cx: OperationContext) -> Result<Reply> {
    let (caller, all) = (cx.caller()?.clone(), cx.list("sessions")?);
    let page = cx.read(|input| SessionPageSpec::read(&mut input.query, all))?;
    let sessions = match page.spec() {
        Some(spec) => cx.resources.sessions.list(&caller, &spec).await?,
        None => Vec::new(),
    };
    Reply::ok(&page.show(&sessions))
}

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

pub(crate) async fn view(cx: OperationContext) -> Result<Reply> {
    let session = cx.resources.sessions.view(cx.caller()?, cx.path("session")).await?;
    tagged(&session)
}

pub(crate) async fn update(mut cx: OperationContext) -> Result<Reply> {
    let patch = cx.read(|input| SessionPatch::read(&mut input.body))?;
    let (caller, id, expected_version) =
        (cx.caller()?, cx.path("session"), expected_version(&cx).await?);
    let session =
        cx.resources.sessions.update(caller, id, expected_version, patch.settings).await?;
    tagged(&session)
}

pub(crate) async fn delete(cx: OperationContext) -> Result<Reply> {
    let (caller, id, expected_version) =
        (cx.caller()?, cx.path("session"), expected_version(&cx).await?);
    cx.resources.sessions.delete(caller, id, expected_version).await?;
    Ok(Reply::no_content())
}

pub(crate) async fn identity(cx: OperationContext) -> Result<Reply> {
    let attached = cx.resources.sessions.identity(cx.caller()?, cx.path("session")).await?;
    Reply::ok(&IdentityView::of(&attached))
}

/// Maximum and default of the wait for a QR code, in seconds.
const MAX_QR_WAIT: u32 = 30;
const DEFAULT_QR_WAIT: u32 = 10;

pub(crate) async fn qr(mut cx: OperationContext) -> Result<Reply> {
    let wait = cx.read(|input| input.query.number("wait", 0..=MAX_QR_WAIT, DEFAULT_QR_WAIT))?;
    let wait = Duration::from_secs(wait.into());
    let asked = cx.resources.sessions.qr(cx.caller()?, cx.path("session"), wait);
    let code = cx.wait(asked).await?;
    let reply = render_qr(&code, choose(&cx.headers, &["application/json", SVG, PNG]))?;
    Ok(reply.with(header::VARY, HeaderValue::from_static("accept")))
}

const SVG: &str = "image/svg+xml";
const PNG: &str = "image/png";

fn render_qr(code: &QrCode, shape: &'static str) -> Result<Reply> {
    let qr_image = match shape {
        SVG => qr_image::svg(&code.text).map(String::into_bytes),
        PNG => qr_image::png(&code.text),
        _ => return Reply::ok(&QrView::of(code)),
    };
    Ok(Reply::of(StatusCode::OK, shape, qr_image.map_err(Problem::internal)?))
}

pub(crate) async fn pairing_code(mut cx: OperationContext) -> Result<Reply> {
    let spec = cx.read(|input| PairingCodeSpec::read(&mut input.body))?;
    let asked = cx.resources.sessions.pairing_code(cx.caller()?, cx.path("session"), &spec.phone);
    Reply::ok(&PairingCodeView::of(&cx.wait(asked).await?))
}

pub(crate) async fn start(cx: OperationContext) -> Result<Reply> {
    let (caller, id, recorder) = (cx.caller()?, cx.path("session"), cx.recorder(tagged));
    tagged(&cx.resources.sessions.start(caller, id, recorder.as_deref()).await?)
}

pub(crate) async fn stop(cx: OperationContext) -> Result<Reply> {
    let (caller, id, recorder) = (cx.caller()?, cx.path("session"), cx.recorder(tagged));
    tagged(&cx.resources.sessions.stop(caller, id, recorder.as_deref()).await?)
}

pub(crate) async fn restart(cx: OperationContext) -> Result<Reply> {
    let (caller, id, recorder) = (cx.caller()?, cx.path("session"), cx.recorder(tagged));
    tagged(&cx.resources.sessions.restart(caller, id, recorder.as_deref()).await?)
}

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
