//! The phone's side of end-to-end encryption, for messages to and from linked devices. A peer is a
//! device, by the number of its account: both addresses of an account share one session.

use crate::keys::{self, Key};
use crate::prekeys::{PublishedKeys, UploadedKeys};
use crate::signal_store::SignalStores;
use crate::stanza::{leaf, parent};
use futures_util::FutureExt;
use std::collections::BTreeSet;
use wacore::libsignal::protocol::error::SignalProtocolError;
use wacore::libsignal::protocol::{
    CiphertextMessage, CurveError, IdentityKey, KeyPair, PreKeyBundle, PreKeySignalMessage,
    ProtocolAddress, SessionRecord, SignalMessage, UsePQRatchet, message_decrypt, message_encrypt,
    process_prekey_bundle,
};
use wacore::messages::MessageUtils;
use wacore_binary::Node;
use wacore_binary::builder::NodeBuilder;

/// The number of an account and the id of its device.
pub(crate) type Peer = (String, u32);

/// Why a message could not be encrypted or decrypted.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PhoneSignalError {
    #[error("the ciphertext was decrypted before")]
    Repeated,
    #[error(transparent)]
    Protocol(SignalProtocolError),
    #[error(transparent)]
    Curve(#[from] CurveError),
    #[error("the padding of the plain text is wrong: {0}")]
    Padding(String),
    #[error("a store in memory did not answer at once")]
    Stalled,
}

impl From<SignalProtocolError> for PhoneSignalError {
    fn from(error: SignalProtocolError) -> Self {
        match error {
            SignalProtocolError::DuplicatedMessage(..) => Self::Repeated,
            other => Self::Protocol(other),
        }
    }
}

/// The Signal state of one phone.
pub(crate) struct Signal {
    account: Key,
    stores: SignalStores,
    /// Peers whose session has changed since the last call of `take_changed`.
    changed: BTreeSet<Peer>,
}

impl Signal {
    pub(crate) fn new(account: &KeyPair) -> Result<Self, CurveError> {
        let stores = SignalStores::new(account)?;
        Ok(Self { account: keys::public(account), stores, changed: BTreeSet::new() })
    }

    /// Returns the phone's registration id.
    pub(crate) fn registration(&self) -> u32 {
        self.stores.identities.registration
    }

    /// Returns the phone's entry for the answer to a key request.
    pub(crate) fn bundle(&self, jid: &str) -> Node {
        let mut children = vec![leaf("registration", self.registration().to_be_bytes())];
        children.extend(self.public_keys());
        NodeBuilder::new("user").attr("jid", jid).children(children).build()
    }

    /// Returns the keys by which another device opens a session with the phone.
    pub(crate) fn public_keys(&self) -> [Node; 4] {
        let stores = &self.stores;
        let id = || leaf("id", [0, 0, 1]);
        let value = |key: Key| leaf("value", key);
        let signature = leaf("signature", stores.signature.clone());
        [
            leaf("type", [5]),
            leaf("identity", self.account),
            parent("key", [id(), value(stores.one_time_public)]),
            parent("skey", [id(), value(stores.signed_public), signature]),
        ]
    }

    /// Forgets the session with a device, so that the next message opens a new one.
    pub(crate) fn forget(&mut self, peer: &Peer) {
        if self.stores.sessions.0.remove(&address(peer)).is_some() {
            self.changed.insert(peer.clone());
        }
    }

    /// Forgets all sessions.
    pub(crate) fn forget_all(&mut self) {
        for (address, _) in self.stores.sessions.0.drain() {
            self.changed.insert((address.name().to_owned(), address.device_id().into()));
        }
    }

    /// Returns the peers whose session has changed since the last call, each with the encoded
    /// session; `None` for a forgotten one.
    pub(crate) fn take_changed(&mut self) -> Vec<(Peer, Option<Vec<u8>>)> {
        let encoded = |peer: Peer| {
            let record = self.stores.sessions.0.get(&address(&peer));
            let bytes = record.and_then(|record| record.serialize().ok());
            (peer, bytes)
        };
        std::mem::take(&mut self.changed).into_iter().map(encoded).collect()
    }

    /// Forgets which sessions have changed.
    pub(crate) fn forget_changes(&mut self) {
        self.changed.clear();
    }

    /// Returns all sessions, encoded.
    pub(crate) fn sessions(&self) -> impl Iterator<Item = (Peer, Vec<u8>)> {
        self.stores.sessions.0.iter().filter_map(|(address, record)| {
            let peer = (address.name().to_owned(), address.device_id().into());
            Some((peer, record.serialize().ok()?))
        })
    }

    /// Restores a session of an earlier run; `None` forgets it.
    pub(crate) fn restore(&mut self, peer: &Peer, session: Option<&[u8]>) {
        match session.map(SessionRecord::deserialize) {
            Some(Ok(record)) => {
                self.stores.sessions.0.insert(address(peer), record);
            }
            Some(Err(error)) => tracing::warn!(%error, ?peer, "a stored session is unreadable"),
            None => {
                self.stores.sessions.0.remove(&address(peer));
            }
        }
    }

    /// Opens a new session with the keys that a device published.
    pub(crate) fn open_session(
        &mut self,
        peer: &Peer,
        keys: &PublishedKeys,
    ) -> Result<(), PhoneSignalError> {
        let (to, stores) = (address(peer), &mut self.stores);
        let bundle = prekey_bundle(peer.1, keys)?;
        process_prekey_bundle(
            &to,
            &mut stores.sessions,
            &mut stores.identities,
            &bundle,
            &mut rand::rng(),
            UsePQRatchet::No,
        )
        .now_or_never()
        .ok_or(PhoneSignalError::Stalled)??;
        self.changed.insert(peer.clone());
        Ok(())
    }

    /// Encrypts a padded message for a device. The first message takes a one-time key of the
    /// upload, because a one-time key works for one sender only.
    pub(crate) fn seal(
        &mut self,
        peer: &Peer,
        bundle: &mut UploadedKeys,
        padded: &[u8],
    ) -> Result<SealedText, PhoneSignalError> {
        let to = address(peer);
        if !self.stores.sessions.0.contains_key(&to) {
            let keys = bundle.take_published();
            self.open_session(peer, &keys)?;
        }
        let (sessions, identities) = (&mut self.stores.sessions, &mut self.stores.identities);
        let sealed = message_encrypt(padded, &to, sessions, identities)
            .now_or_never()
            .ok_or(PhoneSignalError::Stalled)??;
        self.changed.insert(peer.clone());
        let first = matches!(sealed, CiphertextMessage::PreKeySignalMessage(_));
        let kind = if first { "pkmsg" } else { "msg" };
        Ok(SealedText { kind, bytes: sealed.serialize().to_vec() })
    }

    /// Decrypts a message of a device to this phone, and removes the padding.
    pub(crate) fn open(
        &mut self,
        peer: &Peer,
        kind: &str,
        sealed: &[u8],
    ) -> Result<Vec<u8>, PhoneSignalError> {
        let sealed = if kind == "pkmsg" {
            CiphertextMessage::PreKeySignalMessage(PreKeySignalMessage::try_from(sealed)?)
        } else {
            CiphertextMessage::SignalMessage(SignalMessage::try_from(sealed)?)
        };
        let stores = &mut self.stores;
        let mut plain = message_decrypt(
            &sealed,
            &address(peer),
            &mut stores.sessions,
            &mut stores.identities,
            &mut stores.one_time,
            &stores.signed,
            &mut rand::rng(),
            UsePQRatchet::No,
        )
        .now_or_never()
        .ok_or(PhoneSignalError::Stalled)??
        .plaintext;
        self.changed.insert(peer.clone());
        let length = MessageUtils::unpadded_message_len(&plain, 2)
            .map_err(|e| PhoneSignalError::Padding(e.to_string()))?;
        plain.truncate(length);
        Ok(plain)
    }
}

/// A ciphertext with its type.
pub(crate) struct SealedText {
    pub(crate) kind: &'static str,
    pub(crate) bytes: Vec<u8>,
}

/// Makes a ciphertext of this type unreadable by a wrong MAC. The form stays valid.
pub(crate) fn garble(kind: &str, bytes: &mut [u8]) {
    let inner = match PreKeySignalMessage::try_from(&*bytes) {
        Ok(outer) if kind == "pkmsg" => outer.message().serialized().to_vec(),
        _ => bytes.to_vec(),
    };
    let at = bytes.windows(inner.len().max(1)).position(|part| part == inner);
    let last = at.map(|at| at + inner.len() - 1);
    if let Some(byte) = last.and_then(|last| bytes.get_mut(last)) {
        *byte ^= 0xff;
    }
}

fn address((number, device): &Peer) -> ProtocolAddress {
    ProtocolAddress::new(number.as_str(), (*device).into())
}

fn prekey_bundle(device: u32, keys: &PublishedKeys) -> Result<PreKeyBundle, PhoneSignalError> {
    let one_time = match &keys.one_time {
        Some((id, key)) => Some(((*id).into(), keys::curve(key)?)),
        None => None,
    };
    Ok(PreKeyBundle::new(
        keys.registration,
        device.into(),
        one_time,
        keys.signed.id.into(),
        keys::curve(&keys.signed.key.0)?,
        keys.signed.signature.0.clone(),
        IdentityKey::new(keys::curve(&keys.identity)?),
    )?)
}
