//! Messages: their model, and the use cases of their readers.

pub(crate) mod address;
pub(crate) mod details;
pub(crate) mod kind;
pub(crate) mod list;
pub(crate) mod message_id;
pub(crate) mod model;
pub(crate) mod reference;
pub(crate) mod removal;
pub(crate) mod retention;
pub(crate) mod service;
pub(crate) mod state;
pub(crate) mod text;
mod wa_id;
