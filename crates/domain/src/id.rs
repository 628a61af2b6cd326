//! Names of things. A string that cannot be a name parses to `None`, and `None` is simply not found.

use std::fmt;

use ulid::Ulid;

/// An identifier of ours: a prefix and a ULID, so that names sort by birth.
macro_rules! generated_id {
    ($(#[$doc:meta])* $name:ident, $prefix:literal) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(String);

        impl $name {
            /// A new name from 128 bits: see [`crate::ports::Environment::ulid`].
            pub fn from_bits(bits: u128) -> Self {
                Self(format!(concat!($prefix, "{}"), Ulid(bits)))
            }

            /// `None` when no such name was ever given out.
            pub fn parse(text: &str) -> Option<Self> {
                let ulid = text.strip_prefix($prefix)?;
                // Only the canonical spelling: otherwise one thing would have several names.
                let parsed = Ulid::from_string(ulid).ok()?;
                (parsed.to_string() == ulid).then(|| Self(text.to_owned()))
            }

            /// The 128 bits it was minted from.
            pub fn bits(&self) -> u128 {
                self.0.strip_prefix($prefix).and_then(|u| Ulid::from_string(u).ok()).map_or(0, |u| u.0)
            }

            /// As the API shows it.
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

/// A name that somebody else gives.
macro_rules! external_id {
    ($(#[$doc:meta])* $name:ident, $most:literal, $allowed:expr) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(String);

        impl $name {
            /// `None` when the text cannot be such a name.
            pub fn parse(text: &str) -> Option<Self> {
                let fits = !text.is_empty() && text.len() <= $most && text.chars().all($allowed);
                fits.then(|| Self(text.to_owned()))
            }

            /// As its giver wrote it.
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

generated_id!(/// A session: `sess_` and a ULID.
    SessionId, "sess_");
generated_id!(/// An API key's public name: `key_` and a ULID.
    KeyId, "key_");
generated_id!(/// An event: `evt_` and a ULID.
    EventId, "evt_");
external_id!(/// An organization, named by whoever mints the login tokens: 1–128 bytes without control characters.
    OrganizationId, 128, |c: char| !c.is_control());
external_id!(/// A person, named by whoever mints the login tokens: 1–255 bytes without control characters.
    UserId, 255, |c: char| !c.is_control());
external_id!(/// A gateway node, named by the operator: 1–64 of letters, digits, `-`, `_` and `.`.
    GatewayId, 64, |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'));

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn generated_id_parses_back() {
        let id = SessionId::from_bits(7 << 80 | 0x2a);
        assert_eq!(SessionId::parse(id.as_str()), Some(id.clone()));
        assert_eq!(id.bits(), 7 << 80 | 0x2a);
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
