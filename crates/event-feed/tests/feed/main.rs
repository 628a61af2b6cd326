//! Tests of the feed over the memory store.

mod fixture;
mod news;
mod readers;
mod recovery;
