//! Numbers as fixed-width base62: letters and digits alone, so that a double click selects a whole
//! key and no shell, URL or log mangles it.

const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// The big-endian number in `bytes` as exactly `width` digits; what does not fit is lost, so
/// callers pass the width their size needs.
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

/// Digits that fit into a limb, whatever they are: 62^10 < 2^64.
const AT_ONCE: usize = 10;
/// The largest number there is, in limbs of 64 bits.
const LIMBS: usize = 4;

/// The number back; `None` for anything but base62, and for a number of more than `N` bytes. In a
/// fixed width, every number has exactly one spelling. Every request with a key comes through here:
/// hence by limbs, and not by bytes as [`encode`].
pub(crate) fn decode<const N: usize>(text: &str) -> Option<[u8; N]> {
    const { assert!(N <= LIMBS * 8) };
    // The least first.
    let mut limbs = [0_u64; LIMBS];
    for symbols in text.as_bytes().chunks(AT_ONCE) {
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
    let mut bytes = [0; LIMBS * 8];
    for (bytes, limb) in bytes.rchunks_exact_mut(8).zip(limbs) {
        bytes.copy_from_slice(&limb.to_be_bytes());
    }
    let (beyond, number) = bytes.split_at(bytes.len() - N);
    if beyond.iter().any(|byte| *byte != 0) {
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
        fn a_number_comes_back(secret: [u8; 32], id: [u8; 16], sum: [u8; 4]) {
            prop_assert_eq!(decode::<32>(&encode(&secret, 43)), Some(secret));
            prop_assert_eq!(decode::<16>(&encode(&id, 22)), Some(id));
            prop_assert_eq!(decode::<4>(&encode(&sum, 6)), Some(sum));
        }
    }

    #[test]
    fn the_widths_hold_the_largest_numbers_and_nothing_larger() {
        assert_eq!(decode::<32>(&encode(&[0xff; 32], 43)), Some([0xff; 32]));
        assert_eq!(decode::<16>(&encode(&[0xff; 16], 22)), Some([0xff; 16]));
        assert_eq!(decode::<4>(&encode(&[0xff; 4], 6)), Some([0xff; 4]));
        assert_eq!(decode::<32>(&"z".repeat(43)), None);
        assert_eq!(decode::<16>(&"z".repeat(22)), None);
        assert_eq!(decode::<4>("4gfFC4"), None, "one more than 2^32 - 1");
    }

    #[test]
    fn other_symbols_are_no_digits() {
        for text in ["a-b", "a_b", "a b", "é", "a/b", "a:b", "a@b", "a[b", "a`b", "a{b"] {
            assert_eq!(decode::<16>(text), None, "{text}");
        }
    }
}
