//! The handlers for the holder of a share link, each below its operation doc. The page of the holder
//! calls them in the browser that opened the link.
//!
//! Decision: ADR 0056.

use std::time::Duration;

use domain::{Error, Version};
use hyper::header::{self, HeaderValue};

use crate::{
    api::{LINK_COOKIE, OperationContext},
    browser::secret,
    handlers::pairing::{
        CODE_REFUSED, NO_CODE_YET, PAIRING_ENDED, QR_CONTENT, render_qr_as_accepted,
    },
    openapi::{
        failure::Failure,
        failures::{LOGGING_OUT, TOO_MANY_PAIRINGS},
        operation_doc::{Content, DocTag, OperationDoc, ResponseDoc, Shape},
    },
    response::{
        problem::{Problem, Result},
        reply::Reply,
    },
    wire::{LinkCodeSpec, LinkProgressView, LinkSecretSpec, PairingCodeView},
};

pub(crate) static LINK_OPEN: OperationDoc = OperationDoc::new(
    DocTag::Pairing,
    "Open a share link in this browser",
    "For the page of the link, which takes the secret from the fragment of its URL. The first browser that \
     sends the secret gets a cookie, and the link is bound to that browser. A repetition in the same browser \
     changes nothing.",
    ResponseDoc::new(204, "The link is open in this browser.", &[]).setting_cookie(),
)
.accepts(Shape::of::<LinkSecretSpec>());

pub(crate) async fn open(mut cx: OperationContext) -> Result<Reply> {
    let LinkSecretSpec { secret } = cx.read(|input| LinkSecretSpec::read(&mut input.body))?;
    let url = &cx.resources.browser.public_url;
    let known = LINK_COOKIE.read(&cx.headers, url).and_then(secret::digest);
    let (cookie, digest) = secret::generate()?;
    let opened = cx.resources.links.open(&secret, known.as_ref(), digest).await?;
    cx.connection.mark_authenticated();
    let reply = Reply::no_content();
    if !opened.is_first {
        return Ok(reply);
    }
    let life = cx.resources.environment.now().until(opened.removed_at);
    let cookie = LINK_COOKIE.set(url, &cookie, life);
    let cookie = cookie.ok_or_else(|| Problem::internal("the cookie is no header"))?;
    Ok(reply.with(header::SET_COOKIE, cookie))
}

/// Maximum of a wait, in seconds.
const MAX_WAIT: u32 = 30;
/// Default of the wait for a QR code, in seconds.
const DEFAULT_QR_WAIT: u32 = 10;

pub(crate) static LINK_STATE: OperationDoc = OperationDoc::new(
    DocTag::Pairing,
    "View the progress of a share link",
    "With the `version` of an earlier response, the response waits up to `wait` seconds for a change. The \
     end of a link stays readable for an hour; a link that expired or was revoked is not found.",
    ResponseDoc::new(
        200,
        "The progress.",
        &[Content::Json(Shape::of::<LinkProgressView<'static>>())],
    ),
);

pub(crate) async fn state(mut cx: OperationContext) -> Result<Reply> {
    let (wait, known) = cx.read(|input| {
        let wait = input.query.number("wait", 0..=MAX_WAIT, 0);
        let version = input.query.text("version");
        let is_number = |text: &&String| text.bytes().all(|byte| byte.is_ascii_digit());
        let known = version.as_ref().map(|text| {
            Some(text).filter(is_number).and_then(|text| text.parse().ok()).map(Version)
        });
        if known == Some(None) {
            input.query.fault("version", "is not the version of a response");
        }
        (Duration::from_secs(wait.into()), known.flatten())
    })?;
    let asked = cx.resources.links.progress(cx.caller()?, known, wait);
    Reply::ok(&LinkProgressView::of(&cx.wait(asked).await?))
}

pub(crate) static LINK_QR: OperationDoc = OperationDoc::new(
    DocTag::Pairing,
    "Get a QR code for the phone of a share link's holder",
    "As the QR code of a session. Begins a pairing if there is none, which counts as one of the three \
     attempts of the link.",
    ResponseDoc::new(200, "A code.", QR_CONTENT).varying(),
)
.fails(&[&NO_CODE_YET, &METHOD_NOT_OFFERED, &PAIRING_ENDED, &LOGGING_OUT, &TOO_MANY_PAIRINGS]);

pub(crate) async fn qr(mut cx: OperationContext) -> Result<Reply> {
    let wait = cx.read(|input| input.query.number("wait", 0..=MAX_WAIT, DEFAULT_QR_WAIT))?;
    let asked = cx.resources.links.qr(cx.caller()?, Duration::from_secs(wait.into()));
    let code = cx.wait(asked).await?;
    let reply = render_qr_as_accepted(&code, &cx.headers)?;
    Ok(reply.with(header::VARY, HeaderValue::from_static("accept")))
}

pub(crate) static LINK_PAIRING_CODE: OperationDoc = OperationDoc::new(
    DocTag::Pairing,
    "Get a code to type on the phone of a share link's holder",
    "As the pairing code of a session. If the link names a phone, `phone` may be absent and cannot be \
     another one. Begins a pairing if there is none, which counts as one of the three attempts of the link.",
    ResponseDoc::new(200, "A code.", &[Content::Json(Shape::of::<PairingCodeView>())]),
)
.accepts(Shape::of::<LinkCodeSpec>())
.fails(&[&METHOD_NOT_OFFERED, &PAIRING_ENDED, &CODE_REFUSED, &LOGGING_OUT, &TOO_MANY_PAIRINGS]);

pub(crate) async fn pairing_code(mut cx: OperationContext) -> Result<Reply> {
    let spec = cx.read(|input| LinkCodeSpec::read(&mut input.body))?;
    let asked = cx.resources.links.pairing_code(cx.caller()?, spec.phone.as_deref());
    Reply::ok(&PairingCodeView::of(&cx.wait(asked).await?))
}

static METHOD_NOT_OFFERED: Failure = Failure::new(
    "MethodNotOffered",
    "`conflict`: the link does not allow this way of linking.",
    || Error::conflict("the link does not allow this way of linking").into(),
);
