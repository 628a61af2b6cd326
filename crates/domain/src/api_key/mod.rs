//! API keys: the model, the use cases and the rules for granting capabilities.

pub(crate) mod model;
pub(crate) mod service;
pub(crate) mod write;
