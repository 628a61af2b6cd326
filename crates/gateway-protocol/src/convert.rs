//! Conversions between the types of the protocol and of the domain, for the router. Messages of nodes
//! are untrusted input: a message with an impossible value is [`InvalidMessage`].

mod messaging;

use domain::{GatewayId, ReasonCode, SessionId, SnapshotReason, Timestamp};

use crate as wire;

/// Maximum length of a WhatsApp display name or of a program version, in characters.
const MAX_NAME: usize = 200;
/// Maximum length of the message of a reason, in characters.
const MAX_MESSAGE: usize = 500;
/// Maximum length of a phone number, a JID, a pairing code or a feature name, in characters.
const MAX_JID: usize = 100;
/// Maximum length of the text of a QR code, in characters. Codes of WhatsApp have about 250.
const MAX_QR: usize = 2_000;
/// Maximum number of features of a node.
const MAX_FEATURES: usize = 32;

/// Removes control characters and truncates to `most` characters. Nodes pass on texts of strangers, such
/// as display names, which databases store and terminals print.
fn bounded(text: &str, most: usize) -> String {
    text.chars().filter(|c| !c.is_control()).take(most).collect()
}

/// A message with a value that no node of any version sends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvalidMessage(pub &'static str);

impl std::fmt::Display for InvalidMessage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.0)
    }
}

impl std::error::Error for InvalidMessage {}

impl From<&domain::Declaration> for wire::Declaration {
    fn from(declaration: &domain::Declaration) -> Self {
        let pairing = declaration.pairing.as_ref().map(|pairing| wire::PairingSpec {
            attempt: pairing.attempt,
            phone: pairing.phone.clone(),
            request: pairing.request,
        });
        Self {
            epoch: declaration.epoch,
            running: declaration.running,
            restarts: declaration.restarts,
            pairing,
            linked: declaration.linked,
            group: declaration.group.clone(),
        }
    }
}

impl TryFrom<wire::Snapshot> for (SessionId, domain::Snapshot) {
    type Error = InvalidMessage;

    fn try_from(snapshot: wire::Snapshot) -> Result<Self, InvalidMessage> {
        let session =
            SessionId::parse(&snapshot.session).ok_or(InvalidMessage("invalid session id"))?;
        // Both databases store signed 64-bit integers.
        if [snapshot.epoch, snapshot.generation, snapshot.seq]
            .iter()
            .any(|n| i64::try_from(*n).is_err())
        {
            return Err(InvalidMessage("number exceeds 63 bits"));
        }
        let converted = domain::Snapshot {
            epoch: snapshot.epoch,
            generation: snapshot.generation,
            seq: snapshot.seq,
            status: snapshot.status.into(),
            reason: snapshot.reason.map(Into::into),
            identity: snapshot.identity.map(Into::into),
            pairing: snapshot.pairing.map(Into::into),
        };
        Ok((session, converted))
    }
}

impl From<wire::Status> for domain::Status {
    fn from(status: wire::Status) -> Self {
        match status {
            wire::Status::Stopped => Self::Stopped,
            wire::Status::Starting => Self::Starting,
            wire::Status::ScanQrCode => Self::ScanQrCode,
            wire::Status::Working => Self::Working,
            wire::Status::Failed => Self::Failed,
        }
    }
}

impl From<wire::Reason> for SnapshotReason {
    fn from(reason: wire::Reason) -> Self {
        // A newer node may send codes that this router does not know; the message still names the cause.
        let code = ReasonCode::parse(&reason.code).unwrap_or(ReasonCode::ConnectFailed);
        Self {
            code,
            message: bounded(&reason.message, MAX_MESSAGE),
            retry_at: reason.retry_at.map(Timestamp::from_millis),
        }
    }
}

impl From<wire::Identity> for domain::Identity {
    fn from(identity: wire::Identity) -> Self {
        Self {
            phone: bounded(&identity.phone, MAX_JID),
            jid: bounded(&identity.jid, MAX_JID),
            lid: identity.lid.map(|lid| bounded(&lid, MAX_JID)),
            device: identity.device,
            push_name: identity.push_name.map(|name| bounded(&name, MAX_NAME)),
        }
    }
}

impl From<wire::Attempt> for domain::Attempt {
    fn from(attempt: wire::Attempt) -> Self {
        let qr = attempt.qr.map(|qr| domain::QrCode {
            text: bounded(&qr.text, MAX_QR),
            expires_at: Timestamp::from_millis(qr.expires_at),
            number: qr.number,
            of: qr.of,
        });
        let code = attempt.code.map(|code| domain::PairingCode {
            code: bounded(&code.code, MAX_JID),
            request: code.request,
            phone: bounded(&code.phone, MAX_JID),
            expires_at: Timestamp::from_millis(code.expires_at),
        });
        Self { attempt: attempt.attempt, qr, code }
    }
}

impl From<wire::LiveIdentity> for domain::LiveIdentity {
    fn from(live: wire::LiveIdentity) -> Self {
        // An invalid snapshot counts as absent.
        let snapshot = live.snapshot.and_then(|snapshot| snapshot.try_into().ok());
        let snapshot = snapshot.map(|(_, snapshot): (SessionId, domain::Snapshot)| snapshot);
        Self { connected: live.connected, identity: live.identity.map(Into::into), snapshot }
    }
}

impl From<wire::LogoutOutcome> for domain::LogoutOutcome {
    fn from(outcome: wire::LogoutOutcome) -> Self {
        match outcome {
            wire::LogoutOutcome::Confirmed => Self::Confirmed,
            wire::LogoutOutcome::Unconfirmed => Self::Unconfirmed,
            wire::LogoutOutcome::NotLinked => Self::NotLinked,
        }
    }
}

impl wire::Register {
    /// Converts to the domain's registration; `id` comes from the token of the node.
    pub fn into_registration(self, id: GatewayId) -> domain::Registration {
        domain::Registration {
            id,
            address: self.address,
            incarnation: self.incarnation,
            version: bounded(&self.version, MAX_NAME),
            features: self
                .features
                .iter()
                .take(MAX_FEATURES)
                .map(|feature| bounded(feature, MAX_JID))
                .collect(),
            capacity: self.capacity,
        }
    }
}

impl From<domain::Lease> for wire::Registered {
    fn from(lease: domain::Lease) -> Self {
        Self {
            generation: lease.generation,
            lease_ms: millis(lease.length),
            heartbeat_ms: millis(lease.heartbeat_interval),
        }
    }
}

impl wire::HeartbeatAnswer {
    /// Creates the answer that renews the lease for `length`; the node must close the `lost` sessions.
    pub fn renewed(length: std::time::Duration, lost: Vec<SessionId>) -> Self {
        let lost = lost.into_iter().map(|session| session.as_str().to_owned()).collect();
        Self { lease_ms: millis(length), lost }
    }
}

/// Converts the held sessions of a heartbeat. Entries with an invalid session id are skipped, so that the
/// node keeps those keys.
pub fn held_sessions(held: &[wire::HeldSession]) -> Vec<domain::HeldSession> {
    held.iter()
        .filter_map(|held| {
            let session = SessionId::parse(&held.session)?;
            Some(domain::HeldSession { session, epoch: held.epoch })
        })
        .collect()
}

fn millis(duration: std::time::Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn node_texts_are_truncated_and_stripped_of_control_characters() {
        let name = format!("a\0b\n\u{9b}{}", "\u{1f372}".repeat(9_000));
        let identity = domain::Identity::from(wire::Identity {
            phone: "4915112345678\0".to_owned(),
            jid: "j".repeat(9_000),
            lid: None,
            device: 1,
            push_name: Some(name),
        });
        let name = identity.push_name.unwrap_or_default();
        assert!(name.starts_with("ab\u{1f372}"), "{name}");
        assert_eq!((name.chars().count(), identity.jid.len()), (MAX_NAME, MAX_JID));
        assert_eq!(identity.phone, "4915112345678");
        let code = "connect_failed".to_owned();
        let reason = wire::Reason { code, message: "m\0".repeat(9_000), retry_at: None };
        assert_eq!(SnapshotReason::from(reason).message, "m".repeat(MAX_MESSAGE));
    }
}
