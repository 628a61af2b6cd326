//! Tests of the feed over the memory store.

mod activity;
mod fixture;
mod readers;
mod recovery;
