//! The handlers that link a phone to a session and show the linked account, each below its
//! operation doc.

use std::time::Duration;

use domain::{Error, QrCode};
use hyper::{
    HeaderMap, StatusCode,
    header::{self, HeaderValue},
};

use crate::{
    api::OperationContext,
    openapi::{
        failure::Failure,
        failures::{LOGGING_OUT, TOO_MANY_PAIRINGS},
        operation_doc::{Content, DocTag, OperationDoc, ResponseDoc, Shape},
    },
    request::negotiate::choose,
    response::{
        problem::{Problem, Result},
        qr_image,
        reply::Reply,
    },
    wire::{IdentityView, PairingCodeSpec, PairingCodeView, QrView},
};

pub(crate) static SESSION_IDENTITY: OperationDoc = OperationDoc::new(
    DocTag::Pairing,
    "View the account that is linked to a session",
    "From the node that holds the session if the node answers within one second; otherwise the last report, \
     with `connected` false.",
    ResponseDoc::new(200, "The linked account.", &[Content::Json(Shape::of::<IdentityView>())]),
)
.fails(&[&NOT_PAIRED, &NO_IDENTITY_CALL]);

pub(crate) async fn identity(cx: OperationContext) -> Result<Reply> {
    let attached = cx.resources.sessions.identity(cx.caller()?, cx.path("session")).await?;
    Reply::ok(&IdentityView::of(&attached))
}

/// Maximum and default of the wait for a QR code, in seconds.
const MAX_QR_WAIT: u32 = 30;
const DEFAULT_QR_WAIT: u32 = 10;

pub(crate) static SESSION_QR: OperationDoc = OperationDoc::new(
    DocTag::Pairing,
    "Get a QR code that links a phone",
    "Begins a pairing if there is none, and otherwise changes nothing, so that it may be polled. Waits up to \
     `wait` seconds for a code. Returns JSON, or an image if `Accept` prefers one.",
    ResponseDoc::new(
        200,
        "A code.",
        QR_CONTENT,
    )
    .varying(),
)
.fails(&[&NO_CODE_YET, &PAIRED, &PAIRING_ENDED, &LOGGING_OUT, &TOO_MANY_PAIRINGS]);

pub(crate) async fn qr(mut cx: OperationContext) -> Result<Reply> {
    let wait = cx.read(|input| input.query.number("wait", 0..=MAX_QR_WAIT, DEFAULT_QR_WAIT))?;
    let wait = Duration::from_secs(wait.into());
    let asked = cx.resources.sessions.qr(cx.caller()?, cx.path("session"), wait);
    let code = cx.wait(asked).await?;
    let reply = render_qr_as_accepted(&code, &cx.headers)?;
    Ok(reply.with(header::VARY, HeaderValue::from_static("accept")))
}

/// The content of a response with a QR code.
pub(super) const QR_CONTENT: &[Content] = &[
    Content::Json(Shape::of::<QrView>()),
    Content::Text("image/svg+xml", "<?xml version=\"1.0\" standalone=\"yes\"?>…"),
    Content::Bytes("image/png"),
];

const SVG: &str = "image/svg+xml";
const PNG: &str = "image/png";

/// Renders a QR code as JSON or as an image, as the header `Accept` prefers.
pub(super) fn render_qr_as_accepted(code: &QrCode, headers: &HeaderMap) -> Result<Reply> {
    render_qr(code, choose(headers, &["application/json", SVG, PNG]))
}

fn render_qr(code: &QrCode, shape: &'static str) -> Result<Reply> {
    let qr_image = match shape {
        SVG => qr_image::svg(&code.text).map(String::into_bytes),
        PNG => qr_image::png(&code.text),
        _ => return Reply::ok(&QrView::of(code)),
    };
    Ok(Reply::of(StatusCode::OK, shape, qr_image.map_err(Problem::internal)?))
}

pub(crate) static SESSION_PAIRING_CODE: OperationDoc = OperationDoc::new(
    DocTag::Pairing,
    "Get a code to type on a phone",
    "Adds a code for this phone to the pairing, and begins a pairing if there is none. A further request for \
     the same phone returns the same code until the code expires.",
    ResponseDoc::new(200, "A code.", &[Content::Json(Shape::of::<PairingCodeView>())]),
)
.accepts(Shape::of::<PairingCodeSpec>())
.fails(&[&PAIRED, &PAIRING_ENDED, &CODE_REFUSED, &LOGGING_OUT, &TOO_MANY_PAIRINGS]);

pub(crate) async fn pairing_code(mut cx: OperationContext) -> Result<Reply> {
    let spec = cx.read(|input| PairingCodeSpec::read(&mut input.body))?;
    let asked = cx.resources.sessions.pairing_code(cx.caller()?, cx.path("session"), &spec.phone);
    Reply::ok(&PairingCodeView::of(&cx.wait(asked).await?))
}

static PAIRED: Failure = Failure::new("Paired", "`conflict`: a phone is linked already.", || {
    Error::conflict("the session is paired; log it out to pair it again").into()
});

pub(super) static PAIRING_ENDED: Failure =
    Failure::new("PairingEnded", "`conflict`: the pairing ended without a link.", || {
        Error::PairingEnded.into()
    });

pub(super) static CODE_REFUSED: Failure = Failure::new(
    "CodeRefused",
    "`conflict`: WhatsApp gave no code; `statusReason` states the reason.",
    || Error::NoPairingCode.into(),
);

static NOT_PAIRED: Failure =
    Failure::new("NobodyAttached", "`not_found`: no phone is linked.", || {
        Error::NotFound { noun: "identity" }.into()
    });

pub(super) static NO_CODE_YET: Failure = Failure::new(
    "NoCodeYet",
    "`not_found` with `Retry-After`: no code was available in time.",
    || Error::NotYet { noun: "QR code", retry_after: Duration::from_secs(2) }.into(),
);

static NO_IDENTITY_CALL: Failure = Failure::new(
    "NotImplemented",
    "`not_implemented`: the gateway does not support this request.",
    || Error::NotImplemented.into(),
);
