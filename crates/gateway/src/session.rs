//! The actor of one session: the only one that decides for it, and never waits for WhatsApp.
//!
//! Whatever comes, a command, a sight or an alarm, is written down at once, and then what there is
//! is compared with what is wanted. So a stop is heard while a connection hangs.

mod actor;
mod closing;
mod command;
mod command_handlers;
mod connection_events;
mod leave;
mod link_state;
mod model;
mod status;
mod unlink;

pub(crate) use self::{
    actor::SessionActor,
    command::{ActorExit, Command, Reply},
};
