//! What the engine says, in our words: the only place that knows its events.
//!
//! Everything a session does follows from these few sights, so the rest of the node can be read
//! without knowing the engine.

use std::{sync::Arc, time::Duration};

use gateway_protocol::{Reason, reason};
use wacore::types::events::{
    ConnectFailure, ConnectFailureReason, Event, EventInterest, EventKind, LoggedOut, TemporaryBan,
};
use whatsapp_rust::{Client, OwnedNodeRef};

/// Something seen of a session's connection.
#[derive(Clone)]
pub(crate) enum ConnectionEvent {
    /// Others have their turn at linking first.
    LinkQueued,
    /// Its turn has come: it connects.
    Connecting,
    /// The engine runs; this is the handle on it.
    EngineStarted(Arc<Client>),
    /// WhatsApp offers this many QR codes.
    QrCodesOffered(u32),
    /// The QR code of the moment, and how long it is that.
    QrCode(String, Duration),
    /// There are no more QR codes; whether the engine hung up over it.
    QrCodesExhausted { hung_up: bool },
    /// The pairing code was given up and may be replaced; whether only by asking anew.
    PairingCodeExpired { request_required: bool },
    /// An answer to our request for a pairing code.
    PairingCodeAnswer { request: u64, phone: String, result: Result<String, String> },
    /// Linked, not yet logged in.
    Linked,
    /// The link failed.
    LinkFailed(Reason),
    /// Logged in.
    Connected,
    /// The account's name changed.
    PushNameChanged,
    /// The connection is gone; the engine makes another.
    Disconnected(String),
    /// The device is not linked any more.
    Unlinked(String),
    /// Closed by WhatsApp for good, until somebody asks again.
    Rejected(Reason),
    /// How our request to unlink went.
    UnlinkAnswered(Result<(), String>),
    /// The engine has stopped: by itself, for want of something, or by a panic.
    EngineStopped(EngineExit),
}

/// Why an engine stopped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum EngineExit {
    /// It gave up, or never came up.
    Stopped(String),
    /// Something in it panicked.
    Crashed,
}

/// The events that matter here.
pub(crate) fn event_interest() -> EventInterest {
    EventInterest::of(&[
        EventKind::Connected,
        EventKind::Disconnected,
        EventKind::PairSuccess,
        EventKind::PairError,
        EventKind::LoggedOut,
        EventKind::PairingQrCode,
        EventKind::PairingCodeRefresh,
        EventKind::PairingCodeError,
        EventKind::PairingQrCodesExhausted,
        EventKind::PairPasskeyRequest,
        EventKind::PairPasskeyError,
        EventKind::QrScannedWithoutMultidevice,
        EventKind::ClientOutdated,
        EventKind::SelfPushNameUpdated,
        EventKind::StreamReplaced,
        EventKind::TemporaryBan,
        EventKind::ConnectFailure,
        EventKind::StreamError,
        EventKind::RawNode,
    ])
}

/// `None` for what changes nothing.
pub(crate) fn connection_event(event: &Event, now_ms: i64) -> Option<ConnectionEvent> {
    Some(match event {
        Event::Connected(_) => ConnectionEvent::Connected,
        Event::Disconnected(event) => ConnectionEvent::Disconnected(event.reason.to_string()),
        Event::PairSuccess(_) => ConnectionEvent::Linked,
        Event::PairingQrCode(qr) => ConnectionEvent::QrCode(qr.code.clone(), qr.timeout),
        Event::PairingQrCodesExhausted(over) => {
            ConnectionEvent::QrCodesExhausted { hung_up: over.disconnected }
        }
        Event::PairingCodeRefresh(over) => {
            ConnectionEvent::PairingCodeExpired { request_required: over.force_manual }
        }
        // While a code is requested its failure comes as the request's answer; later it comes here.
        Event::PairingCodeError(_) => {
            ConnectionEvent::PairingCodeExpired { request_required: true }
        }
        Event::PairError(failed) => ConnectionEvent::LinkFailed(link_failed(&failed.error)),
        Event::QrScannedWithoutMultidevice(_) => {
            ConnectionEvent::LinkFailed(link_failed("this phone's WhatsApp cannot link devices"))
        }
        Event::PairPasskeyRequest(_) | Event::PairPasskeyError(_) => {
            ConnectionEvent::LinkFailed(passkey_required())
        }
        Event::LoggedOut(out) => ConnectionEvent::Unlinked(unlink_message(out)),
        Event::StreamReplaced(_) => ConnectionEvent::Rejected(replaced()),
        Event::TemporaryBan(ban) => ConnectionEvent::Rejected(banned(ban, now_ms)),
        Event::ClientOutdated(_) => ConnectionEvent::Rejected(outdated()),
        Event::ConnectFailure(failure) => connect_failure(failure),
        Event::SelfPushNameUpdated(_) => ConnectionEvent::PushNameChanged,
        Event::RawNode(node) => ConnectionEvent::QrCodesOffered(offered_qr_codes(node)?),
        // Other stream errors are told by the disconnect that follows, or mean nothing.
        _ => return None,
    })
}

/// A reason without a time to retry.
pub(crate) fn new_reason(code: &str, message: impl Into<String>) -> Reason {
    Reason { code: code.to_owned(), message: message.into(), retry_at: None }
}

/// The codes last, and nobody used them.
pub(crate) fn pairing_expired() -> Reason {
    new_reason(
        reason::PAIRING_EXPIRED,
        "nobody scanned the QR code or typed the pairing code in time",
    )
}

/// The device is gone because its owner asked for it.
pub(crate) fn logged_out_by_user() -> Reason {
    new_reason(reason::LOGGED_OUT_BY_USER, "logged out")
}

/// The device is gone without having been asked for.
pub(crate) fn logged_out_by_phone(message: String) -> Reason {
    new_reason(reason::LOGGED_OUT_BY_PHONE, message)
}

/// Nobody knows whether a device is linked.
pub(crate) fn keys_unavailable(why: &str) -> Reason {
    let hint = "the session stays as it was linked, and goes on when they can be read";
    new_reason(reason::KEYS_UNAVAILABLE, format!("the device keys are unavailable ({why}); {hint}"))
}

/// Others link at this moment.
pub(crate) fn waiting_to_link() -> Reason {
    let message =
        "the node links as many devices at once as it may; this one's turn comes by itself";
    new_reason(reason::WAITING_TO_LINK, message)
}

/// WhatsApp is out of reach, or declines for now.
pub(crate) fn connect_failed(message: impl Into<String>, retry_at: Option<i64>) -> Reason {
    Reason { retry_at, ..new_reason(reason::CONNECT_FAILED, message) }
}

/// The session's task, or the engine under it, panicked.
pub(crate) fn crashed() -> Reason {
    new_reason(reason::CRASHED, "the session's connection broke down in the node; start it again")
}

/// WhatsApp refused the link.
pub(crate) fn link_failed(message: &str) -> Reason {
    let hosted = message.contains("signature-mismatch");
    let hint = if hosted {
        ". Accounts hosted by Meta (WhatsApp Business coexistence) cannot be linked yet"
    } else {
        ""
    };
    new_reason(reason::PAIRING_FAILED, format!("linking failed: {message}{hint}"))
}

fn passkey_required() -> Reason {
    new_reason(
        reason::PASSKEY_REQUIRED,
        "WhatsApp asks for this account's passkey to link a device; turn the passkey off on the \
         phone and pair again",
    )
}

fn replaced() -> Reason {
    new_reason(
        reason::REPLACED,
        "the same device connected elsewhere; start the session to take over",
    )
}

fn outdated() -> Reason {
    new_reason(reason::CLIENT_OUTDATED, "WhatsApp no longer accepts this version of the client")
}

fn banned(ban: &TemporaryBan, now_ms: i64) -> Reason {
    let retry_at = now_ms.saturating_add(ban.expire.num_milliseconds());
    Reason {
        retry_at: Some(retry_at),
        ..new_reason(reason::BANNED, format!("banned: {}", ban.code))
    }
}

fn connect_failure(failure: &ConnectFailure) -> ConnectionEvent {
    let why = failure.message.as_deref().unwrap_or("no reason given");
    let message = format!("WhatsApp refused the connection ({:?}): {why}", failure.reason);
    match failure.reason {
        // A ban without an end, which the engine does not report as a ban.
        ConnectFailureReason::TempBanned => {
            ConnectionEvent::Rejected(new_reason(reason::BANNED, message))
        }
        _ => ConnectionEvent::Disconnected(message),
    }
}

fn unlink_message(out: &LoggedOut) -> String {
    let texts = out.logout_message.as_ref().map(|text| {
        [text.header.as_deref(), text.subtext.as_deref()].into_iter().flatten().collect::<Vec<_>>()
    });
    match (texts, out.reason) {
        (Some(texts), _) if !texts.is_empty() => texts.join(": "),
        (_, ConnectFailureReason::AccountLocked) => "WhatsApp locked the account".into(),
        _ => "the device was unlinked on the phone".into(),
    }
}

fn offered_qr_codes(node: &OwnedNodeRef) -> Option<u32> {
    let offer = node.get().get_optional_child("pair-device")?;
    u32::try_from(offer.get_children_by_tag("ref").count()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use wacore::{chrono, types::events::*};

    fn code_of(event: &Event) -> String {
        match connection_event(event, 1_000) {
            Some(ConnectionEvent::Rejected(reason) | ConnectionEvent::LinkFailed(reason)) => {
                reason.code
            }
            Some(ConnectionEvent::Unlinked(message)) => format!("unlinked: {message}"),
            Some(ConnectionEvent::Disconnected(_)) => "dropped".into(),
            _ => "nothing".into(),
        }
    }

    fn failure(reason: ConnectFailureReason) -> Event {
        Event::ConnectFailure(ConnectFailure::builder().reason(reason).build())
    }

    fn logout(reason: ConnectFailureReason) -> Event {
        Event::LoggedOut(LoggedOut::builder().on_connect(true).reason(reason).build())
    }

    #[test]
    fn every_disconnect_cause_has_its_reason() {
        assert_eq!(code_of(&Event::StreamReplaced(StreamReplaced::builder().build())), "replaced");
        let outdated = ClientOutdated::builder().build();
        assert_eq!(code_of(&Event::ClientOutdated(outdated)), "client_outdated");
        assert_eq!(code_of(&failure(ConnectFailureReason::ServiceUnavailable)), "dropped");
        assert_eq!(code_of(&failure(ConnectFailureReason::NotFound)), "dropped");
        assert_eq!(code_of(&failure(ConnectFailureReason::TempBanned)), "banned");
        assert!(code_of(&logout(ConnectFailureReason::LoggedOut)).contains("on the phone"));
        assert!(code_of(&logout(ConnectFailureReason::AccountLocked)).contains("locked"));
    }

    #[test]
    fn ban_reason_has_its_end() {
        let ban = TemporaryBan::builder()
            .code(TempBanReason::BlockedByUsers)
            .expire(chrono::Duration::seconds(3600))
            .build();
        let Some(ConnectionEvent::Rejected(reason)) =
            connection_event(&Event::TemporaryBan(ban), 1_000)
        else {
            panic!()
        };
        assert_eq!(reason.retry_at, Some(3_601_000));
    }

    #[test]
    fn hosted_account_gets_a_hint_why_linking_fails() {
        let reason = link_failed("401: signature-mismatch");
        assert_eq!(reason.code, "pairing_failed");
        assert!(reason.message.contains("hosted"));
        assert!(!link_failed("401: hmac-mismatch").message.contains("hosted"));
    }
}
