//! What the rows of sessions say of themselves.

use std::time::Duration;

use domain::{Error, RateQuota};

use crate::openapi::{
    failures::{Failure, METADATA_FULL, SESSIONS_FULL},
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
    "Newest first, in pages. All conditions that are given hold; a cursor goes on under the conditions \
     it was given under.",
    ResponseDoc::new(200, "A page.", &[Content::Json(Shape::of::<ListView<SessionView<'_>>>())]),
);

pub(crate) static SESSION_CREATE: OperationDoc = OperationDoc::new(
    DocTag::Sessions,
    "Make a session",
    "Every field is optional, an empty body is fine. With `start` its pairing begins at once.",
    ResponseDoc::new(201, "The session.", SESSION).tagged().located(),
)
.accepts(Shape::of::<SessionSpec>())
.fails(&[&SESSIONS_FULL, &METADATA_FULL, &TOO_MANY_PAIRINGS]);

pub(crate) static SESSION_VIEW: OperationDoc = OperationDoc::new(
    DocTag::Sessions,
    "View a session",
    "`desired` is what you want, `status` what is, `statusReason` why they differ.",
    ResponseDoc::new(200, "The session.", SESSION).tagged(),
);

pub(crate) static SESSION_UPDATE: OperationDoc = OperationDoc::new(
    DocTag::Sessions,
    "Change a session's settings",
    "By a JSON merge patch; `metadata` merges key by key. What changes nothing is no change: `version` \
     stays.",
    ResponseDoc::new(200, "The session as it is now.", SESSION).tagged(),
)
.accepts(Shape::of::<SessionPatch>())
.fails(&[&METADATA_FULL]);

pub(crate) static SESSION_DELETE: OperationDoc = OperationDoc::new(
    DocTag::Sessions,
    "Delete a session",
    "Gone for you with the answer; a second delete is 404. The device is then unlinked on WhatsApp and \
     its keys wiped, retried for up to an hour. Never waits for WhatsApp.",
    ResponseDoc::new(204, "It is gone.", &[]),
);

pub(crate) static SESSION_START: OperationDoc = OperationDoc::new(
    DocTag::Sessions,
    "Connect a paired session",
    "Does nothing when it is running.",
    ResponseDoc::new(200, "The session, on its way.", SESSION).tagged(),
)
.fails(&[&UNPAIRED, &LOGGING_OUT]);

pub(crate) static SESSION_STOP: OperationDoc = OperationDoc::new(
    DocTag::Sessions,
    "Disconnect a session",
    "It stays paired. Also ends a pairing; does nothing when it is stopped.",
    ResponseDoc::new(200, "The session, to be stopped.", SESSION).tagged(),
);

pub(crate) static SESSION_RESTART: OperationDoc = OperationDoc::new(
    DocTag::Sessions,
    "Connect a paired session anew",
    "It stays paired.",
    ResponseDoc::new(200, "The session, on its way.", SESSION).tagged(),
)
.fails(&[&UNPAIRED, &LOGGING_OUT]);

pub(crate) static SESSION_LOGOUT: OperationDoc = OperationDoc::new(
    DocTag::Sessions,
    "Unlink a session's device",
    "Keeps the session. Waits for WhatsApp up to 10 s, then says what is true. Does nothing when \
     nobody is linked.",
    ResponseDoc::new(200, "The session.", SESSION).tagged(),
);

pub(crate) static SESSION_IDENTITY: OperationDoc = OperationDoc::new(
    DocTag::Pairing,
    "See who is attached to a session",
    "From the node that holds it when that can be asked within a second, else what it last reported, \
     with `connected` false.",
    ResponseDoc::new(200, "Who is attached.", &[Content::Json(Shape::of::<IdentityView>())]),
)
.fails(&[&NOBODY, &NO_IDENTITY]);

pub(crate) static SESSION_QR: OperationDoc = OperationDoc::new(
    DocTag::Pairing,
    "Get a QR code to link a phone by",
    "Begins a pairing when none is under way and otherwise changes nothing: poll it as often as you \
     like. Waits up to `wait` seconds for a code. As JSON, or drawn when `Accept` prefers that.",
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
    "Adds a code for this phone to the pairing, which it begins when none is under way. Asked again for \
     the same phone it answers the same code while that lives.",
    ResponseDoc::new(200, "A code.", &[Content::Json(Shape::of::<PairingCodeView>())]),
)
.accepts(Shape::of::<PairingCodeSpec>())
.fails(&[&PAIRED, &PAIRING_ENDED, &CODE_REFUSED, &LOGGING_OUT, &TOO_MANY_PAIRINGS]);

static UNPAIRED: Failure = Failure::new("Unpaired", "`conflict`: no phone is linked.", || {
    Error::conflict("the session is not paired; link a phone by /qr or /pairing-code first").into()
});

static PAIRED: Failure = Failure::new("Paired", "`conflict`: a phone is linked already.", || {
    Error::conflict("the session is paired; log it out to pair it again").into()
});

static PAIRING_ENDED: Failure =
    Failure::new("PairingEnded", "`conflict`: the pairing ended before there was a code.", || {
        let message = "the pairing ended without a link; the session's statusReason says why";
        Error::conflict(message).into()
    });

static CODE_REFUSED: Failure = Failure::new(
    "CodeRefused",
    "`conflict`: WhatsApp gave no code; `statusReason` says why.",
    || {
        let message = "WhatsApp gave no pairing code; the session's statusReason says why";
        Error::conflict(message).into()
    },
);

static LOGGING_OUT: Failure =
    Failure::new("LoggingOut", "`conflict`: WhatsApp has not confirmed a logout yet.", || {
        let message = "the session is still being logged out";
        Error::Conflict { message, retry_after: Some(Duration::from_secs(2)) }.into()
    });

static TOO_MANY_PAIRINGS: Failure = Failure::new(
    "TooManyPairings",
    "`rate_limited`: too many attempts at linking in an hour, of this session, of this phone or of the \
     organization.",
    || {
        let quota = RateQuota { name: "pairing", count: 10, window: Duration::from_secs(3600) };
        Error::RateLimited { rate_quota: quota, retry_after: Duration::from_secs(1200) }.into()
    },
);

static NOBODY: Failure = Failure::new("NobodyAttached", "`not_found`: no phone is linked.", || {
    Error::NotFound { noun: "identity" }.into()
});

static NO_CODE_YET: Failure =
    Failure::new("NoCodeYet", "`not_found` with `Retry-After`: no code came in time.", || {
        Error::NotYet { noun: "QR code", retry_after: Duration::from_secs(2) }.into()
    });

static NO_IDENTITY: Failure =
    Failure::new("NotImplemented", "`not_implemented`: this kind of gateway cannot say.", || {
        Error::NotImplemented.into()
    });
