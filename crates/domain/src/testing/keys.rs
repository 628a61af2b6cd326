//! Predictable API keys, secrets of share links and organization tags, for tests of other parts.

use std::sync::atomic::{AtomicU64, Ordering};

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

/// Generates `<id>_secret` for links, with the bits of the id as digest, and numbers for browsers.
#[derive(Debug, Default)]
pub struct PlainLinkSecrets(AtomicU64);

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

    fn generate_browser(&self) -> GeneratedSecret {
        let number = self.0.fetch_add(1, Ordering::Relaxed);
        let text = format!("browser-{number}");
        let digest = self.read_browser(&text).unwrap_or_default();
        GeneratedSecret { text, digest }
    }

    fn read_browser(&self, text: &str) -> Option<[u8; 32]> {
        let number: u64 = text.strip_prefix("browser-")?.parse().ok()?;
        let mut digest = [7; 32];
        digest[..8].copy_from_slice(&number.to_be_bytes());
        Some(digest)
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
