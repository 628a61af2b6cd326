//! The Signal keys and sessions of a phone in memory, with one pre-key for all senders.

use crate::keys;
use async_trait::async_trait;
use std::collections::HashMap;
use wacore::libsignal::protocol::error::Result;
use wacore::libsignal::protocol::{
    CurveError, Direction, GenericSignedPreKey, IdentityChange, IdentityKey, IdentityKeyPair,
    IdentityKeyStore, KeyPair, PreKeyId, PreKeyRecord, PreKeyStore, ProtocolAddress, SessionRecord,
    SessionStore, SignedPreKeyId, SignedPreKeyRecord, SignedPreKeyStore, Timestamp,
};

/// The identity of the phone and the identities of its peers.
pub(crate) struct Identities {
    own: IdentityKeyPair,
    pub(crate) registration: u32,
    peers: HashMap<ProtocolAddress, IdentityKey>,
}

#[async_trait]
impl IdentityKeyStore for Identities {
    async fn get_identity_key_pair(&self) -> Result<IdentityKeyPair> {
        Ok(self.own.clone())
    }
    async fn get_local_registration_id(&self) -> Result<u32> {
        Ok(self.registration)
    }
    async fn save_identity(
        &mut self,
        address: &ProtocolAddress,
        identity: &IdentityKey,
    ) -> Result<IdentityChange> {
        let before = self.peers.insert(address.clone(), *identity);
        Ok(IdentityChange::from_changed(before.is_some_and(|before| before != *identity)))
    }
    async fn is_trusted_identity(
        &self,
        _: &ProtocolAddress,
        _: &IdentityKey,
        _: Direction,
    ) -> Result<bool> {
        Ok(true)
    }
    async fn get_identity(&self, address: &ProtocolAddress) -> Result<Option<IdentityKey>> {
        Ok(self.peers.get(address).copied())
    }
}

/// The open Signal sessions.
#[derive(Default)]
pub(crate) struct Sessions(pub(crate) HashMap<ProtocolAddress, SessionRecord>);

#[async_trait]
impl SessionStore for Sessions {
    async fn load_session(&self, address: &ProtocolAddress) -> Result<Option<SessionRecord>> {
        Ok(self.0.get(address).cloned())
    }
    async fn has_session(&self, address: &ProtocolAddress) -> Result<bool> {
        Ok(self.0.contains_key(address))
    }
    async fn store_session(
        &mut self,
        address: &ProtocolAddress,
        record: SessionRecord,
    ) -> Result<()> {
        self.0.insert(address.clone(), record);
        Ok(())
    }
}

/// The one-time key, which the phone gives to every sender; a simulated phone needs no forward
/// secrecy.
pub(crate) struct OneTime(pub(crate) PreKeyRecord);

#[async_trait]
impl PreKeyStore for OneTime {
    async fn get_pre_key(&self, _: PreKeyId) -> Result<PreKeyRecord> {
        Ok(self.0.clone())
    }
    async fn save_pre_key(&mut self, _: PreKeyId, _: &PreKeyRecord) -> Result<()> {
        Ok(())
    }
    async fn remove_pre_key(&mut self, _: PreKeyId) -> Result<()> {
        Ok(())
    }
}

/// The signed pre-key.
pub(crate) struct Signed(pub(crate) SignedPreKeyRecord);

#[async_trait]
impl SignedPreKeyStore for Signed {
    async fn get_signed_pre_key(&self, _: SignedPreKeyId) -> Result<SignedPreKeyRecord> {
        Ok(self.0.clone())
    }
    async fn save_signed_pre_key(
        &mut self,
        _: SignedPreKeyId,
        _: &SignedPreKeyRecord,
    ) -> Result<()> {
        Ok(())
    }
}

/// All four stores, and the public keys for other senders.
pub(crate) struct SignalStores {
    pub(crate) identities: Identities,
    pub(crate) sessions: Sessions,
    pub(crate) one_time: OneTime,
    pub(crate) signed: Signed,
    pub(crate) one_time_public: keys::Key,
    pub(crate) signed_public: keys::Key,
    pub(crate) signature: Vec<u8>,
}

impl SignalStores {
    pub(crate) fn new(account: &KeyPair) -> std::result::Result<Self, CurveError> {
        // Derived from the account's key, so that a restarted phone can still open what was sealed
        // with them.
        let derived = |purpose| keys::derived(account, purpose);
        let (one_time, signed) = (derived("one-time key")?, derived("signed key")?);
        let signature = keys::sign(account, &[&signed.public_key.serialize()])?;
        let own =
            IdentityKeyPair::new(IdentityKey::new(account.public_key), account.private_key.clone());
        let record = SignedPreKeyRecord::new(
            1_u32.into(),
            Timestamp::from_epoch_millis(0),
            &signed,
            &signature,
        );
        Ok(Self {
            identities: Identities {
                own,
                registration: keys::registration(account),
                peers: HashMap::new(),
            },
            sessions: Sessions::default(),
            one_time: OneTime(PreKeyRecord::new(1_u32.into(), &one_time)),
            signed: Signed(record),
            one_time_public: keys::public(&one_time),
            signed_public: keys::public(&signed),
            signature,
        })
    }
}
