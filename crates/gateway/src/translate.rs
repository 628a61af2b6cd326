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
pub(crate) enum Sight {
    /// Others have their turn at linking first.
    Waits,
    /// Its turn has come: it connects.
    Begins,
    /// The engine runs; this is the handle on it.
    Opened(Arc<Client>),
    /// WhatsApp offers this many QR codes.
    Offered(u32),
    /// The QR code of the moment, and how long it is that.
    Qr(String, Duration),
    /// There are no more QR codes; whether the engine hung up over it.
    QrsOver { hung_up: bool },
    /// The pairing code was given up and may be replaced; whether only by asking anew.
    CodeOver { ask_anew: bool },
    /// An answer to our request for a pairing code.
    Code { request: u64, phone: String, made: Result<String, String> },
    /// Linked, not yet logged in.
    Linked,
    /// The link failed.
    LinkFailed(Reason),
    /// Logged in.
    Connected,
    /// The account's name changed.
    Renamed,
    /// The connection is gone; the engine makes another.
    Dropped(String),
    /// The device is not linked any more.
    Unlinked(String),
    /// Closed by WhatsApp for good, until somebody asks again.
    Barred(Reason),
    /// How our request to unlink went.
    UnlinkAnswered(Result<(), String>),
    /// The engine has stopped: by itself, for want of something, or by a panic.
    Ended(End),
}

/// Why an engine stopped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// It gave up, or never came up.
    Stopped(String),
    /// Something in it panicked.
    Crashed,
}

/// The events that matter here.
pub(crate) fn interest() -> EventInterest {
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
pub(crate) fn sight(event: &Event, now: i64) -> Option<Sight> {
    Some(match event {
        Event::Connected(_) => Sight::Connected,
        Event::Disconnected(gone) => Sight::Dropped(gone.reason.to_string()),
        Event::PairSuccess(_) => Sight::Linked,
        Event::PairingQrCode(qr) => Sight::Qr(qr.code.clone(), qr.timeout),
        Event::PairingQrCodesExhausted(over) => Sight::QrsOver { hung_up: over.disconnected },
        Event::PairingCodeRefresh(over) => Sight::CodeOver { ask_anew: over.force_manual },
        // While a code is requested its failure comes as the request's answer; later it comes here.
        Event::PairingCodeError(_) => Sight::CodeOver { ask_anew: true },
        Event::PairError(failed) => Sight::LinkFailed(link_failed(&failed.error)),
        Event::QrScannedWithoutMultidevice(_) => {
            Sight::LinkFailed(link_failed("this phone's WhatsApp cannot link devices"))
        }
        Event::PairPasskeyRequest(_) | Event::PairPasskeyError(_) => {
            Sight::LinkFailed(passkey_required())
        }
        Event::LoggedOut(out) => Sight::Unlinked(unlinked(out)),
        Event::StreamReplaced(_) => Sight::Barred(replaced()),
        Event::TemporaryBan(ban) => Sight::Barred(banned(ban, now)),
        Event::ClientOutdated(_) => Sight::Barred(outdated()),
        Event::ConnectFailure(failure) => refused(failure),
        Event::SelfPushNameUpdated(_) => Sight::Renamed,
        Event::RawNode(node) => Sight::Offered(offered(node)?),
        // Other stream errors are told by the disconnect that follows, or mean nothing.
        _ => return None,
    })
}

/// A reason without a time to retry.
pub(crate) fn because(code: &str, message: impl Into<String>) -> Reason {
    Reason { code: code.to_owned(), message: message.into(), retry_at: None }
}

/// The codes last, and nobody used them.
pub(crate) fn pairing_expired() -> Reason {
    because(reason::PAIRING_EXPIRED, "nobody scanned the QR code or typed the pairing code in time")
}

/// The device is gone because its owner asked for it.
pub(crate) fn logged_out_by_user() -> Reason {
    because(reason::LOGGED_OUT_BY_USER, "logged out")
}

/// The device is gone without having been asked for.
pub(crate) fn logged_out_by_phone(message: String) -> Reason {
    because(reason::LOGGED_OUT_BY_PHONE, message)
}

/// Nobody knows whether a device is linked.
pub(crate) fn keys_unavailable(why: &str) -> Reason {
    let hint = "the session stays as it was linked, and goes on when they can be read";
    because(reason::KEYS_UNAVAILABLE, format!("the device keys are unavailable ({why}); {hint}"))
}

/// Others link at this moment.
pub(crate) fn waiting_to_link() -> Reason {
    let message =
        "the node links as many devices at once as it may; this one's turn comes by itself";
    because(reason::WAITING_TO_LINK, message)
}

/// WhatsApp is out of reach, or declines for now.
pub(crate) fn connect_failed(message: impl Into<String>, retry_at: Option<i64>) -> Reason {
    Reason { retry_at, ..because(reason::CONNECT_FAILED, message) }
}

/// The session's task, or the engine under it, panicked.
pub(crate) fn crashed() -> Reason {
    because(reason::CRASHED, "the session's connection broke down in the node; start it again")
}

/// WhatsApp refused the link.
pub(crate) fn link_failed(message: &str) -> Reason {
    let hosted = message.contains("signature-mismatch");
    let hint = if hosted {
        ". Accounts hosted by Meta (WhatsApp Business coexistence) cannot be linked yet"
    } else {
        ""
    };
    because(reason::PAIRING_FAILED, format!("linking failed: {message}{hint}"))
}

fn passkey_required() -> Reason {
    because(
        reason::PASSKEY_REQUIRED,
        "WhatsApp asks for this account's passkey to link a device; turn the passkey off on the \
         phone and pair again",
    )
}

fn replaced() -> Reason {
    because(reason::REPLACED, "the same device connected elsewhere; start the session to take over")
}

fn outdated() -> Reason {
    because(reason::CLIENT_OUTDATED, "WhatsApp no longer accepts this version of the client")
}

fn banned(ban: &TemporaryBan, now: i64) -> Reason {
    let retry_at = now.saturating_add(ban.expire.num_milliseconds());
    Reason { retry_at: Some(retry_at), ..because(reason::BANNED, format!("banned: {}", ban.code)) }
}

fn refused(failure: &ConnectFailure) -> Sight {
    let why = failure.message.as_deref().unwrap_or("no reason given");
    let message = format!("WhatsApp refused the connection ({:?}): {why}", failure.reason);
    match failure.reason {
        // A ban without an end, which the engine does not report as a ban.
        ConnectFailureReason::TempBanned => Sight::Barred(because(reason::BANNED, message)),
        _ => Sight::Dropped(message),
    }
}

fn unlinked(out: &LoggedOut) -> String {
    let said = out.logout_message.as_ref().map(|text| {
        [text.header.as_deref(), text.subtext.as_deref()].into_iter().flatten().collect::<Vec<_>>()
    });
    match (said, out.reason) {
        (Some(said), _) if !said.is_empty() => said.join(": "),
        (_, ConnectFailureReason::AccountLocked) => "WhatsApp locked the account".into(),
        _ => "the device was unlinked on the phone".into(),
    }
}

fn offered(node: &OwnedNodeRef) -> Option<u32> {
    let offer = node.get().get_optional_child("pair-device")?;
    u32::try_from(offer.get_children_by_tag("ref").count()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use wacore::{chrono, types::events::*};

    fn code_of(event: &Event) -> String {
        match sight(event, 1_000) {
            Some(Sight::Barred(reason) | Sight::LinkFailed(reason)) => reason.code,
            Some(Sight::Unlinked(message)) => format!("unlinked: {message}"),
            Some(Sight::Dropped(_)) => "dropped".into(),
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
    fn every_kick_has_its_reason() {
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
    fn a_ban_says_when_it_ends() {
        let ban = TemporaryBan::builder()
            .code(TempBanReason::BlockedByUsers)
            .expire(chrono::Duration::seconds(3600))
            .build();
        let Some(Sight::Barred(reason)) = sight(&Event::TemporaryBan(ban), 1_000) else { panic!() };
        assert_eq!(reason.retry_at, Some(3_601_000));
    }

    #[test]
    fn a_hosted_account_is_told_why_it_cannot_link() {
        let reason = link_failed("401: signature-mismatch");
        assert_eq!(reason.code, "pairing_failed");
        assert!(reason.message.contains("hosted"));
        assert!(!link_failed("401: hmac-mismatch").message.contains("hosted"));
    }
}
