//! Remembers for each queue the organization that was served last.

use std::sync::{Arc, Mutex, PoisonError};

use crate::scope::round_robin::DueQueue;

/// The last served organization of each queue. Clones share the state.
#[derive(Clone, Default)]
pub(crate) struct Rotation(Arc<Mutex<[String; 4]>>);

impl Rotation {
    pub(crate) fn last_served(&self, queue: DueQueue) -> String {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)[queue as usize].clone()
    }

    pub(crate) fn set_last_served(&self, queue: DueQueue, organization: String) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)[queue as usize] = organization;
    }
}
