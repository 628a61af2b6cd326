//! What the engine says, in our words: the only place that knows its events.
//!
//! Everything a session does follows from these few sights, so the rest of the node can be read
//! without knowing the engine.

use std::{sync::Arc, time::Duration};

use gateway_protocol::{Reason, reason};
use wacore::types::events::{
    ConnectFailure, ConnectFailureReason, Event, EventInterest, EventKind, LoggedOut,
};
use whatsapp_rust::{Client, OwnedNodeRef};

use crate::reasons;

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
        Event::PairError(failed) => {
            ConnectionEvent::LinkFailed(reasons::link_failed(&failed.error))
        }
        Event::QrScannedWithoutMultidevice(_) => ConnectionEvent::LinkFailed(reasons::link_failed(
            "this phone's WhatsApp cannot link devices",
        )),
        Event::PairPasskeyRequest(_) | Event::PairPasskeyError(_) => {
            ConnectionEvent::LinkFailed(reasons::passkey_required())
        }
        Event::LoggedOut(out) => ConnectionEvent::Unlinked(unlink_message(out)),
        Event::StreamReplaced(_) => ConnectionEvent::Rejected(reasons::replaced()),
        Event::TemporaryBan(ban) => ConnectionEvent::Rejected(reasons::banned(ban, now_ms)),
        Event::ClientOutdated(_) => ConnectionEvent::Rejected(reasons::outdated()),
        Event::ConnectFailure(failure) => connect_failure(failure),
        Event::SelfPushNameUpdated(_) => ConnectionEvent::PushNameChanged,
        Event::RawNode(node) => ConnectionEvent::QrCodesOffered(offered_qr_codes(node)?),
        // Other stream errors are told by the disconnect that follows, or mean nothing.
        _ => return None,
    })
}

fn connect_failure(failure: &ConnectFailure) -> ConnectionEvent {
    let why = failure.message.as_deref().unwrap_or("no reason given");
    let message = format!("WhatsApp refused the connection ({:?}): {why}", failure.reason);
    match failure.reason {
        // A ban without an end, which the engine does not report as a ban.
        ConnectFailureReason::TempBanned => {
            ConnectionEvent::Rejected(reasons::new_reason(reason::BANNED, message))
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
}
