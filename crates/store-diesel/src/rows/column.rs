//! Conversions between single domain values and columns.

use domain::{Actor, KeyId, LinkId, Timestamp, UserId};
use serde::{Serialize, de::DeserializeOwned};

use crate::StoreError;

/// Converts a counter to a signed column of 64 bits.
///
/// # Errors
/// [`StoreError::Unfit`] above `i64::MAX`.
pub(crate) fn to_bigint(column: &'static str, value: u64) -> Result<i64, StoreError> {
    i64::try_from(value).map_err(|_| StoreError::Unfit { column })
}

/// Converts a column to a counter of the domain's width; `None` when out of range.
pub(crate) fn from_bigint<T: TryFrom<i64>>(value: i64) -> Option<T> {
    T::try_from(value).ok()
}

/// Serializes a value that no statement reads inside.
pub(crate) fn to_json<T: Serialize>(column: &'static str, value: &T) -> Result<String, StoreError> {
    serde_json::to_string(value).map_err(|_| StoreError::Unfit { column })
}

/// Parses JSON text; `None` when the text is invalid.
pub(crate) fn from_json<T: DeserializeOwned>(text: &str) -> Option<T> {
    serde_json::from_str(text).ok()
}

/// Parses an optional column: `Some(None)` for NULL, `None` for an invalid value.
#[expect(clippy::option_option, reason = "empty and impossible are two things")]
pub(crate) fn parse_optional<S, T>(
    value: Option<S>,
    parse: impl FnOnce(S) -> Option<T>,
) -> Option<Option<T>> {
    value.map_or(Some(None), |value| parse(value).map(Some))
}

/// Converts an optional column to a time.
pub(crate) fn timestamp(at: Option<i64>) -> Option<Timestamp> {
    at.map(Timestamp::from_millis)
}

/// Returns the kind and the name of an actor, for two columns.
pub(crate) fn actor_columns(actor: &Actor) -> (&'static str, Option<String>) {
    match actor {
        Actor::User(user) => ("user", user.as_ref().map(ToString::to_string)),
        Actor::Key(key) => ("key", Some(key.to_string())),
        Actor::Link(link) => ("link", Some(link.to_string())),
        Actor::Operator => ("operator", None),
        Actor::System => ("system", None),
    }
}

/// Parses the two columns of an actor; `None` when they do not match.
pub(crate) fn actor(kind: &str, name: Option<&str>) -> Option<Actor> {
    match (kind, name) {
        ("user", None) => Some(Actor::User(None)),
        ("user", Some(name)) => UserId::parse(name).map(|user| Actor::User(Some(user))),
        ("key", Some(name)) => KeyId::parse(name).map(Actor::Key),
        ("link", Some(name)) => LinkId::parse(name).map(Actor::Link),
        ("operator", None) => Some(Actor::Operator),
        ("system", None) => Some(Actor::System),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_actor_round_trips() {
        let actors = [
            Actor::User(None),
            Actor::User(UserId::parse("u-1")),
            Actor::Key(KeyId::from_bits(7)),
            Actor::Link(LinkId::from_bits(8)),
            Actor::Operator,
            Actor::System,
        ];
        for who in actors {
            let (kind, name) = actor_columns(&who);
            assert_eq!(actor(kind, name.as_deref()), Some(who));
        }
        for (kind, name) in [
            ("ghost", None),
            ("key", None),
            ("key", Some("x")),
            ("link", None),
            ("system", Some("x")),
        ] {
            assert_eq!(actor(kind, name), None, "{kind} {name:?}");
        }
    }

    #[test]
    fn counter_beyond_the_column_is_rejected() {
        assert!(to_bigint("sessions.epoch", u64::MAX).is_err());
        assert_eq!(from_bigint::<u64>(-1), None);
        assert_eq!(from_bigint::<u32>(i64::MAX), None);
    }
}
