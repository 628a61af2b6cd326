//! The host of a webhook URL: a name or an address.

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

/// The maximum length of a name, RFC 1035.
const MAX_NAME: usize = 253;
/// The maximum length of a part of a name, RFC 1035.
const MAX_LABEL: usize = 63;

/// A name in lower case without a trailing dot, or an address.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Host {
    /// A name in ASCII.
    Name(String),
    /// An address, without a scope id.
    Address(IpAddr),
}

/// The error for a text that is no host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidHost {
    /// The text is empty.
    #[error("must not be empty")]
    Empty,
    /// The name is longer than 253 characters, or a part of the name is longer than 63.
    #[error("must have at most 253 characters, and at most 63 between two dots")]
    TooLong,
    /// The name has a letter outside ASCII.
    #[error("must be ASCII; write an international name in its xn-- form")]
    NotAscii,
    /// The name has a character or a part that no name has.
    #[error("must be a name of letters, digits, hyphens and dots, or an address")]
    Syntax,
    /// The text is an IPv4 address in a short, octal, decimal or hexadecimal form.
    #[error("must be a name, or an IPv4 address of four decimal numbers")]
    Ipv4Form,
    /// The brackets contain no IPv6 address, or one with a scope id.
    #[error("must have an IPv6 address without a scope id between the brackets")]
    Ipv6Form,
}

impl Host {
    /// Parses a host as it stands in a URL: an IPv6 address stands in brackets. One trailing dot
    /// is cut.
    ///
    /// A name whose last part is a number is rejected, as the WHATWG URL standard demands ("ends in
    /// a number"): resolvers read such names as addresses.
    ///
    /// # Errors
    /// [`InvalidHost`].
    pub fn parse(text: &str) -> Result<Self, InvalidHost> {
        if let Some(address) = text.strip_prefix('[') {
            let address = address.strip_suffix(']').ok_or(InvalidHost::Ipv6Form)?;
            let address: Ipv6Addr = address.parse().map_err(|_| InvalidHost::Ipv6Form)?;
            return Ok(Self::Address(address.into()));
        }
        let text = text.strip_suffix('.').unwrap_or(text);
        if text.is_empty() {
            return Err(InvalidHost::Empty);
        }
        if !text.is_ascii() {
            return Err(InvalidHost::NotAscii);
        }
        if text.len() > MAX_NAME || text.split('.').any(|label| label.len() > MAX_LABEL) {
            return Err(InvalidHost::TooLong);
        }
        if text.split('.').any(|label| !is_label(label)) {
            return Err(InvalidHost::Syntax);
        }
        let name = text.to_ascii_lowercase();
        if !name.rsplit('.').next().is_some_and(is_number) {
            return Ok(Self::Name(name));
        }
        let address: Ipv4Addr = name.parse().map_err(|_| InvalidHost::Ipv4Form)?;
        Ok(Self::Address(address.into()))
    }
}

/// Returns whether the label consists of letters, digits, hyphens and underscores. Underscores
/// occur in names of containers.
fn is_label(label: &str) -> bool {
    let inner = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    !label.is_empty()
        && !label.starts_with('-')
        && !label.ends_with('-')
        && label.bytes().all(inner)
}

fn is_number(label: &str) -> bool {
    match label.strip_prefix("0x") {
        Some(digits) => digits.bytes().all(|byte| byte.is_ascii_hexdigit()),
        None => label.bytes().all(|byte| byte.is_ascii_digit()),
    }
}

/// The form of a URL: an IPv6 address stands in brackets.
impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => f.write_str(name),
            Self::Address(IpAddr::V4(address)) => address.fmt(f),
            Self::Address(IpAddr::V6(address)) => write!(f, "[{address}]"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn name_loses_case_and_one_trailing_dot() {
        for (text, expected) in [
            ("Example.COM", "example.com"),
            ("example.com.", "example.com"),
            ("n8n", "n8n"),
            ("my_service-1", "my_service-1"),
            ("xn--bcher-kva.example", "xn--bcher-kva.example"),
            ("1.example", "1.example"),
            ("0x7f.0x1.example", "0x7f.0x1.example"),
            ("127.0.0.1.", "127.0.0.1"),
            ("[::FFFF:127.0.0.1]", "[::ffff:127.0.0.1]"),
            ("[2001:DB8:0::1]", "[2001:db8::1]"),
        ] {
            assert_eq!(Host::parse(text).unwrap().to_string(), expected);
        }
    }

    #[test]
    fn invalid_host_is_rejected() {
        let long_label = "a".repeat(64);
        let long_name = ["a"; 128].join(".");
        for (text, expected) in [
            ("", InvalidHost::Empty),
            (".", InvalidHost::Empty),
            ("a..b", InvalidHost::Syntax),
            ("example.com..", InvalidHost::Syntax),
            (".example.com", InvalidHost::Syntax),
            ("-a.example", InvalidHost::Syntax),
            ("a-.example", InvalidHost::Syntax),
            ("a b", InvalidHost::Syntax),
            ("a%41", InvalidHost::Syntax),
            ("a\0b", InvalidHost::Syntax),
            ("a@b", InvalidHost::Syntax),
            ("::1", InvalidHost::Syntax),
            ("bücher.example", InvalidHost::NotAscii),
            ("１２７.0.0.1", InvalidHost::NotAscii),
            (&long_label, InvalidHost::TooLong),
            (&long_name, InvalidHost::TooLong),
            ("2130706433", InvalidHost::Ipv4Form),
            ("127.1", InvalidHost::Ipv4Form),
            ("0177.0.0.1", InvalidHost::Ipv4Form),
            ("127.0.0.01", InvalidHost::Ipv4Form),
            ("0x7f000001", InvalidHost::Ipv4Form),
            ("0X7F.1", InvalidHost::Ipv4Form),
            ("0x7f.0.0.0x1", InvalidHost::Ipv4Form),
            ("example.0x", InvalidHost::Ipv4Form),
            ("256.0.0.1", InvalidHost::Ipv4Form),
            ("1.2.3.4.5", InvalidHost::Ipv4Form),
            ("[::1", InvalidHost::Ipv6Form),
            ("[]", InvalidHost::Ipv6Form),
            ("[127.0.0.1]", InvalidHost::Ipv6Form),
            ("[fe80::1%1]", InvalidHost::Ipv6Form),
            ("[fe80::1%25eth0]", InvalidHost::Ipv6Form),
            ("[::1]x", InvalidHost::Ipv6Form),
        ] {
            assert_eq!(Host::parse(text), Err(expected), "{text}");
        }
    }
}
