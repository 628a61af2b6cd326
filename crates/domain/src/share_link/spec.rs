//! Properties of a share link to create, and their limits.

use std::{collections::BTreeSet, time::Duration};

use crate::{
    session::pairing::Phone,
    share_link::{method::LinkMethod, model::ReturnTarget},
    violation::{FieldPath, Violation},
};

/// Shortest life of a link.
pub const MIN_LINK_LIFE: Duration = Duration::from_secs(60);
/// Longest life of a link.
pub const MAX_LINK_LIFE: Duration = Duration::from_secs(24 * 3600);
/// Life of a link whose owner states none.
pub const DEFAULT_LINK_LIFE: Duration = Duration::from_secs(30 * 60);
/// Maximum number of characters in a title.
pub const MAX_LINK_TITLE: usize = 60;
/// Maximum number of bytes in a return address.
pub const MAX_RETURN_ADDRESS: usize = 500;

/// Properties of a share link to create.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShareLinkSpec {
    /// Life of the link: 60 s to 24 h.
    pub life: Duration,
    /// Methods that the holder may use: at least one.
    pub methods: BTreeSet<LinkMethod>,
    /// The only phone for a pairing code: 7 to 15 digits. `None` for any phone.
    pub phone: Option<String>,
    /// Text for the holder: 1 to 60 characters without control characters.
    pub title: Option<String>,
    /// Where the browser may go afterwards. The operator must allow the origin.
    pub return_target: Option<ReturnTarget>,
}

/// Reason of the violation for an invalid phone number.
pub(crate) const PHONE_RULE: &str =
    "7 to 15 digits, in international form without the plus or a leading 0";

impl ShareLinkSpec {
    /// Returns every violation. `allowed` are the origins that the operator allows for the
    /// organization.
    pub(crate) fn violations(&self, allowed: Option<&BTreeSet<String>>) -> Vec<Violation> {
        let mut found = Vec::new();
        let mut fault = |field, reason: &str| found.push(Violation::new(field, reason));
        if !(MIN_LINK_LIFE..=MAX_LINK_LIFE).contains(&self.life) {
            fault(FieldPath::LinkLife, "60 to 86400 seconds");
        }
        if self.methods.is_empty() {
            fault(FieldPath::LinkMethods, "at least one");
        }
        if self.phone.as_deref().is_some_and(|phone| Phone::parse(phone).is_none()) {
            fault(FieldPath::LinkPhone, PHONE_RULE);
        }
        if self.title.as_deref().is_some_and(|title| !is_title(title)) {
            fault(FieldPath::LinkTitle, "1 to 60 characters, no control characters");
        }
        if let Some(target) = &self.return_target {
            if target.address.len() > MAX_RETURN_ADDRESS {
                fault(FieldPath::LinkReturnAddress, "at most 500 bytes");
            } else if !allowed.is_some_and(|allowed| allowed.contains(&target.origin)) {
                let reason = "its origin is not among the return origins that the operator allows";
                fault(FieldPath::LinkReturnAddress, reason);
            }
        }
        found
    }
}

fn is_title(text: &str) -> bool {
    (1..=MAX_LINK_TITLE).contains(&text.chars().count()) && !text.chars().any(char::is_control)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec() -> ShareLinkSpec {
        ShareLinkSpec {
            life: DEFAULT_LINK_LIFE,
            methods: LinkMethod::ALL.into(),
            phone: None,
            title: None,
            return_target: None,
        }
    }

    fn target() -> ReturnTarget {
        let (address, origin) = ("https://a.example/done?x=1".into(), "https://a.example".into());
        ReturnTarget { address, origin }
    }

    #[test]
    fn limits_are_inclusive() {
        assert_eq!(spec().violations(None), []);
        for life in [MIN_LINK_LIFE, MAX_LINK_LIFE] {
            assert_eq!(ShareLinkSpec { life, ..spec() }.violations(None), []);
        }
        let titles = ["x".to_owned(), "é".repeat(MAX_LINK_TITLE)];
        for title in titles {
            assert_eq!(ShareLinkSpec { title: Some(title), ..spec() }.violations(None), []);
        }
        for life in [59, 24 * 3600 + 1].map(Duration::from_secs) {
            let faults = ShareLinkSpec { life, ..spec() }.violations(None);
            assert_eq!(faults[0].field, FieldPath::LinkLife);
        }
        for title in [String::new(), "é".repeat(MAX_LINK_TITLE + 1), "a\nb".to_owned()] {
            let faults = ShareLinkSpec { title: Some(title), ..spec() }.violations(None);
            assert_eq!(faults[0].field, FieldPath::LinkTitle);
        }
    }

    #[test]
    fn every_violation_is_reported() {
        let bad = ShareLinkSpec {
            life: Duration::ZERO,
            methods: BTreeSet::new(),
            phone: Some("+1555".to_owned()),
            title: Some(String::new()),
            return_target: Some(target()),
        };
        let fields: Vec<_> = bad.violations(None).into_iter().map(|fault| fault.field).collect();
        let expected = [
            FieldPath::LinkLife,
            FieldPath::LinkMethods,
            FieldPath::LinkPhone,
            FieldPath::LinkTitle,
            FieldPath::LinkReturnAddress,
        ];
        assert_eq!(fields, expected);
    }

    #[test]
    fn return_address_needs_an_allowed_origin() {
        let with_target = ShareLinkSpec { return_target: Some(target()), ..spec() };
        let allowed = |origin: &str| BTreeSet::from([origin.to_owned()]);
        assert_eq!(with_target.violations(Some(&allowed("https://a.example"))), []);
        for origin in ["http://a.example", "https://a.example:444", "https://b.example"] {
            let faults = with_target.violations(Some(&allowed(origin)));
            assert_eq!(faults[0].field, FieldPath::LinkReturnAddress, "{origin}");
        }
    }
}
