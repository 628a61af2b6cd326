//! Fault injection: the answer to the next query of a kind is late, lost or an error.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// The fault of one query of a client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The answer is delayed by this time.
    Delay(Duration),
    /// The query is executed and its answer is lost.
    LoseAnswer,
    /// The query is lost: it is neither executed nor answered.
    Swallow,
    /// The query is answered with this error and not executed.
    Refuse(u16),
}

/// The planned faults of a network.
#[derive(Debug, Default)]
pub struct Faults {
    waiting: Mutex<VecDeque<PlannedFault>>,
}

#[derive(Debug)]
struct PlannedFault {
    namespace: String,
    child: String,
    fault: Fault,
}

/// Planned faults; further ones are ignored.
const MAX_WAITING: usize = 1000;

impl Faults {
    /// Plans a fault for the next query with this namespace (`xmlns`) and first child, from any
    /// device. Several faults for the same query apply one after another.
    pub fn next_query(&self, namespace: &str, child: &str, fault: Fault) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if waiting.len() < MAX_WAITING {
            waiting.push_back(PlannedFault {
                namespace: namespace.into(),
                child: child.into(),
                fault,
            });
        }
    }

    /// Plans a fault for the next log-out of a client.
    pub fn next_logout(&self, fault: Fault) {
        self.next_query("md", "remove-companion-device", fault);
    }

    pub(crate) fn take(&self, namespace: &str, child: &str) -> Option<Fault> {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let index = waiting.iter().position(|e| e.namespace == namespace && e.child == child)?;
        waiting.remove(index).map(|expected| expected.fault)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fault_applies_to_its_query_once() {
        let faults = Faults::default();
        faults.next_logout(Fault::Refuse(500));
        faults.next_logout(Fault::Swallow);
        assert_eq!(faults.take("w:p", "ping"), None);
        assert_eq!(faults.take("md", "remove-companion-device"), Some(Fault::Refuse(500)));
        assert_eq!(faults.take("md", "remove-companion-device"), Some(Fault::Swallow));
        assert_eq!(faults.take("md", "remove-companion-device"), None);
    }
}
