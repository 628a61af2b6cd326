//! Keys whose secret can be guessed, and tags that say whose they are: for tests of everything else.

use crate::{
    KeyId, OrganizationId,
    ports::{GroupTags, KeyMaker, NewSecret},
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

/// Tags an organization with its own name.
#[derive(Clone, Copy, Debug, Default)]
pub struct PlainTags;

impl GroupTags for PlainTags {
    fn tag(&self, organization: &OrganizationId) -> String {
        organization.to_string()
    }
}
