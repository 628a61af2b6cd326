//! Numbers as fixed-width base62. The text has letters and digits only: a double click selects a
//! whole key, and no shell, URL or log changes it.

const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// Encodes the big-endian number in `bytes` as exactly `width` digits. Digits beyond `width` are
/// lost; callers pass the width that their number needs.
pub(crate) fn encode(bytes: &[u8], width: usize) -> String {
    let mut number = bytes.to_vec();
    let mut digits = vec![0; width];
    for digit in digits.iter_mut().rev() {
        let mut remainder = 0_u16;
        for byte in &mut number {
            let value = (remainder << 8) | u16::from(*byte);
            [_, *byte] = (value / 62).to_be_bytes();
            remainder = value % 62;
        }
        *digit = ALPHABET[usize::from(remainder)];
    }
    digits.into_iter().map(char::from).collect()
}

/// Digits that always fit into one limb: 62^10 < 2^64.
const DIGITS_PER_LIMB: usize = 10;
/// Limbs of 64 bits in the largest supported number (256 bits).
const MAX_LIMBS: usize = 4;

/// Decodes a number of `N` bytes, big-endian. Returns `None` for characters outside base62 and for
/// numbers of more than `N` bytes. At a fixed width every number has exactly one text.
///
/// Works on limbs, unlike [`encode`], because every request with an API key calls this function.
pub(crate) fn decode<const N: usize>(text: &str) -> Option<[u8; N]> {
    const { assert!(N <= MAX_LIMBS * 8) };
    // Least significant limb first.
    let mut limbs = [0_u64; MAX_LIMBS];
    for symbols in text.as_bytes().chunks(DIGITS_PER_LIMB) {
        let (mut carry, mut scale) = (0_u64, 1_u64);
        for symbol in symbols {
            carry = carry * 62 + u64::from(value(*symbol)?);
            scale *= 62;
        }
        for limb in &mut limbs {
            let (low, high) = limb.carrying_mul(scale, carry);
            (*limb, carry) = (low, high);
        }
        if carry != 0 {
            return None;
        }
    }
    let mut bytes = [0; MAX_LIMBS * 8];
    for (bytes, limb) in bytes.rchunks_exact_mut(8).zip(limbs) {
        bytes.copy_from_slice(&limb.to_be_bytes());
    }
    let (overflow, number) = bytes.split_at(bytes.len() - N);
    if overflow.iter().any(|byte| *byte != 0) {
        return None;
    }
    number.try_into().ok()
}

fn value(symbol: u8) -> Option<u8> {
    match symbol {
        b'0'..=b'9' => Some(symbol - b'0'),
        b'A'..=b'Z' => Some(symbol - b'A' + 10),
        b'a'..=b'z' => Some(symbol - b'a' + 36),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn decoding_returns_the_encoded_number(secret: [u8; 32], id: [u8; 16], sum: [u8; 4]) {
            prop_assert_eq!(decode::<32>(&encode(&secret, 43)), Some(secret));
            prop_assert_eq!(decode::<16>(&encode(&id, 22)), Some(id));
            prop_assert_eq!(decode::<4>(&encode(&sum, 6)), Some(sum));
        }
    }

    #[test]
    fn widths_hold_the_largest_numbers_and_reject_larger_ones() {
        assert_eq!(decode::<32>(&encode(&[0xff; 32], 43)), Some([0xff; 32]));
        assert_eq!(decode::<16>(&encode(&[0xff; 16], 22)), Some([0xff; 16]));
        assert_eq!(decode::<4>(&encode(&[0xff; 4], 6)), Some([0xff; 4]));
        assert_eq!(decode::<32>(&"z".repeat(43)), None);
        assert_eq!(decode::<16>(&"z".repeat(22)), None);
        assert_eq!(decode::<4>("4gfFC4"), None, "one more than 2^32 - 1");
    }

    #[test]
    fn other_symbols_are_rejected() {
        for text in ["a-b", "a_b", "a b", "é", "a/b", "a:b", "a@b", "a[b", "a`b", "a{b"] {
            assert_eq!(decode::<16>(text), None, "{text}");
        }
    }
}
