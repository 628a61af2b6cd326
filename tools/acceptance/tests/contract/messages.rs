//! Messages between sessions and phones of the simulated network: received, stored, told and sent.
//! Numbers of rows are those of the design's table of what users of other services suffer. Rows 3
//! and 5 are also the subject of the fault suite `messages`, which kills the programs.

mod acknowledgements;
mod at_rest;
mod conventions;
mod identity;
mod inbound;
mod names;
mod order;
mod outages;
mod outbound;
mod undecryptable;
