//! The operation docs of sessions.

use std::time::Duration;

use domain::{Error, RateQuota};

use crate::openapi::{
    failure::Failure,
    failures::{METADATA_FULL, SESSIONS_FULL},
    operation_doc::{Content, DocTag, OperationDoc, ResponseDoc, Shape},
};
use crate::wire::{
    IdentityView, ListView, PairingCodeSpec, PairingCodeView, QrView, SessionPatch, SessionSpec,
    SessionView,
};

const SESSION: &[Content] = &[Content::Json(Shape::of::<SessionView<'_>>())];

pub(crate) static SESSION_LIST: OperationDoc = OperationDoc::new(
    DocTag::Sessions,
    "List sessions",
    "Newest first, in pages. Sessions must match all given filters. A cursor is valid with the same filters \
     only.",
    ResponseDoc::new(200, "A page.", &[Content::Json(Shape::of::<ListView<SessionView<'_>>>())]),
);

pub(crate) static SESSION_CREATE: OperationDoc = OperationDoc::new(
    DocTag::Sessions,
    "Create a session",
    "Every field is optional; the body may be empty. With `start`, pairing begins at once.",
    ResponseDoc::new(201, "The session.", SESSION).tagged().located(),
)
.accepts(Shape::of::<SessionSpec>())
.fails(&[&SESSIONS_FULL, &METADATA_FULL, &TOO_MANY_PAIRINGS]);

pub(crate) static SESSION_VIEW: OperationDoc = OperationDoc::new(
    DocTag::Sessions,
    "View a session",
    "`desired` is the state that you asked for, `status` the current state, `statusReason` the reason for a \
     difference.",
    ResponseDoc::new(200, "The session.", SESSION).tagged(),
);

pub(crate) static SESSION_UPDATE: OperationDoc = OperationDoc::new(
    DocTag::Sessions,
    "Change a session's settings",
    "By a JSON merge patch; `metadata` is merged key by key. A patch without effect does not change \
     `version`.",
    ResponseDoc::new(200, "The changed session.", SESSION).tagged(),
)
.accepts(Shape::of::<SessionPatch>())
.fails(&[&METADATA_FULL]);

pub(crate) static SESSION_DELETE: OperationDoc = OperationDoc::new(
    DocTag::Sessions,
    "Delete a session",
    "After the response the session no longer exists; a second delete is 404. The device is then unlinked \
     from WhatsApp and its keys are wiped, with retries for up to an hour. The response never waits for \
     WhatsApp.",
    ResponseDoc::new(204, "The session is deleted.", &[]),
);

pub(crate) static SESSION_START: OperationDoc = OperationDoc::new(
    DocTag::Sessions,
    "Connect a paired session",
    "Has no effect on a running session.",
    ResponseDoc::new(200, "The session, starting.", SESSION).tagged(),
)
.fails(&[&UNPAIRED, &LOGGING_OUT]);

pub(crate) static SESSION_STOP: OperationDoc = OperationDoc::new(
    DocTag::Sessions,
    "Disconnect a session",
    "The session stays paired. Also ends a pairing. Has no effect on a stopped session.",
    ResponseDoc::new(200, "The session, stopping.", SESSION).tagged(),
);

pub(crate) static SESSION_RESTART: OperationDoc = OperationDoc::new(
    DocTag::Sessions,
    "Reconnect a paired session",
    "The session stays paired.",
    ResponseDoc::new(200, "The session, starting.", SESSION).tagged(),
)
.fails(&[&UNPAIRED, &LOGGING_OUT]);

pub(crate) static SESSION_LOGOUT: OperationDoc = OperationDoc::new(
    DocTag::Sessions,
    "Unlink a session's device",
    "Keeps the session. Waits up to 10 s for WhatsApp, then returns the current state. Has no effect on a \
     session without a linked phone.",
    ResponseDoc::new(200, "The session.", SESSION).tagged(),
);

pub(crate) static SESSION_IDENTITY: OperationDoc = OperationDoc::new(
    DocTag::Pairing,
    "View the account that is linked to a session",
    "From the node that holds the session if the node answers within one second; otherwise the last report, \
     with `connected` false.",
    ResponseDoc::new(200, "The linked account.", &[Content::Json(Shape::of::<IdentityView>())]),
)
.fails(&[&NOBODY, &NO_IDENTITY]);

pub(crate) static SESSION_QR: OperationDoc = OperationDoc::new(
    DocTag::Pairing,
    "Get a QR code that links a phone",
    "Begins a pairing if there is none, and otherwise changes nothing, so that it may be polled. Waits up to \
     `wait` seconds for a code. Returns JSON, or an image if `Accept` prefers one.",
    ResponseDoc::new(
        200,
        "A code.",
        &[
            Content::Json(Shape::of::<QrView>()),
            Content::Text("image/svg+xml", "<?xml version=\"1.0\" standalone=\"yes\"?>…"),
            Content::Bytes("image/png"),
        ],
    )
    .varying(),
)
.fails(&[&NO_CODE_YET, &PAIRED, &PAIRING_ENDED, &LOGGING_OUT, &TOO_MANY_PAIRINGS]);

pub(crate) static SESSION_PAIRING_CODE: OperationDoc = OperationDoc::new(
    DocTag::Pairing,
    "Get a code to type on a phone",
    "Adds a code for this phone to the pairing, and begins a pairing if there is none. A further request for \
     the same phone returns the same code until the code expires.",
    ResponseDoc::new(200, "A code.", &[Content::Json(Shape::of::<PairingCodeView>())]),
)
.accepts(Shape::of::<PairingCodeSpec>())
.fails(&[&PAIRED, &PAIRING_ENDED, &CODE_REFUSED, &LOGGING_OUT, &TOO_MANY_PAIRINGS]);

static UNPAIRED: Failure =
    Failure::new("Unpaired", "`conflict`: no phone is linked.", || Error::NotPaired.into());

static PAIRED: Failure = Failure::new("Paired", "`conflict`: a phone is linked already.", || {
    Error::conflict("the session is paired; log it out to pair it again").into()
});

static PAIRING_ENDED: Failure =
    Failure::new("PairingEnded", "`conflict`: the pairing ended without a code.", || {
        Error::PairingEnded.into()
    });

static CODE_REFUSED: Failure = Failure::new(
    "CodeRefused",
    "`conflict`: WhatsApp gave no code; `statusReason` states the reason.",
    || Error::NoPairingCode.into(),
);

static LOGGING_OUT: Failure =
    Failure::new("LoggingOut", "`conflict`: WhatsApp has not confirmed a logout yet.", || {
        let message = "the session is still being logged out";
        Error::Conflict { message, retry_after: Some(Duration::from_secs(2)) }.into()
    });

static TOO_MANY_PAIRINGS: Failure = Failure::new(
    "TooManyPairings",
    "`rate_limited`: too many pairing attempts in an hour, of this session, of this phone or of the \
     organization.",
    || {
        let quota = RateQuota { name: "pairing", count: 10, window: Duration::from_secs(3600) };
        Error::RateLimited { rate_quota: quota, retry_after: Duration::from_secs(1200) }.into()
    },
);

static NOBODY: Failure = Failure::new("NobodyAttached", "`not_found`: no phone is linked.", || {
    Error::NotFound { noun: "identity" }.into()
});

static NO_CODE_YET: Failure = Failure::new(
    "NoCodeYet",
    "`not_found` with `Retry-After`: no code was available in time.",
    || Error::NotYet { noun: "QR code", retry_after: Duration::from_secs(2) }.into(),
);

static NO_IDENTITY: Failure = Failure::new(
    "NotImplemented",
    "`not_implemented`: the gateway does not support this request.",
    || Error::NotImplemented.into(),
);
