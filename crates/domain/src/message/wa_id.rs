//! Ids of messages at WhatsApp: new ones, and those that senders chose.

use crate::id::WaMessageId;

/// Beginning of the ids that WhatsApp's linked devices choose.
const PREFIX: &str = "3EB0";
/// Maximum number of bytes of an id.
const MAX_BYTES: usize = 128;

impl WaMessageId {
    /// Creates an id as linked devices do: a prefix and 18 hexadecimal digits. `bits` must differ
    /// between calls.
    pub fn mint(bits: u128) -> Self {
        let low = u64::try_from(bits & u128::from(u64::MAX)).unwrap_or_default();
        let high = u64::try_from(bits >> 64).unwrap_or_default();
        // Bits of one millisecond differ in the lowest digits only. Both steps are one-to-one in
        // `low`.
        let first = mix(low);
        let last = mix(first ^ high) & 0xff;
        Self::cleaned(&format!("{PREFIX}{first:016X}{last:02X}"))
    }

    /// Returns the id of another sender, without control characters and cut at 128 bytes. The id `-`
    /// stands for an id without visible characters.
    pub fn cleaned(text: &str) -> Self {
        let mut visible: String = text.chars().filter(|c| !c.is_control()).collect();
        let mut end = visible.len().min(MAX_BYTES);
        while !visible.is_char_boundary(end) {
            end -= 1;
        }
        visible.truncate(end);
        let id = if visible.is_empty() { Self::parse("-") } else { Self::parse(&visible) };
        id.unwrap_or_else(|| Self::mint(0))
    }
}

/// Distributes the differences of close numbers over all bits (the finalizer of `MurmurHash3`).
fn mix(mut bits: u64) -> u64 {
    bits = (bits ^ (bits >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    bits = (bits ^ (bits >> 33)).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    bits ^ (bits >> 33)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn new_ids_have_the_form_of_linked_devices_and_differ() {
        let ids: BTreeSet<_> =
            (0..1_000_u128).map(|bits| WaMessageId::mint(7 << 80 | bits)).collect();
        assert_eq!(ids.len(), 1_000);
        for id in &ids {
            let digits = id.as_str().strip_prefix("3EB0").unwrap();
            assert!(digits.len() == 18 && digits.bytes().all(|b| b"0123456789ABCDEF".contains(&b)));
        }
    }

    #[test]
    fn ids_of_other_senders_are_cleaned() {
        assert_eq!(WaMessageId::cleaned("AC1\u{0}2").as_str(), "AC12");
        assert_eq!(WaMessageId::cleaned("").as_str(), "-");
        assert_eq!(WaMessageId::cleaned(&"🧾".repeat(40)).as_str().len(), 128);
        assert_eq!(WaMessageId::cleaned(&"é".repeat(127)).as_str().len(), 128);
    }
}
