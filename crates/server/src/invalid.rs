//! [`Invalid`]: the error of a setting or flag, reported in one line with exit code 2.

use auth::ConfigError;

/// A setting that cannot be used. The message is one line and names the setting.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Invalid(String);

impl From<program_settings::InvalidVariable> for Invalid {
    fn from(error: program_settings::InvalidVariable) -> Self {
        Self(error.to_string())
    }
}

impl From<ConfigError> for Invalid {
    fn from(error: ConfigError) -> Self {
        // `anyhow` formats the whole chain of causes.
        let reason = format!("{:#}", anyhow::Error::new(error));
        Self::setting("jwks", reason)
    }
}

impl Invalid {
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self(message.into())
    }

    /// Creates the error of a setting with a reason.
    pub(crate) fn setting(name: &str, reason: impl std::fmt::Display) -> Self {
        Self(format!("the setting {name} is wrong: {reason}"))
    }
}
