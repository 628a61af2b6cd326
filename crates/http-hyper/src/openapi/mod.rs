//! The OpenAPI document: operation docs, and the document that is built from the operation table.

mod content;
pub(crate) mod docs;
mod document;
mod error_schema;
mod failure;
mod failures;
mod headers;
mod operation;
pub(crate) mod operation_doc;
mod parameters;

pub use self::{
    document::{document, text},
    operation_doc::OperationDoc,
};
