//! The reasons that a node reports for the status of a session.

use gateway_protocol::{Reason, reason};
use wacore::types::events::TemporaryBan;

/// Returns a reason without a retry time.
pub(crate) fn new_reason(code: &str, message: impl Into<String>) -> Reason {
    Reason { code: code.to_owned(), message: message.into(), retry_at: None }
}

/// The pairing attempt ended without a link.
pub(crate) fn pairing_expired() -> Reason {
    new_reason(
        reason::PAIRING_EXPIRED,
        "no phone scanned the QR code or entered the pairing code in time",
    )
}

/// The owner logged the device out.
pub(crate) fn logged_out_by_user() -> Reason {
    new_reason(reason::LOGGED_OUT_BY_USER, "logged out")
}

/// The device was unlinked without a request of the owner. `message` is the text of WhatsApp.
pub(crate) fn logged_out_by_phone(message: String) -> Reason {
    new_reason(reason::LOGGED_OUT_BY_PHONE, message)
}

/// The keys cannot be read or are lost, so that the link state is unknown. `why` completes the
/// message.
pub(crate) fn keys_unavailable(why: &str) -> Reason {
    let hint = "the session keeps its identity and resumes when the keys can be read";
    new_reason(reason::KEYS_UNAVAILABLE, format!("the device keys are unavailable ({why}); {hint}"))
}

/// The node links its maximum number of devices.
pub(crate) fn waiting_to_link() -> Reason {
    let message =
        "the node links its maximum number of devices; this session starts to link automatically";
    new_reason(reason::WAITING_TO_LINK, message)
}

/// WhatsApp is unreachable, or refuses connections temporarily. `retry_at` is Unix milliseconds.
pub(crate) fn connect_failed(message: impl Into<String>, retry_at: Option<i64>) -> Reason {
    Reason { retry_at, ..new_reason(reason::CONNECT_FAILED, message) }
}

/// The actor of the session, or the engine, panicked.
pub(crate) fn crashed() -> Reason {
    new_reason(
        reason::CRASHED,
        "the connection of the session crashed on the node; start the session again",
    )
}

/// WhatsApp or the phone refused the link. `message` is the cause.
pub(crate) fn link_failed(message: &str) -> Reason {
    let hosted = message.contains("signature-mismatch");
    let hint = if hosted {
        ". Accounts hosted by Meta (WhatsApp Business coexistence) cannot be linked yet"
    } else {
        ""
    };
    new_reason(reason::PAIRING_FAILED, format!("linking failed: {message}{hint}"))
}

pub(crate) fn passkey_required() -> Reason {
    new_reason(
        reason::PASSKEY_REQUIRED,
        "WhatsApp requires the passkey of this account to link a device; turn the passkey off on \
         the phone and pair again",
    )
}

pub(crate) fn replaced() -> Reason {
    new_reason(
        reason::REPLACED,
        "the same device connected elsewhere; start the session to take over",
    )
}

pub(crate) fn outdated() -> Reason {
    new_reason(reason::CLIENT_OUTDATED, "WhatsApp no longer accepts this version of the client")
}

pub(crate) fn banned(ban: &TemporaryBan, now_ms: i64) -> Reason {
    let retry_at = now_ms.saturating_add(ban.expire.num_milliseconds());
    Reason {
        retry_at: Some(retry_at),
        ..new_reason(reason::BANNED, format!("banned: {}", ban.code))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosted_account_gets_a_hint_why_linking_fails() {
        let reason = link_failed("401: signature-mismatch");
        assert_eq!(reason.code, "pairing_failed");
        assert!(reason.message.contains("hosted"));
        assert!(!link_failed("401: hmac-mismatch").message.contains("hosted"));
    }
}
