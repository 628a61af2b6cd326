//! Fault injection: stanzas of devices are lost, refused, or answered late.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// The fault of one stanza of a client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The answer is delayed by this time.
    Delay(Duration),
    /// The stanza is processed and its answer is lost.
    LoseAnswer,
    /// The stanza is lost: it is neither processed nor answered.
    Swallow,
    /// The stanza is answered with this error and not processed.
    Refuse(u16),
    /// The ciphertexts of a message for the recipient get a wrong MAC on their way; the copies for
    /// own devices stay readable. Has no effect on other stanzas.
    Garble,
}

/// The stanzas that a fault affects.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FaultTarget {
    /// Queries with this namespace (`xmlns`) and first child.
    Query {
        /// The namespace.
        namespace: String,
        /// The tag of the first child.
        child: String,
    },
    /// Messages.
    Message,
    /// Receipts.
    Receipt,
    /// Everything but pings, in both directions. The devices stay connected and hear nothing. The
    /// only possible fault is [`Fault::Swallow`].
    Everything,
}

/// A fault with its conditions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FaultRule {
    /// The affected stanzas.
    pub on: FaultTarget,
    /// The fault.
    pub fault: Fault,
    /// The number of stanzas to affect; `None`: all until the rule is removed.
    pub times: Option<u32>,
    /// The number of the account whose devices are affected; `None`: all accounts.
    pub from: Option<String>,
    /// The affected device of `from`; `None`: all devices.
    pub device: Option<u32>,
    /// The number of the account that the stanza is for; `None`: any.
    pub to: Option<String>,
    /// Whether a message with a valid privacy token is spared.
    pub unless_token: bool,
}

impl FaultRule {
    /// Creates a rule for the next such stanza of any device.
    pub fn next(on: FaultTarget, fault: Fault) -> Self {
        Self { on, fault, times: Some(1), from: None, device: None, to: None, unless_token: false }
    }

    /// Creates a rule for all such stanzas of any device, until the rule is removed.
    pub fn always(on: FaultTarget, fault: Fault) -> Self {
        Self { times: None, ..Self::next(on, fault) }
    }
}

/// The stanza for which a fault is looked up.
pub(crate) struct FaultSubject<'a> {
    pub(crate) from: &'a str,
    pub(crate) device: u32,
    pub(crate) to: Option<&'a str>,
    pub(crate) has_token: bool,
}

/// The planned faults of a network.
#[derive(Debug, Default)]
pub struct Faults {
    plan: Mutex<Plan>,
}

#[derive(Debug, Default)]
struct Plan {
    last_id: u64,
    rules: Vec<(u64, FaultRule)>,
}

/// Planned faults; further ones are ignored.
const MAX_RULES: usize = 1000;

impl Faults {
    fn plan(&self) -> MutexGuard<'_, Plan> {
        self.plan.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a rule and returns its id. Several rules for the same stanza apply one after another.
    pub fn add(&self, rule: FaultRule) -> u64 {
        let mut plan = self.plan();
        plan.last_id += 1;
        let id = plan.last_id;
        if plan.rules.len() < MAX_RULES {
            plan.rules.push((id, rule));
        }
        id
    }

    /// Returns the rules that are still due, with their ids.
    pub fn rules(&self) -> Vec<(u64, FaultRule)> {
        self.plan().rules.clone()
    }

    /// Plans a fault for the next query with this namespace (`xmlns`) and first child, from any
    /// device.
    pub fn next_query(&self, namespace: &str, child: &str, fault: Fault) {
        let on = FaultTarget::Query { namespace: namespace.into(), child: child.into() };
        self.add(FaultRule::next(on, fault));
    }

    /// Plans a fault for the next log-out of a client.
    pub fn next_logout(&self, fault: Fault) {
        self.next_query("md", "remove-companion-device", fault);
    }

    /// Plans a fault for the next message of any device.
    pub fn next_message(&self, fault: Fault) {
        self.add(FaultRule::next(FaultTarget::Message, fault));
    }

    /// Removes a rule; all rules for `None`. Returns whether a rule was removed.
    pub(crate) fn remove(&self, id: Option<u64>) -> bool {
        let mut plan = self.plan();
        let before = plan.rules.len();
        plan.rules.retain(|(rule, _)| id.is_some_and(|id| id != *rule));
        plan.rules.len() < before
    }

    pub(crate) fn take_for_query(&self, namespace: &str, child: &str) -> Option<Fault> {
        let on = FaultTarget::Query { namespace: namespace.into(), child: child.into() };
        self.take(|rule| rule.on == on)
    }

    /// Returns the fault of a message or a receipt.
    pub(crate) fn take_for_stanza(
        &self,
        on: &FaultTarget,
        subject: &FaultSubject<'_>,
    ) -> Option<Fault> {
        self.take(|rule| {
            rule.on == *on
                && rule.is_from(subject.from, subject.device)
                && rule.to.as_deref().is_none_or(|to| subject.to == Some(to))
                && !(rule.unless_token && subject.has_token)
        })
    }

    /// Returns whether the network is silent for a device.
    pub(crate) fn is_silent(&self, number: &str, device: u32) -> bool {
        let plan = self.plan();
        let mut rules = plan.rules.iter().map(|(_, rule)| rule);
        rules.any(|rule| rule.on == FaultTarget::Everything && rule.is_from(number, device))
    }

    fn take(&self, fits: impl Fn(&FaultRule) -> bool) -> Option<Fault> {
        let mut plan = self.plan();
        let index = plan.rules.iter().position(|(_, rule)| fits(rule))?;
        let (_, rule) = plan.rules.get_mut(index)?;
        let fault = rule.fault;
        if let Some(times) = &mut rule.times {
            *times = times.saturating_sub(1);
            if *times == 0 {
                plan.rules.remove(index);
            }
        }
        Some(fault)
    }
}

impl FaultRule {
    fn is_from(&self, number: &str, device: u32) -> bool {
        self.from.as_deref().is_none_or(|from| from == number)
            && self.device.is_none_or(|id| id == device)
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
        assert_eq!(faults.take_for_query("w:p", "ping"), None);
        let logout = || faults.take_for_query("md", "remove-companion-device");
        assert_eq!(logout(), Some(Fault::Refuse(500)));
        assert_eq!(logout(), Some(Fault::Swallow));
        assert_eq!(logout(), None);
    }

    #[test]
    fn rule_applies_to_its_sender_and_recipient_only() {
        let faults = Faults::default();
        let rule = FaultRule::always(FaultTarget::Message, Fault::Refuse(463));
        let id = faults.add(FaultRule {
            from: Some("1".into()),
            device: Some(2),
            to: Some("3".into()),
            unless_token: true,
            ..rule
        });
        let take = |from, device, to, has_token| {
            let subject = FaultSubject { from, device, to: Some(to), has_token };
            faults.take_for_stanza(&FaultTarget::Message, &subject)
        };
        assert_eq!(take("1", 2, "3", false), Some(Fault::Refuse(463)));
        assert_eq!(take("1", 2, "3", false), Some(Fault::Refuse(463)));
        assert_eq!(take("1", 2, "3", true), None);
        assert_eq!(take("1", 1, "3", false), None);
        assert_eq!(take("2", 2, "3", false), None);
        assert_eq!(take("1", 2, "4", false), None);
        assert!(faults.remove(Some(id)) && !faults.remove(Some(id)));
        assert_eq!(take("1", 2, "3", false), None);
    }

    #[test]
    fn silence_lasts_until_its_rule_is_removed() {
        let faults = Faults::default();
        let rule = FaultRule::always(FaultTarget::Everything, Fault::Swallow);
        faults.add(FaultRule { from: Some("1".into()), ..rule });
        assert!(faults.is_silent("1", 7) && !faults.is_silent("2", 7));
        assert!(faults.remove(None));
        assert!(!faults.is_silent("1", 7));
    }
}
