//! A deployment with one node that has room for many sessions.

use std::path::Path;

use anyhow::Result;
use testbed::{sessions::PATIENCE, stack::Stack, wait};

use crate::Setup;

/// Starts a deployment whose node takes `count` sessions.
pub(crate) fn start(
    setup: &Setup,
    name: &str,
    count: usize,
    more: &[(&'static str, String)],
) -> Result<Stack> {
    let logs: &Path = setup.scratch.path();
    let capacity = ("BERTH_GATEWAY_CAPACITY", count.to_string());
    // By default an organization starts at most a thousand pairing attempts in an hour.
    let attempts = ("BERTH_PAIRING_RATE", "0".to_owned());
    Stack::start(&setup.programs, name, logs, None, &[&[capacity, attempts], more].concat())
}

/// Waits until the node runs and returns its process id.
pub(crate) fn process_of(stack: &Stack) -> Result<u32> {
    wait::until("berth has its gateway", PATIENCE, || Ok(stack.gateway().pop()))
}
