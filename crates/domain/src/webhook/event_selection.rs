//! Which events a webhook gets.

use crate::{
    access::Scope,
    caller::{Caller, Capabilities},
    event::payload::EventName,
    feed::filter::{EventPattern, MAX_EVENT_PATTERNS},
    id::SessionId,
    violation::{FieldPath, Violation},
    webhook::{field::WebhookField, model::Webhook},
};

/// The events that a webhook gets: its filter, within the capabilities of the last change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventSelection {
    session: Option<SessionId>,
    events: Vec<EventPattern>,
    capabilities: Capabilities,
}

impl EventSelection {
    /// Returns true if the webhook gets the event.
    pub fn includes(&self, name: EventName, session: Option<&SessionId>) -> bool {
        self.session.as_ref().is_none_or(|own| session == Some(own))
            && (self.events.is_empty() || self.events.iter().any(|one| one.matches(name)))
            && self.capabilities.contains(name.capability())
    }

    /// Returns true if the webhook gets events of this kind, of some session or of the organization.
    pub fn includes_kind(&self, name: EventName) -> bool {
        self.includes(name, self.session.as_ref())
    }
}

impl Webhook {
    /// Returns the events that the webhook gets.
    pub fn event_selection(&self) -> EventSelection {
        EventSelection {
            session: self.settings.session.clone(),
            events: self.settings.events.clone(),
            capabilities: self.capabilities.clone(),
        }
    }
}

/// Parses the kinds of events. `*` alone selects every kind, which is an empty list.
///
/// # Errors
/// Every violation: an empty list, too many entries, and entries that select no kind.
pub(crate) fn parse_patterns(texts: &[String]) -> Result<Vec<EventPattern>, Vec<Violation>> {
    let whole = |reason: String| {
        Err(vec![Violation::new(FieldPath::Webhook(WebhookField::Events), reason)])
    };
    if texts.is_empty() {
        return whole("must name at least one event; [\"*\"] or null selects all".to_owned());
    }
    if texts.len() > MAX_EVENT_PATTERNS {
        return whole(format!("at most {MAX_EVENT_PATTERNS} entries"));
    }
    let (mut patterns, mut violations) = (Vec::new(), Vec::new());
    for (index, text) in texts.iter().enumerate() {
        if let Some(pattern) = EventPattern::parse(text) {
            patterns.push(pattern);
        } else {
            let reason = "must be the name of an event, or a prefix such as session.*";
            violations.push(Violation::new(FieldPath::WebhookEvent(index), reason));
        }
    }
    if !violations.is_empty() {
        return Err(violations);
    }
    let all = patterns.contains(&EventPattern::All);
    Ok(if all { Vec::new() } else { patterns })
}

/// Returns the scope in which a caller may create or change a webhook for these kinds of events.
///
/// # Errors
/// [`Error::Forbidden`](crate::Error::Forbidden) without the capability to manage the whole
/// organization, and for a kind that the caller names and may not see.
pub(crate) fn may_subscribe(caller: &Caller, events: &[EventPattern]) -> crate::Result<Scope> {
    let named = events.iter().filter(|pattern| **pattern != EventPattern::All);
    let kinds =
        EventName::ALL.into_iter().filter(|kind| named.clone().any(|one| one.matches(*kind)));
    caller.may_grant(&kinds.map(EventName::capability).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        caller::{Capability, Reach},
        id::OrganizationId,
    };

    fn selection(
        session: Option<u128>,
        events: &[&str],
        capabilities: &[Capability],
    ) -> EventSelection {
        let events: Vec<_> = events.iter().map(|text| (*text).to_owned()).collect();
        EventSelection {
            session: session.map(SessionId::from_bits),
            events: parse_patterns(&events).unwrap(),
            capabilities: capabilities.iter().copied().collect(),
        }
    }

    #[test]
    fn filter_and_capabilities_select_events() {
        let (mine, other) = (SessionId::from_bits(1), SessionId::from_bits(2));
        let manage = [Capability::Manage];
        let one = selection(Some(1), &["session.*", "auth.qr"], &manage);
        assert!(one.includes(EventName::SessionStatus, Some(&mine)));
        assert!(one.includes(EventName::AuthQr, Some(&mine)));
        assert!(!one.includes(EventName::AuthCode, Some(&mine)));
        assert!(!one.includes(EventName::SessionStatus, Some(&other)));
        assert!(!one.includes(EventName::ApiKeyCreated, None));
        let all = selection(None, &["*"], &Capability::ALL);
        assert!(EventName::ALL.into_iter().all(|name| all.includes(name, None)));
        let reader = selection(None, &["*"], &[Capability::Read]);
        assert!(!reader.includes(EventName::SessionStatus, Some(&mine)));
        assert!(reader.includes(EventName::Message, Some(&mine)));
        let manager = selection(None, &["*"], &manage);
        assert!(!manager.includes(EventName::Message, Some(&mine)));
    }

    #[test]
    fn patterns_are_checked_entry_by_entry() {
        let parse = |texts: &[&str]| {
            let texts: Vec<_> = texts.iter().map(|text| (*text).to_owned()).collect();
            parse_patterns(&texts).map_err(|violations| {
                violations.into_iter().map(|found| found.field).collect::<Vec<_>>()
            })
        };
        let whole = || Err(vec![FieldPath::Webhook(WebhookField::Events)]);
        assert_eq!(parse(&[]), whole());
        assert_eq!(parse(&["*"; 33]), whole());
        assert_eq!(parse(&["session.status", "*"]), Ok(Vec::new()));
        let wrong = [1, 3].map(FieldPath::WebhookEvent).into();
        assert_eq!(parse(&["auth.*", "nothing.*", "auth.qr", ""]), Err(wrong));
    }

    #[test]
    fn subscription_needs_the_whole_organization() {
        let organization = OrganizationId::parse("acme").unwrap();
        let mut caller = Caller::operator(organization);
        let events = [EventPattern::Name(EventName::SessionStatus)];
        assert!(may_subscribe(&caller, &events).is_ok());
        caller.capabilities = [Capability::Read].into_iter().collect();
        assert!(may_subscribe(&caller, &[]).is_err());
        caller.capabilities = [Capability::Manage].into_iter().collect();
        assert!(may_subscribe(&caller, &[]).is_ok());
        caller.reach = Reach::Only([SessionId::from_bits(1)].into());
        assert!(may_subscribe(&caller, &events).is_err());
    }
}
