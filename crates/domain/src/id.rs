//! Identifiers. Text that is not a valid identifier parses to `None`, and the lookup answers *not
//! found*.

use std::fmt;

use ulid::Ulid;

use crate::time::Timestamp;

/// Declares an identifier that berth generates: a prefix and a ULID, so that ids sort by creation
/// time.
macro_rules! generated_id {
    ($(#[$doc:meta])* $name:ident, $prefix:literal) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(String);

        impl $name {
            /// Creates an id from 128 bits. See
            /// [`Environment::ulid`](crate::ports::Environment::ulid).
            pub fn from_bits(bits: u128) -> Self {
                Self(format!(concat!($prefix, "{}"), Ulid(bits)))
            }

            /// Returns the id in its canonical form. `None` for any other text.
            pub fn parse(text: &str) -> Option<Self> {
                let ulid = text.strip_prefix($prefix)?;
                // A second spelling would give an entity two ids.
                let parsed = Ulid::from_string(ulid).ok()?;
                (parsed.to_string() == ulid).then(|| Self(text.to_owned()))
            }

            /// Returns the 128 bits of the ULID.
            pub fn bits(&self) -> u128 {
                self.0.strip_prefix($prefix).and_then(|u| Ulid::from_string(u).ok()).map_or(0, |u| u.0)
            }

            /// Returns the time in the ULID, at which the id was created.
            pub fn created_at(&self) -> Timestamp {
                let millis = i64::try_from(self.bits() >> 80);
                Timestamp::from_millis(millis.unwrap_or(i64::MAX))
            }

            /// Returns the text form.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

/// Declares an identifier that an external system assigns.
macro_rules! external_id {
    ($(#[$doc:meta])* $name:ident, $max_bytes:literal, $allowed:expr) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(String);

        impl $name {
            /// Returns `None` if the text cannot be such an identifier.
            pub fn parse(text: &str) -> Option<Self> {
                let fits = !text.is_empty() && text.len() <= $max_bytes && text.chars().all($allowed);
                fits.then(|| Self(text.to_owned()))
            }

            /// Returns the text as the external system wrote it.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

generated_id!(
    /// Id of a session: `sess_` and a ULID.
    SessionId, "sess_");
generated_id!(
    /// Public id of an API key: `key_` and a ULID.
    KeyId, "key_");
generated_id!(
    /// Id of an event: `evt_` and a ULID.
    EventId, "evt_");
generated_id!(
    /// Id of a webhook: `wh_` and a ULID.
    WebhookId, "wh_");
generated_id!(
    /// Id of an attempt at a webhook: `att_` and a ULID.
    AttemptId, "att_");
generated_id!(
    /// Id of a message that waits for its sending: `out_` and a ULID.
    OutboxId, "out_");
generated_id!(
    /// Id of a share link: `lnk_` and a ULID.
    LinkId, "lnk_");
external_id!(
    /// Id of an organization, assigned by the issuer of login tokens: 1 to 128 bytes without control
    /// characters.
    OrganizationId, 128, |c: char| !c.is_control());
external_id!(
    /// Id of a user, assigned by the issuer of login tokens: 1 to 255 bytes without control
    /// characters.
    UserId, 255, |c: char| !c.is_control());
external_id!(
    /// Id of a message at WhatsApp, chosen by its sender: 1 to 128 bytes without control characters.
    /// Unique within a chat and a sender.
    WaMessageId, 128, |c: char| !c.is_control());
external_id!(
    /// Id of a gateway node, assigned by the operator: 1 to 64 ASCII letters, digits, `-`, `_` and `.`.
    GatewayId, 64, |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'));

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn generated_id_parses_back() {
        let id = SessionId::from_bits(7 << 80 | 0x2a);
        assert_eq!(SessionId::parse(id.as_str()), Some(id.clone()));
        assert_eq!(id.bits(), 7 << 80 | 0x2a);
        assert_eq!(id.created_at(), Timestamp::from_millis(7));
    }

    #[test]
    fn malformed_ids_do_not_parse() {
        let lower = SessionId::from_bits(1 << 100 | 0x00ab_cdef).as_str().to_lowercase();
        for text in [
            "",
            "sess_",
            "sess_x",
            "key_01ARZ3NDEKTSV4RRFFQ69G5FAV",
            &lower,
            "sess_8ZZZZZZZZZZZZZZZZZZZZZZZZZ",
        ] {
            assert_eq!(SessionId::parse(text), None, "{text}");
        }
        assert_eq!(SessionId::parse(&format!("sess_{}", "0".repeat(10_000))), None);
        assert_eq!(OrganizationId::parse(""), None);
        assert_eq!(OrganizationId::parse("a\nb"), None);
        assert_eq!(GatewayId::parse("gw/1"), None);
    }
}
