//! Bytes as hexadecimal digits, for lists of rows that are JSON text.

use std::fmt::Write as _;

/// Returns two lower digits for each byte.
pub(crate) fn hex(bytes: &[u8]) -> String {
    let mut digits = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        // Writing to a `String` does not fail.
        let _ = write!(digits, "{byte:02x}");
    }
    digits
}
