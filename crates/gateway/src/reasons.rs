//! The reasons that a node reports for the status of a session.

use gateway_protocol::{Reason, reason};
use wacore::types::events::TemporaryBan;

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

pub(crate) fn passkey_required() -> Reason {
    new_reason(
        reason::PASSKEY_REQUIRED,
        "WhatsApp asks for this account's passkey to link a device; turn the passkey off on the \
         phone and pair again",
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
