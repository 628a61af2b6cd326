//! API keys that were never issued, with a correct checksum, so that the router has to look them
//! up.

use anyhow::{Context as _, Result, ensure};

const DIGITS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
const CHECKSUM: usize = 6;

/// Returns the key with the name of one key and the secret of another.
pub(crate) fn with_secret_of(named: &str, other: &str) -> Result<String> {
    let (name, _) = named.rsplit_once('_').context("a key has a secret")?;
    let (_, secret) = other.rsplit_once('_').context("a key has a secret")?;
    let secret = secret.len().checked_sub(CHECKSUM).and_then(|end| secret.get(..end));
    let key = checked(&format!("{name}_{}", secret.context("a key has a checksum")?));
    // A wrong checksum would be refused before the lookup.
    ensure!(
        checked(&named[..named.len() - CHECKSUM]) == named,
        "another checksum than that of API keys"
    );
    Ok(key)
}

/// Returns the key with another checksum.
pub(crate) fn mistyped(key: &str) -> String {
    let last = if key.ends_with('0') { '1' } else { '0' };
    let mut typo = key[..key.len() - 1].to_owned();
    typo.push(last);
    typo
}

fn checked(body: &str) -> String {
    let mut rest = crc32(body.as_bytes());
    let mut digits = [b'0'; CHECKSUM];
    for digit in digits.iter_mut().rev() {
        *digit = DIGITS[usize::try_from(rest % 62).unwrap_or_default()];
        rest /= 62;
    }
    digits.iter().fold(body.to_owned(), |mut text, digit| {
        text.push(char::from(*digit));
        text
    })
}

fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0, |sum, byte| {
        (0..8).fold(sum ^ u32::from(*byte), |sum, _| {
            (sum >> 1) ^ (0xedb8_8320 & (sum & 1).wrapping_neg())
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checksum_is_crc32() {
        assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
        let zero = checked("wa_0000000000000000000000_0000000000000000000000000000000000000000000");
        assert_eq!(zero.len(), 3 + 22 + 1 + 43 + 6);
    }

    #[test]
    fn swapped_secret_has_a_correct_checksum() {
        let [one, other] =
            ["a", "b"].map(|letter| checked(&format!("wa_id{letter}_{letter}secret")));
        let forged = with_secret_of(&one, &other).unwrap();
        assert!(forged.starts_with("wa_ida_bsecret") && forged == checked("wa_ida_bsecret"));
        assert!(with_secret_of(&mistyped(&one), &other).is_err());
    }
}
