//! What a test can have go wrong: the answer to the next question of a kind is late, lost or a no.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// What happens to one question of a client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// It is answered so much later.
    Delay(Duration),
    /// It is acted upon, but the answer is lost.
    LoseAnswer,
    /// It never arrives: nothing is done, nothing answered.
    Swallow,
    /// It is answered with this error and nothing is done.
    Refuse(u16),
}

/// The faults that wait for their moment.
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

/// More faults than this do not wait.
const MAX_WAITING: usize = 1000;

impl Faults {
    /// Lets the fault befall the next question of this namespace (`xmlns`) and first child, of
    /// whichever device. Several for the same question befall one after another.
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

    /// Lets the fault befall the next log-out of a client.
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
