//! Cases with invalid signatures, and the twin of an ECDSA signature, which is valid.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::Algorithm;

use crate::{
    hostile::{Case, Keys, SIGNATURE},
    signer::{Signer, claims, encode},
    world::World,
};

/// The order of P-256 in big-endian hexadecimal.
const P256: &str = "ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551";
/// The order of P-384 in big-endian hexadecimal.
const P384: &str = "ffffffffffffffffffffffffffffffffffffffffffffffff\
                    c7634d81f4372ddf581a0db248b0a77aecec196accc52973";
/// The order of the Ed25519 group in little-endian hexadecimal.
const ED25519: &str = "edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010";

fn hex(digits: &str) -> Vec<u8> {
    let pairs = digits.as_bytes().chunks(2).map(|pair| std::str::from_utf8(pair).unwrap());
    pairs.map(|pair| u8::from_str_radix(pair, 16).unwrap()).collect()
}

/// Returns `most` minus `part`, both big-endian and of one length.
fn minus(most: &[u8], part: &[u8]) -> Vec<u8> {
    let mut borrow = 0;
    let mut digits: Vec<_> = most
        .iter()
        .zip(part)
        .rev()
        .map(|(most, part)| {
            let digit = i16::from(*most) - i16::from(*part) - borrow;
            borrow = i16::from(digit < 0);
            u8::try_from(digit & 0xff).unwrap()
        })
        .collect();
    digits.reverse();
    digits
}

/// Returns the sum of `one` and `other`, both little-endian and of one length.
fn plus(one: &[u8], other: &[u8]) -> Vec<u8> {
    let mut carry = 0;
    one.iter()
        .zip(other)
        .map(|(one, other)| {
            let [high, low] = (u16::from(*one) + u16::from(*other) + carry).to_be_bytes();
            carry = u16::from(high);
            low
        })
        .collect()
}

/// Returns the signed text of a valid token and its signature in bytes.
fn split_token(signer: &Signer) -> (String, Vec<u8>) {
    let token = signer.token(&claims());
    let (message, signature) = token.rsplit_once('.').unwrap();
    (message.to_owned(), URL_SAFE_NO_PAD.decode(signature).unwrap())
}

/// Returns cases with invalid signatures.
pub(crate) fn signatures(keys: &Keys) -> Vec<Case> {
    let mut cases = Vec::new();
    for (signer, order) in [(&keys.ec, P256), (&keys.ec384, P384)] {
        let (message, raw) = split_token(signer);
        let (order, half) = (hex(order), raw.len() / 2);
        let with = |r: &[u8], s: &[u8]| format!("{message}.{}", encode([r, s].concat()));
        let (r, s) = raw.split_at(half);
        let (zeros, ones) = (vec![0; half], vec![0xff; half]);
        let mut flipped = s.to_vec();
        flipped[half - 1] ^= 1;
        // ASN.1, the encoding of the two numbers in other protocols.
        let number = |number: &[u8]| [&[2, u8::try_from(half).unwrap()], number].concat();
        let numbers = [number(r), number(s)].concat();
        let der = [&[0x30, u8::try_from(numbers.len()).unwrap()], numbers.as_slice()].concat();
        cases.extend([
            ("ECDSA of r = s = 0", with(&zeros, &zeros), SIGNATURE),
            ("ECDSA of r = 0", with(&zeros, s), SIGNATURE),
            ("ECDSA of s = 0", with(r, &zeros), SIGNATURE),
            ("ECDSA of r = n", with(&order, s), SIGNATURE),
            ("ECDSA of s = n", with(r, &order), SIGNATURE),
            ("ECDSA of r = s = n", with(&order, &order), SIGNATURE),
            ("ECDSA of all ones", with(&ones, &ones), SIGNATURE),
            ("ECDSA with its numbers swapped", with(s, r), SIGNATURE),
            ("ECDSA with r less than nothing", with(&minus(&order, r), s), SIGNATURE),
            ("ECDSA in ASN.1", with(&der, &[]), SIGNATURE),
            ("one bit changed", with(r, &flipped), SIGNATURE),
            ("a byte behind the signature", with(&raw, &[0]), SIGNATURE),
            ("a byte before the signature", with(&[0], &raw), SIGNATURE),
            (
                "a zero before each number",
                with(&[&[0], r].concat(), &[&[0], s].concat()),
                SIGNATURE,
            ),
            ("a byte less", with(&raw[..raw.len() - 1], &[]), SIGNATURE),
            ("the first number alone", with(r, &[]), SIGNATURE),
            ("the signature twice", with(&raw, &raw), SIGNATURE),
            ("one byte for a signature", with(&[0], &[]), SIGNATURE),
        ]);
    }
    cases.extend(edwards(&keys.ed));
    cases.extend(rsa(&keys.rsa));
    cases
}

/// Returns cases for Ed25519. A signature has two numbers; the second has one canonical encoding.
fn edwards(ed: &Signer) -> Vec<Case> {
    let (message, raw) = split_token(ed);
    let with = |signature: &[u8]| format!("{message}.{}", encode(signature));
    let (r, s) = raw.split_at(32);
    let identity = [[1].as_slice(), &[0; 63]].concat();
    vec![
        ("EdDSA of zeros", with(&[0; 64]), SIGNATURE),
        ("EdDSA of the identity", with(&identity), SIGNATURE),
        (
            "EdDSA of s and the group's order",
            with(&[r, &plus(s, &hex(ED25519))].concat()),
            SIGNATURE,
        ),
        ("EdDSA with its halves swapped", with(&[s, r].concat()), SIGNATURE),
        ("EdDSA and a byte", with(&[raw.as_slice(), &[0]].concat()), SIGNATURE),
        ("half an EdDSA", with(r), SIGNATURE),
    ]
}

fn rsa(rsa: &Signer) -> Vec<Case> {
    let (message, raw) = split_token(rsa);
    let with = |signature: &[u8]| format!("{message}.{}", encode(signature));
    let one = [vec![0; 255], vec![1]].concat();
    vec![
        ("RSA of zeros", with(&[0; 256]), SIGNATURE),
        ("RSA of one", with(&one), SIGNATURE),
        ("RSA of all ones", with(&[0xff; 256]), SIGNATURE),
        ("RSA and a zero before", with(&[[0].as_slice(), &raw].concat()), SIGNATURE),
        ("RSA and a zero behind", with(&[raw.as_slice(), &[0]].concat()), SIGNATURE),
        ("RSA less a byte", with(&raw[1..]), SIGNATURE),
    ]
}

/// A third party that has (r, s) can compute (r, n − s). JWS has no rule for the choice, and half
/// of all honest tokens have the higher s. Both texts are accepted and give the same caller.
#[tokio::test]
async fn twin_of_an_ecdsa_signature_gives_the_same_caller() {
    for (algorithm, order) in [(Algorithm::ES256, P256), (Algorithm::ES384, P384)] {
        let signer = Signer::new(algorithm, "k1");
        let world = World::with_keys(&[signer.jwk()]).await;
        for _ in 0..8 {
            let (message, raw) = split_token(&signer);
            let (r, s) = raw.split_at(raw.len() / 2);
            let twin = [r, &minus(&hex(order), s)].concat();
            let [honest, twin] =
                [raw.clone(), twin].map(|raw| format!("{message}.{}", encode(raw)));
            assert_ne!(honest, twin);
            let first = world.bearer(&honest).await.unwrap();
            assert_eq!(world.bearer(&twin).await.unwrap(), first, "{algorithm:?}");
        }
    }
}
