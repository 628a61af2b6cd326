//! The actor of one session. Only the actor decides for the session, and the actor never waits for
//! WhatsApp.
//!
//! The actor records each command, connection event and timer at once, and then compares the actual
//! state with the goal ([`actor`]). A stop therefore takes effect while a connection hangs.

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
