//! By which tag nodes know that sessions belong together, without learning whose they are.
//!
//! Decision: ADR 0026.

use std::fmt::Write as _;

use aws_lc_rs::hmac;
use domain::{OrganizationId, ports::OrganizationTags};

/// The length of a tag in bytes, written as twice as many letters.
const LENGTH: usize = 16;

/// Tags organizations by HMAC-SHA256 under a secret that all routers over one database share.
#[derive(Debug)]
pub(crate) struct HmacTags(hmac::Key);

impl HmacTags {
    pub(crate) fn new(secret: &[u8; 32]) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, secret))
    }
}

impl OrganizationTags for HmacTags {
    fn tag(&self, organization: &OrganizationId) -> String {
        let digest = hmac::sign(&self.0, organization.as_str().as_bytes());
        let mut tag = String::with_capacity(2 * LENGTH);
        for byte in digest.as_ref().iter().take(LENGTH) {
            let _ = write!(tag, "{byte:02x}"); // a String takes everything
        }
        tag
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_depends_on_the_organization_and_on_the_secret() {
        let (acme, zeta) = (OrganizationId::parse("acme"), OrganizationId::parse("zeta"));
        let (acme, zeta) = (acme.unwrap(), zeta.unwrap());
        let (one, other) = (HmacTags::new(&[1; 32]), HmacTags::new(&[2; 32]));
        assert_eq!(one.tag(&acme), HmacTags::new(&[1; 32]).tag(&acme));
        assert_eq!(one.tag(&acme).len(), 2 * LENGTH);
        assert_ne!(one.tag(&acme), one.tag(&zeta));
        assert_ne!(one.tag(&acme), other.tag(&acme));
    }
}
