//! A remote gateway, in the file of settings.

use secrecy::SecretString;
use serde::Deserialize;

use super::text::cleaned;
use crate::invalid::Invalid;

/// A `[[gateway]]` table.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RemoteGateway {
    pub(crate) id: String,
    pub(crate) token: SecretString,
}

impl RemoteGateway {
    /// Cleans every text.
    pub(super) fn cleaned(self) -> Result<Self, Invalid> {
        let (id, token) = (Some(self.id), Some(self.token));
        Ok(Self {
            id: cleaned("gateway", id)?.unwrap_or_default(),
            token: cleaned("gateway", token)?.unwrap_or_default(),
        })
    }
}
