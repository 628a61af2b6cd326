//! The parts that every operation for browsers uses: the public URL, the same-origin check, cookies and their
//! secrets.
//!
//! Decision: ADR 0055.

pub(crate) mod cookie;
pub(crate) mod public_url;
pub(crate) mod same_origin;
pub(crate) mod secret;

use public_url::PublicUrl;

/// What the operations for browsers know of the deployment.
pub(crate) struct BrowserResources {
    /// The URL at which browsers reach the service.
    pub(crate) public_url: PublicUrl,
}
