//! The OpenAPI document, built from the operation table, and the type of operation docs.

mod content;
mod document;
mod error_schema;
pub(crate) mod failure;
pub(crate) mod failures;
mod headers;
mod operation;
pub(crate) mod operation_doc;
mod parameters;

pub use self::{
    document::{document, text},
    operation_doc::OperationDoc,
};
