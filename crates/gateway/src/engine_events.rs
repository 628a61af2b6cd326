//! Translates the events of the engine into [`ConnectionEvent`]; no other file handles engine
//! events.

use std::{sync::Arc, time::Duration};

use gateway_protocol::{Reason, reason};
use wacore::types::events::{
    ConnectFailure, ConnectFailureReason, Event, EventInterest, EventKind, LoggedOut,
};
use whatsapp_rust::{Client, OwnedNodeRef};

use crate::reasons;

/// An event of the connection of one session.
#[derive(Clone)]
pub(crate) enum ConnectionEvent {
    /// The connection waits for a permit to link a device.
    LinkQueued,
    /// The connection has its permits and starts to connect.
    Connecting,
    /// The engine runs; carries the client handle.
    EngineStarted(Arc<Client>),
    /// WhatsApp offers this number of QR codes.
    QrCodesOffered(u32),
    /// A QR code and the time that it is valid.
    QrCode(String, Duration),
    /// The last QR code has expired; `closed_by_engine`: the engine closed the connection.
    QrCodesExhausted { closed_by_engine: bool },
    /// The pairing code is invalid. `request_required`: the same request is not renewed; a new one
    /// is needed.
    PairingCodeEnded { request_required: bool },
    /// The answer to a request for a pairing code.
    PairingCodeAnswer { request: u64, phone: String, result: Result<String, String> },
    /// The device is linked and not yet logged in.
    Linked,
    /// WhatsApp or the phone refused the link.
    LinkFailed(Reason),
    /// The device is logged in.
    Connected,
    /// The push name of the account changed.
    PushNameChanged,
    /// The connection ended; the engine reconnects. Carries the cause.
    Disconnected(String),
    /// The device is no longer linked. Carries the message of WhatsApp.
    Unlinked(String),
    /// WhatsApp closed the connection, and the engine does not reconnect.
    Rejected(Reason),
    /// The result of the unlink request.
    UnlinkAnswered(Result<(), String>),
    /// The engine has stopped; the last event of a connection.
    EngineStopped(EngineExit),
}

/// The cause of an engine's end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum EngineExit {
    /// The engine could not start or gave up; carries the cause.
    Stopped(String),
    /// A task of the engine panicked.
    Crashed,
}

/// The engine events that [`connection_event`] translates.
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

/// Translates an engine event; `None` if the event changes nothing. `now_ms` is Unix milliseconds.
pub(crate) fn connection_event(event: &Event, now_ms: i64) -> Option<ConnectionEvent> {
    Some(match event {
        Event::Connected(_) => ConnectionEvent::Connected,
        Event::Disconnected(event) => ConnectionEvent::Disconnected(event.reason.to_string()),
        Event::PairSuccess(_) => ConnectionEvent::Linked,
        Event::PairingQrCode(qr) => ConnectionEvent::QrCode(qr.code.clone(), qr.timeout),
        Event::PairingQrCodesExhausted(over) => {
            ConnectionEvent::QrCodesExhausted { closed_by_engine: over.disconnected }
        }
        Event::PairingCodeRefresh(over) => {
            ConnectionEvent::PairingCodeEnded { request_required: over.force_manual }
        }
        // During a code request, its failure arrives as the answer of the request; later, as this
        // event.
        Event::PairingCodeError(_) => ConnectionEvent::PairingCodeEnded { request_required: true },
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
        // Other stream errors precede a disconnect event or have no effect.
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
