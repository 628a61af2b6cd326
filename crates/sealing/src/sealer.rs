//! The sealer: seals with the data key of an organization.

use std::sync::Arc;

use async_trait::async_trait;
use aws_lc_rs::rand;
use domain::{
    OrganizationId,
    ports::{
        BoxError, DataKey, DataKeyStore, Environment, PortError, SealContext, SealError,
        SealedSecret, SecretSealer,
    },
};
use quick_cache::sync::Cache;
use secrecy::zeroize::Zeroizing;

use crate::{
    envelope::{Binding, Cipher, KEY_LENGTH},
    seal_keys::{SealKey, SealKeys},
};

/// The number of a new data key. An organization has one data key.
const FIRST: u32 = 1;
/// The first byte of a sealed secret: the version of its format. Behind it stand the number of the
/// data key (4 bytes, big-endian), the nonce and the ciphertext.
const VERSION: u8 = 1;
/// The maximum number of data keys in memory.
const MAX_CACHED: usize = 10_000;

/// Seals secrets with the data keys of organizations. Unwrapped data keys stay in memory.
pub struct Sealer {
    pub(crate) keys: SealKeys,
    pub(crate) store: Arc<dyn DataKeyStore>,
    environment: Arc<dyn Environment>,
    /// Unwrapped data keys. A data key never changes; a new seal key only wraps it anew.
    unwrapped: Cache<(OrganizationId, u32), Arc<Cipher>>,
}

impl Sealer {
    /// Creates a sealer. Without seal keys, nothing is sealed or opened.
    pub fn new(
        keys: SealKeys,
        store: Arc<dyn DataKeyStore>,
        environment: Arc<dyn Environment>,
    ) -> Self {
        Self { keys, store, environment, unwrapped: Cache::new(MAX_CACHED) }
    }

    /// Returns whether a seal key is configured.
    pub fn can_seal(&self) -> bool {
        !self.keys.is_empty()
    }

    /// Returns the data key that seals new secrets, and creates it if necessary.
    async fn data_key_to_seal(
        &self,
        organization: &OrganizationId,
    ) -> Result<Arc<Cipher>, SealError> {
        let first = self.keys.first().ok_or_else(no_key)?;
        if let Some(key) = self.find_data_key(organization, FIRST).await? {
            return Ok(key);
        }
        let mut random = Zeroizing::new([0; KEY_LENGTH]);
        rand::fill(&mut *random).map_err(|_| SealError::Broken("no random numbers".into()))?;
        let key = DataKey {
            organization: organization.clone(),
            number: FIRST,
            seal_key: first.id.clone(),
            wrapped: wrap(first, organization, FIRST, &*random)?,
            created_at: self.environment.now(),
        };
        let stored = self.store.insert_first(&key).await.map_err(store_error)?;
        self.unwrap_key(&stored)
    }

    async fn find_data_key(
        &self,
        organization: &OrganizationId,
        number: u32,
    ) -> Result<Option<Arc<Cipher>>, SealError> {
        if let Some(key) = self.unwrapped.get(&(organization.clone(), number)) {
            return Ok(Some(key));
        }
        let found = self.store.find(organization, number).await.map_err(store_error)?;
        found.map(|key| self.unwrap_key(&key)).transpose()
    }

    fn unwrap_key(&self, key: &DataKey) -> Result<Arc<Cipher>, SealError> {
        let bytes = unwrap(&self.keys, key)?;
        let cipher = Arc::new(Cipher::new(&bytes).map_err(SealError::Broken)?);
        self.unwrapped.insert((key.organization.clone(), key.number), cipher.clone());
        Ok(cipher)
    }
}

/// Wraps a data key.
pub(crate) fn wrap(
    seal_key: &SealKey,
    organization: &OrganizationId,
    number: u32,
    bytes: &[u8],
) -> Result<Vec<u8>, SealError> {
    let binding = data_key_binding(organization, number);
    seal_key.cipher.encrypt(&binding, bytes).map_err(SealError::Broken)
}

/// Unwraps a data key.
pub(crate) fn unwrap(keys: &SealKeys, key: &DataKey) -> Result<Zeroizing<Vec<u8>>, SealError> {
    let seal_key = keys.find(&key.seal_key).ok_or_else(|| missing_key(&key.seal_key))?;
    let binding = data_key_binding(&key.organization, key.number);
    let bytes = seal_key.cipher.decrypt(&binding, &key.wrapped).map_err(SealError::Broken)?;
    Ok(Zeroizing::new(bytes))
}

fn data_key_binding(organization: &OrganizationId, number: u32) -> Binding {
    Binding::new("berth data key", &[organization.as_str(), &number.to_string()])
}

fn secret_binding(context: &SealContext<'_>) -> Binding {
    let SealContext { organization, entity, field } = context;
    Binding::new("berth secret", &[organization.as_str(), entity, field])
}

fn no_key() -> SealError {
    SealError::NoKey("no seal key is configured".into())
}

fn missing_key(id: &str) -> SealError {
    SealError::NoKey(format!("seal key {id:?} is not configured").into())
}

fn store_error(error: PortError) -> SealError {
    match error {
        PortError::Unavailable(source) => SealError::Unavailable(source),
        PortError::Broken(source) => SealError::Broken(source),
    }
}

#[async_trait]
impl SecretSealer for Sealer {
    async fn seal(
        &self,
        context: &SealContext<'_>,
        secret: &[u8],
    ) -> Result<SealedSecret, SealError> {
        let key = self.data_key_to_seal(context.organization).await?;
        let encrypted = key.encrypt(&secret_binding(context), secret).map_err(SealError::Broken)?;
        let mut sealed = vec![VERSION];
        sealed.extend_from_slice(&FIRST.to_be_bytes());
        sealed.extend_from_slice(&encrypted);
        Ok(SealedSecret(sealed))
    }

    async fn open(
        &self,
        context: &SealContext<'_>,
        sealed: &SealedSecret,
    ) -> Result<Vec<u8>, SealError> {
        if self.keys.is_empty() {
            return Err(no_key());
        }
        let (number, encrypted) = split(&sealed.0).map_err(SealError::Broken)?;
        let key = self.find_data_key(context.organization, number).await?;
        let key = key.ok_or_else(|| SealError::Broken("the data key is missing".into()))?;
        key.decrypt(&secret_binding(context), encrypted).map_err(SealError::Broken)
    }
}

/// Splits a sealed secret into the number of its data key and the rest.
fn split(sealed: &[u8]) -> Result<(u32, &[u8]), BoxError> {
    match sealed.split_first_chunk::<5>() {
        Some(([VERSION, number @ ..], rest)) => Ok((u32::from_be_bytes(*number), rest)),
        _ => Err("the sealed secret has another format".into()),
    }
}
