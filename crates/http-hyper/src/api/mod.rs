//! The operations of the API: the table of operations, and the steps from a request to its handler.

mod browser_table;
mod context;
mod credential;
mod handler;
mod input;
mod link_holder;
mod link_table;
mod operation;
mod output;
mod requires;
mod service;
mod table;
mod throttle;

pub(crate) use self::{
    context::OperationContext, credential::TICKET, link_holder::LINK_COOKIE,
    output::OperationOutput,
};
pub use self::{
    input::RequestBodySpec,
    operation::{IdempotencyMode, Operation},
    requires::Requires,
    service::{Api, ApiDependencies, StreamDependencies},
    table::operations,
    throttle::Rates,
};
