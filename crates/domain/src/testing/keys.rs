//! Predictable API keys, secrets of share links and organization tags, for tests of other parts.

use crate::{
    id::{KeyId, LinkId, OrganizationId},
    ports::{
        authn::{GeneratedKey, KeyGenerator},
        environment::OrganizationTags,
        link_secrets::{GeneratedSecret, LinkSecrets, PresentedLink},
    },
};

/// Generates `wa_<id>_secret`, with the bits of the id as digest.
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

/// Generates `<id>_secret`, with the bits of the id as digest.
#[derive(Clone, Copy, Debug, Default)]
pub struct PlainLinkSecrets;

impl LinkSecrets for PlainLinkSecrets {
    fn generate(&self, id: &LinkId) -> GeneratedSecret {
        let mut digest = [0; 32];
        digest[..16].copy_from_slice(&id.bits().to_be_bytes());
        GeneratedSecret { text: format!("{id}_secret"), digest }
    }

    fn read(&self, text: &str) -> Option<PresentedLink> {
        let id = LinkId::parse(text.strip_suffix("_secret")?)?;
        Some(PresentedLink { digest: self.generate(&id).digest, id })
    }
}

/// Uses the id of an organization as its tag.
#[derive(Clone, Copy, Debug, Default)]
pub struct PlainOrganizationTags;

impl OrganizationTags for PlainOrganizationTags {
    fn tag(&self, organization: &OrganizationId) -> String {
        organization.to_string()
    }
}
