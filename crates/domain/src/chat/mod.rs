//! Chats: one id each, and one or more names.

pub(crate) mod model;
pub(crate) mod service;
