//! Tags by which nodes group the sessions of one organization without learning the organization.
//!
//! Decision: ADR 0026.

use std::fmt::Write as _;

use aws_lc_rs::hmac;
use domain::{OrganizationId, ports::OrganizationTags};

/// The length of a tag in bytes; the text has two hexadecimal digits for each byte.
const TAG_LENGTH: usize = 16;

/// Tags organizations by HMAC-SHA256 under a secret that all routers over one database share.
#[derive(Debug)]
pub(crate) struct HmacOrganizationTags(hmac::Key);

impl HmacOrganizationTags {
    pub(crate) fn new(secret: &[u8; 32]) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, secret))
    }
}

impl OrganizationTags for HmacOrganizationTags {
    fn tag(&self, organization: &OrganizationId) -> String {
        let digest = hmac::sign(&self.0, organization.as_str().as_bytes());
        let mut tag = String::with_capacity(2 * TAG_LENGTH);
        for byte in digest.as_ref().iter().take(TAG_LENGTH) {
            let _ = write!(tag, "{byte:02x}"); // writing to a String cannot fail
        }
        tag
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tag_depends_on_the_organization_and_the_secret() {
        let (acme, zeta) = (OrganizationId::parse("acme"), OrganizationId::parse("zeta"));
        let (acme, zeta) = (acme.unwrap(), zeta.unwrap());
        let (one, other) =
            (HmacOrganizationTags::new(&[1; 32]), HmacOrganizationTags::new(&[2; 32]));
        assert_eq!(one.tag(&acme), HmacOrganizationTags::new(&[1; 32]).tag(&acme));
        assert_eq!(one.tag(&acme).len(), 2 * TAG_LENGTH);
        assert_ne!(one.tag(&acme), one.tag(&zeta));
        assert_ne!(one.tag(&acme), other.tag(&acme));
    }
}
