//! [`TraceParent`]: the header `traceparent` of W3C Trace Context, which clients send, routers log and
//! pass on, and nodes log.

/// The name of the header.
pub const TRACE_PARENT: &str = "traceparent";
/// The length of the known part: version, trace id, parent id and flags.
const LENGTH: usize = 55;

/// A valid value of the header (W3C Trace Context, section 3.2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TraceParent(String);

impl TraceParent {
    /// Parses a value; `None` for an invalid one, which receivers ignore. Of a newer version, only
    /// the known part is used.
    pub fn parse(text: &str) -> Option<Self> {
        let (known, rest) = text.split_at_checked(LENGTH)?;
        let mut parts = known.split('-');
        let mut part = |length: usize| {
            let part = parts.next()?;
            let is_hex = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
            (part.len() == length && part.bytes().all(is_hex)).then_some(part)
        };
        let (version, trace, parent, _flags) = (part(2)?, part(32)?, part(16)?, part(2)?);
        let is_zero = |part: &str| part.bytes().all(|byte| byte == b'0');
        let has_known_end = rest.is_empty() || (version != "00" && rest.starts_with('-'));
        let is_valid = version != "ff" && !is_zero(trace) && !is_zero(parent) && has_known_end;
        is_valid.then(|| Self(known.to_owned()))
    }

    /// Returns the value for a further request.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the id of the trace, 32 hexadecimal digits.
    pub fn trace_id(&self) -> &str {
        self.0.get(3..35).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const VALUE: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn valid_value_has_a_trace_id() {
        let value = TraceParent::parse(VALUE).unwrap();
        assert_eq!((value.as_str(), value.trace_id()), (VALUE, "4bf92f3577b34da6a3ce929d0e0e4736"));
        let newer = format!("cc{}-what-is-new", &VALUE[2..]);
        assert_eq!(TraceParent::parse(&newer).unwrap().trace_id(), value.trace_id());
    }

    #[test]
    fn invalid_value_is_ignored() {
        for text in [
            "",
            "00",
            &VALUE[..54],
            &format!("{VALUE}-more"),
            &format!("{VALUE}0"),
            &VALUE.to_uppercase(),
            &VALUE.replacen("00", "ff", 1),
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "00-4bf92f3577b34da6a3ce929d0e0e473--0f067aa0ba902b7-01-",
            "é".repeat(40).as_str(),
        ] {
            assert_eq!(TraceParent::parse(text), None, "{text}");
        }
    }
}
