//! The erasure of an organization: deletes all objects of the organization, waits until devices are
//! unlinked and messages are removed, and then removes the rows that remain.

pub(crate) mod service;
