//! The settings of single organizations, in the file of settings.

use serde::Deserialize;

use super::text::{Count, cleaned};
use crate::invalid::Invalid;

/// An `[organizations.ID]` table: quotas of one organization that differ from the common quotas, and
/// the origins to which its share links may return.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct OrganizationQuotas {
    pub(crate) session_quota: Option<Count>,
    pub(crate) api_key_quota: Option<Count>,
    pub(crate) webhook_quota: Option<Count>,
    pub(crate) share_link_quota: Option<Count>,
    pub(crate) idempotency_quota: Option<Count>,
    pub(crate) metadata_quota: Option<Count>,
    pub(crate) return_origins: Option<Vec<String>>,
}

impl OrganizationQuotas {
    /// Cleans every text.
    pub(super) fn cleaned(self) -> Result<Self, Invalid> {
        Ok(Self {
            session_quota: cleaned("session_quota", self.session_quota)?,
            api_key_quota: cleaned("api_key_quota", self.api_key_quota)?,
            webhook_quota: cleaned("webhook_quota", self.webhook_quota)?,
            share_link_quota: cleaned("share_link_quota", self.share_link_quota)?,
            idempotency_quota: cleaned("idempotency_quota", self.idempotency_quota)?,
            metadata_quota: cleaned("metadata_quota", self.metadata_quota)?,
            return_origins: self.return_origins,
        })
    }
}
