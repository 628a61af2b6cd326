//! Keys whose secret can be guessed: for tests of everything but keys.

use crate::{
    KeyId,
    ports::{KeyMaker, NewSecret},
};

/// Makes `wa_<id>_secret`, with the id's bits as its digest.
#[derive(Clone, Copy, Debug, Default)]
pub struct PlainKeys;

impl KeyMaker for PlainKeys {
    fn make(&self, id: &KeyId) -> NewSecret {
        let mut digest = [0; 32];
        digest[..16].copy_from_slice(&id.bits().to_be_bytes());
        NewSecret { key: format!("wa_{}_secret", id.as_str()), digest }
    }

    fn prefix(&self, id: &KeyId) -> String {
        format!("wa_{}", id.as_str())
    }
}
