//! The settings of webhooks: seal keys and private destinations.

use sealing::SealKeys;
use secrecy::{ExposeSecret as _, SecretString};

use crate::{invalid::Invalid, settings};

/// Checks the private destinations that webhooks may reach.
pub(super) fn webhook_allow(
    settings: settings::WebhookRequests,
) -> Result<webhook_client::Allowed, Invalid> {
    let text = settings.webhook_allow.unwrap_or_default();
    text.parse().map_err(|error| Invalid::setting("webhook_allow", error))
}

/// Checks the seal keys; `None` without a setting.
pub(crate) fn seal_keys(settings: settings::Sealing) -> Result<Option<SealKeys>, Invalid> {
    let parse = |text: SecretString| text.expose_secret().parse();
    settings.seal_keys.map(parse).transpose().map_err(|error| Invalid::setting("seal_keys", error))
}
