//! The phone's side of end-to-end encryption, for messages to and from linked devices.

use crate::keys::{self, Key};
use crate::prekeys::UploadedKeys;
use crate::signal_store::SignalStores;
use crate::stanza::{leaf, parent};
use futures_util::FutureExt;
use wacore::libsignal::protocol::error::SignalProtocolError;
use wacore::libsignal::protocol::{
    CiphertextMessage, CurveError, IdentityKey, KeyPair, PreKeyBundle, PreKeySignalMessage,
    ProtocolAddress, SignalMessage, UsePQRatchet, message_decrypt, message_encrypt,
    process_prekey_bundle,
};
use wacore::messages::MessageUtils;
use wacore_binary::Node;
use wacore_binary::builder::NodeBuilder;
use waproto::buffa::Message as _;
use waproto::whatsapp::Message;

/// Why a message could not be encrypted or decrypted.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PhoneSignalError {
    #[error(transparent)]
    Protocol(#[from] SignalProtocolError),
    #[error(transparent)]
    Curve(#[from] CurveError),
    #[error("the plain text is not a message: {0}")]
    Plain(String),
    #[error("a store in memory did not answer at once")]
    Stalled,
}

/// The Signal state of one phone.
pub(crate) struct Signal {
    account: Key,
    stores: SignalStores,
}

impl Signal {
    pub(crate) fn new(account: &KeyPair) -> Result<Self, CurveError> {
        Ok(Self { account: keys::public(account), stores: SignalStores::new(account)? })
    }

    /// Returns the phone's entry for the answer to a key request.
    pub(crate) fn bundle(&self, jid: &str) -> Node {
        let stores = &self.stores;
        NodeBuilder::new("user")
            .attr("jid", jid)
            .children([
                leaf("registration", stores.identities.registration.to_be_bytes()),
                leaf("type", [5]),
                leaf("identity", self.account),
                parent("key", [leaf("id", [0, 0, 1]), leaf("value", stores.one_time_public)]),
                parent(
                    "skey",
                    [
                        leaf("id", [0, 0, 1]),
                        leaf("value", stores.signed_public),
                        leaf("signature", stores.signature.clone()),
                    ],
                ),
            ])
            .build()
    }

    /// Forgets the session with a device, so that the next message opens a new one.
    pub(crate) fn forget(&mut self, user: &str, device: u32) {
        self.stores.sessions.0.remove(&address(user, device));
    }

    /// Encrypts a message for a device. The first message takes a one-time key of the upload,
    /// because a one-time key works for one sender only.
    pub(crate) fn seal(
        &mut self,
        (user, device): (&str, u32),
        bundle: &mut UploadedKeys,
        message: &Message,
    ) -> Result<Node, PhoneSignalError> {
        let to = address(user, device);
        let stores = &mut self.stores;
        let sealed = async {
            if !stores.sessions.0.contains_key(&to) {
                let bundle = prekey_bundle(device, bundle)?;
                process_prekey_bundle(
                    &to,
                    &mut stores.sessions,
                    &mut stores.identities,
                    &bundle,
                    &mut rand::rng(),
                    UsePQRatchet::No,
                )
                .await?;
            }
            let plain = MessageUtils::encode_and_pad(message);
            let (sessions, identities) = (&mut stores.sessions, &mut stores.identities);
            Ok::<_, PhoneSignalError>(message_encrypt(&plain, &to, sessions, identities).await?)
        }
        .now_or_never()
        .ok_or(PhoneSignalError::Stalled)??;
        let first = matches!(sealed, CiphertextMessage::PreKeySignalMessage(_));
        Ok(NodeBuilder::new("enc")
            .attr("v", "2")
            .attr("type", if first { "pkmsg" } else { "msg" })
            .bytes(sealed.serialize().to_vec())
            .build())
    }

    /// Decrypts a message of a device to this phone.
    pub(crate) fn open(
        &mut self,
        (user, device): (&str, u32),
        kind: &str,
        sealed: &[u8],
    ) -> Result<Message, PhoneSignalError> {
        let sealed = if kind == "pkmsg" {
            CiphertextMessage::PreKeySignalMessage(PreKeySignalMessage::try_from(sealed)?)
        } else {
            CiphertextMessage::SignalMessage(SignalMessage::try_from(sealed)?)
        };
        let stores = &mut self.stores;
        let plain = message_decrypt(
            &sealed,
            &address(user, device),
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
        let length = MessageUtils::unpadded_message_len(&plain, 2)
            .map_err(|e| PhoneSignalError::Plain(e.to_string()))?;
        let plain = plain.get(..length).unwrap_or_default();
        Message::decode_from_slice(plain).map_err(|e| PhoneSignalError::Plain(e.to_string()))
    }
}

fn address(user: &str, device: u32) -> ProtocolAddress {
    ProtocolAddress::new(user, device.into())
}

fn prekey_bundle(device: u32, bundle: &mut UploadedKeys) -> Result<PreKeyBundle, PhoneSignalError> {
    let one_time = match bundle.take_one_time() {
        Some((id, key)) => Some((id.into(), keys::curve(&key)?)),
        None => None,
    };
    Ok(PreKeyBundle::new(
        bundle.registration,
        device.into(),
        one_time,
        bundle.signed.id.into(),
        keys::curve(&bundle.signed.key.0)?,
        bundle.signed.signature.0.clone(),
        IdentityKey::new(keys::curve(&bundle.identity.0)?),
    )?)
}
