//! The quotas of single organizations, in the file of settings.

use serde::Deserialize;

use super::text::{Count, cleaned};
use crate::invalid::Invalid;

/// An `[organizations.ID]` table: quotas of one organization that differ from the common quotas.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[expect(clippy::struct_field_names, reason = "fields have the names of the settings")]
pub(crate) struct OrganizationQuotas {
    pub(crate) session_quota: Option<Count>,
    pub(crate) api_key_quota: Option<Count>,
    pub(crate) webhook_quota: Option<Count>,
    pub(crate) idempotency_quota: Option<Count>,
    pub(crate) metadata_quota: Option<Count>,
}

impl OrganizationQuotas {
    /// Cleans every text.
    pub(super) fn cleaned(self) -> Result<Self, Invalid> {
        Ok(Self {
            session_quota: cleaned("session_quota", self.session_quota)?,
            api_key_quota: cleaned("api_key_quota", self.api_key_quota)?,
            webhook_quota: cleaned("webhook_quota", self.webhook_quota)?,
            idempotency_quota: cleaned("idempotency_quota", self.idempotency_quota)?,
            metadata_quota: cleaned("metadata_quota", self.metadata_quota)?,
        })
    }
}
