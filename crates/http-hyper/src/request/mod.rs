//! Readers of the parts of a request: query, JSON body, conditional headers, cursors and `Accept`.

pub(crate) mod conditions;
pub(crate) mod cursor;
pub(crate) mod fields;
pub(crate) mod json;
pub(crate) mod media_type;
pub(crate) mod negotiate;
pub(crate) mod page;
pub(crate) mod query;
