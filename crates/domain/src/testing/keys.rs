//! Keys whose secret can be guessed, and tags that say whose they are: for tests of everything else.

use crate::{
    id::{KeyId, OrganizationId},
    ports::{
        authn::{GeneratedKey, KeyGenerator},
        environment::OrganizationTags,
    },
};

/// Makes `wa_<id>_secret`, with the id's bits as its digest.
#[derive(Clone, Copy, Debug, Default)]
pub struct PlainKeyGenerator;

impl KeyGenerator for PlainKeyGenerator {
    fn generate(&self, id: &KeyId) -> GeneratedKey {
        let mut digest = [0; 32];
        digest[..16].copy_from_slice(&id.bits().to_be_bytes());
        GeneratedKey { key: format!("wa_{}_secret", id.as_str()), digest }
    }

    fn prefix(&self, id: &KeyId) -> String {
        format!("wa_{}", id.as_str())
    }
}

/// Tags an organization with its own name.
#[derive(Clone, Copy, Debug, Default)]
pub struct PlainOrganizationTags;

impl OrganizationTags for PlainOrganizationTags {
    fn tag(&self, organization: &OrganizationId) -> String {
        organization.to_string()
    }
}
