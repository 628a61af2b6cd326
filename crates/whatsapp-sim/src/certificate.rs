//! The certificate chain that a client verifies in the handshake: the root signs the intermediate,
//! which signs the leaf. A client that trusts this root verifies the chain as it verifies
//! WhatsApp's own.

use crate::clock;
use crate::encoding::Base64Text;
use crate::keys::{self, Key};
use serde::{Deserialize, Serialize};
use wacore::libsignal::protocol::{CurveError, KeyPair};
use waproto::buffa::{Message as _, MessageField};
use waproto::whatsapp::CertChain;
use waproto::whatsapp::cert_chain::{NoiseCertificate, noise_certificate::Details};

const ROOT_SERIAL: u32 = 0;
const INTERMEDIATE_SERIAL: u32 = 1;
const LEAF_SERIAL: u32 = 2;
const DAY: u64 = 86_400;

/// The private keys of the chain, as the state file stores them.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct CertificateKeys {
    root: Base64Text<Key>,
    intermediate: Base64Text<Key>,
    server: Base64Text<Key>,
}

impl CertificateKeys {
    /// Derives the keys from a seed, or generates new keys.
    pub(crate) fn make(seed: Option<&str>) -> Result<Self, CurveError> {
        let key = |purpose| match seed {
            Some(seed) => keys::seeded(seed, purpose),
            None => Ok(keys::generate()),
        };
        let private =
            |purpose| Ok::<_, CurveError>(Base64Text(*key(purpose)?.private_key.serialize()));
        Ok(Self {
            root: private("root")?,
            intermediate: private("intermediate")?,
            server: private("server")?,
        })
    }
}

/// The key pair of the server with its certificate chain.
#[derive(Clone)]
pub(crate) struct Credentials {
    pub(crate) keys: CertificateKeys,
    /// The static key of the handshake.
    pub(crate) server: KeyPair,
    /// The encoded chain.
    pub(crate) chain: Vec<u8>,
    /// The public key of the root.
    pub(crate) anchor: Key,
}

impl Credentials {
    /// Signs the intermediate with the root, and the server's key with the intermediate.
    pub(crate) fn make(keys: CertificateKeys) -> Result<Self, CurveError> {
        let root = keys::pair(&keys.root.0)?;
        let intermediate = keys::pair(&keys.intermediate.0)?;
        let server = keys::pair(&keys.server.0)?;
        let chain = CertChain {
            intermediate: certify(&root, ROOT_SERIAL, INTERMEDIATE_SERIAL, &intermediate)?,
            leaf: certify(&intermediate, INTERMEDIATE_SERIAL, LEAF_SERIAL, &server)?,
        };
        let anchor = keys::public(&root);
        Ok(Self { keys, server, chain: chain.encode_to_vec(), anchor })
    }
}

fn certify(
    issuer: &KeyPair,
    issuer_serial: u32,
    serial: u32,
    subject: &KeyPair,
) -> Result<MessageField<NoiseCertificate>, CurveError> {
    let now = clock::seconds();
    let details = Details {
        serial: Some(serial),
        issuer_serial: Some(issuer_serial),
        key: Some(keys::public(subject).to_vec()),
        not_before: Some(now.saturating_sub(DAY)),
        not_after: Some(now + 3650 * DAY),
    }
    .encode_to_vec();
    let signature = keys::sign(issuer, &[&details])?;
    Ok(MessageField::some(NoiseCertificate { details: Some(details), signature: Some(signature) }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made(seed: Option<&str>) -> Credentials {
        Credentials::make(CertificateKeys::make(seed).unwrap()).unwrap()
    }

    fn details(certificate: &NoiseCertificate) -> Details {
        Details::decode_from_slice(certificate.details.as_deref().unwrap()).unwrap()
    }

    fn vouches(issuer: &Key, certificate: &NoiseCertificate) -> bool {
        let (details, signature) = (&certificate.details, &certificate.signature);
        keys::verify(issuer, &[details.as_deref().unwrap()], signature.as_deref().unwrap())
    }

    #[test]
    fn chain_is_signed_from_the_root_to_the_server_key() {
        let made = made(None);
        let chain = CertChain::decode_from_slice(&made.chain[..]).unwrap();
        let (intermediate, leaf) =
            (chain.intermediate.into_option().unwrap(), chain.leaf.into_option().unwrap());
        assert!(vouches(&made.anchor, &intermediate));
        let middle = details(&intermediate);
        assert!(vouches(&middle.key.clone().unwrap().try_into().unwrap(), &leaf));
        assert_eq!(details(&leaf).key.unwrap(), keys::public(&made.server));
        assert_eq!((middle.issuer_serial, middle.serial), (Some(0), details(&leaf).issuer_serial));
    }

    #[test]
    fn other_root_does_not_verify_the_chain() {
        let (ours, theirs) = (made(None), made(None));
        let chain = CertChain::decode_from_slice(&ours.chain[..]).unwrap();
        assert!(!vouches(&theirs.anchor, &chain.intermediate.into_option().unwrap()));
    }

    #[test]
    fn seed_determines_the_keys() {
        let [one, same, other] = ["seed", "seed", "another"].map(|seed| made(Some(seed)));
        assert_eq!(one.anchor, same.anchor);
        assert_eq!(keys::public(&one.server), keys::public(&same.server));
        assert_ne!(one.anchor, other.anchor);
        assert_ne!(one.anchor, keys::public(&one.server));
    }
}
