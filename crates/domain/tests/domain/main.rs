//! The domain's own tests: use cases over the in-memory world, and the doubles against the suites
//! that every adapter must pass.

mod contract;
mod laws;
mod sessions;
