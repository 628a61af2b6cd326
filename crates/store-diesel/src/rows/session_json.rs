//! The parts of a session that are stored as JSON text, because no statement reads inside them.
//!
//! The serialized names are stored data: a renamed field needs `serde(rename)` or a migration.

use domain::{
    Attempt, Identity, PairingCode, PairingSpec, QrCode, ReasonCode, StatusReason, Timestamp,
    UnlinkRequest,
};
use serde::{Deserialize, Serialize};

/// The spec without `desired` and `epoch`, which have their own columns.
#[derive(Serialize, Deserialize)]
pub(crate) struct SpecDocument {
    pub(crate) pairing: Option<PairingSpecDocument>,
    pub(crate) unlink: Option<UnlinkDocument>,
    pub(crate) restarts: u64,
}

/// The position of the last report that was accepted from a node.
#[derive(Serialize, Deserialize)]
pub(crate) struct LastReportDocument {
    pub(crate) epoch: u64,
    #[serde(rename = "boot")]
    pub(crate) generation: u64,
    pub(crate) seq: u64,
}

#[derive(Serialize, Deserialize)]
pub(crate) struct PairingSpecDocument {
    attempt: u64,
    phone: Option<String>,
    request: u64,
}

impl From<&PairingSpec> for PairingSpecDocument {
    fn from(spec: &PairingSpec) -> Self {
        Self { attempt: spec.attempt, phone: spec.phone.clone(), request: spec.request }
    }
}

impl From<PairingSpecDocument> for PairingSpec {
    fn from(document: PairingSpecDocument) -> Self {
        Self { attempt: document.attempt, phone: document.phone, request: document.request }
    }
}

#[derive(Serialize, Deserialize)]
pub(crate) struct UnlinkDocument {
    since: i64,
    deadline: i64,
}

impl From<&UnlinkRequest> for UnlinkDocument {
    fn from(unlink: &UnlinkRequest) -> Self {
        Self { since: unlink.since.millis(), deadline: unlink.deadline.millis() }
    }
}

impl From<UnlinkDocument> for UnlinkRequest {
    fn from(document: UnlinkDocument) -> Self {
        Self {
            since: Timestamp::from_millis(document.since),
            deadline: Timestamp::from_millis(document.deadline),
        }
    }
}

#[derive(Serialize, Deserialize)]
pub(crate) struct ReasonDocument {
    code: String,
    message: String,
    since: i64,
    retry_at: Option<i64>,
}

impl From<&StatusReason> for ReasonDocument {
    fn from(reason: &StatusReason) -> Self {
        Self {
            code: reason.code.as_str().to_owned(),
            message: reason.message.clone(),
            since: reason.since.millis(),
            retry_at: reason.retry_at.map(Timestamp::millis),
        }
    }
}

impl ReasonDocument {
    /// Returns `None` for an unknown code.
    pub(crate) fn into_reason(self) -> Option<StatusReason> {
        Some(StatusReason {
            code: ReasonCode::parse(&self.code)?,
            message: self.message,
            since: Timestamp::from_millis(self.since),
            retry_at: self.retry_at.map(Timestamp::from_millis),
        })
    }
}

#[derive(Serialize, Deserialize)]
pub(crate) struct IdentityDocument {
    phone: String,
    jid: String,
    lid: Option<String>,
    device: u32,
    push_name: Option<String>,
}

impl From<&Identity> for IdentityDocument {
    fn from(identity: &Identity) -> Self {
        let Identity { phone, jid, lid, device, push_name } = identity.clone();
        Self { phone, jid, lid, device, push_name }
    }
}

impl From<IdentityDocument> for Identity {
    fn from(document: IdentityDocument) -> Self {
        let IdentityDocument { phone, jid, lid, device, push_name } = document;
        Self { phone, jid, lid, device, push_name }
    }
}

#[derive(Serialize, Deserialize)]
pub(crate) struct AttemptDocument {
    attempt: u64,
    qr: Option<QrDocument>,
    code: Option<CodeDocument>,
}

#[derive(Serialize, Deserialize)]
struct QrDocument {
    text: String,
    expires_at: i64,
    number: u32,
    of: u32,
}

#[derive(Serialize, Deserialize)]
struct CodeDocument {
    code: String,
    request: u64,
    phone: String,
    expires_at: i64,
}

impl From<&Attempt> for AttemptDocument {
    fn from(attempt: &Attempt) -> Self {
        Self {
            attempt: attempt.attempt,
            qr: attempt.qr.as_ref().map(|qr| QrDocument {
                text: qr.text.clone(),
                expires_at: qr.expires_at.millis(),
                number: qr.number,
                of: qr.of,
            }),
            code: attempt.code.as_ref().map(|code| CodeDocument {
                code: code.code.clone(),
                request: code.request,
                phone: code.phone.clone(),
                expires_at: code.expires_at.millis(),
            }),
        }
    }
}

impl From<AttemptDocument> for Attempt {
    fn from(document: AttemptDocument) -> Self {
        Self {
            attempt: document.attempt,
            qr: document.qr.map(|qr| QrCode {
                text: qr.text,
                expires_at: Timestamp::from_millis(qr.expires_at),
                number: qr.number,
                of: qr.of,
            }),
            code: document.code.map(|code| PairingCode {
                code: code.code,
                request: code.request,
                phone: code.phone,
                expires_at: Timestamp::from_millis(code.expires_at),
            }),
        }
    }
}
