//! Messages between sessions and phones of the simulated network: received, stored, told and sent.
//! Numbers of rows are those of the design's table of what users of other services suffer.

mod at_rest;
mod conventions;
mod inbound;
mod kills;
mod outbound;
