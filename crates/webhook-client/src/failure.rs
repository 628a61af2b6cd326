//! Failures before a response head arrived.

use domain::OutcomeClass;

use crate::address::Forbidden;

/// The failure of an exchange.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) class: OutcomeClass,
    /// The cause, for the operator.
    pub(crate) cause: String,
}

impl Failure {
    pub(crate) fn new(class: OutcomeClass, cause: String) -> Self {
        Self { class, cause }
    }
}

/// The reason for which a destination cannot be used. The texts are for the operator.
#[derive(Debug, thiserror::Error)]
pub enum CheckError {
    /// The name has no address now; the name may exist later.
    #[error("the name cannot be resolved: {0}")]
    Unresolved(String),
    /// An address of the destination is not allowed.
    #[error(transparent)]
    Forbidden(Forbidden),
}

impl From<CheckError> for Failure {
    fn from(error: CheckError) -> Self {
        let class = match error {
            CheckError::Unresolved(_) => OutcomeClass::Dns,
            CheckError::Forbidden(_) => OutcomeClass::Blocked,
        };
        Self::new(class, error.to_string())
    }
}
