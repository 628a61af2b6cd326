//! The settings of a webhook as its owner writes them, and their validation.

use std::collections::BTreeMap;

use crate::{
    feed::filter::EventPattern,
    id::SessionId,
    ports::webhook_sender::WebhookSender,
    violation::{FieldPath, Violation},
    webhook::{
        event_selection::parse_patterns,
        field::WebhookField,
        model::{HeaderPair, WebhookUrlText},
        retry_policy::{Backoff, RetryPolicy},
    },
};

/// A change of a webhook with the semantics of a merge patch (RFC 7396). `None` keeps a part. A new
/// webhook is a change of one with default settings.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct WebhookPatch {
    /// The URL.
    pub url: Option<String>,
    /// Id of the session. `Some(None)` removes the limit.
    pub session: Option<Option<String>>,
    /// Kinds of events. `Some(None)` selects all.
    pub events: Option<Option<Vec<String>>>,
    /// See [`WebhookSettings::active`](crate::WebhookSettings::active).
    pub active: Option<bool>,
    /// See [`WebhookSettings::ordered`](crate::WebhookSettings::ordered).
    pub ordered: Option<bool>,
    /// Whether existing headers are removed first.
    pub clear_headers: bool,
    /// Headers to set. `None` removes a header; others stay.
    pub headers: BTreeMap<String, Option<String>>,
    /// The retry policy.
    pub retry_policy: RetryPolicyPatch,
    /// The signing secret. `Some(None)` removes the secret.
    pub secret: Option<Option<String>>,
}

/// A change of a retry policy. `None` keeps a part.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RetryPolicyPatch {
    /// Whether the default policy replaces the present one first.
    pub reset: bool,
    /// See [`RetryPolicy::backoff`].
    pub backoff: Option<Backoff>,
    /// See [`RetryPolicy::delay_seconds`].
    pub delay_seconds: Option<u32>,
    /// See [`RetryPolicy::attempts`].
    pub attempts: Option<u32>,
}

/// Omits URL, headers and secret.
impl std::fmt::Debug for WebhookPatch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("WebhookPatch").field("events", &self.events).finish_non_exhaustive()
    }
}

impl RetryPolicyPatch {
    /// Returns the policy with the patch applied.
    pub(crate) fn apply(&self, policy: RetryPolicy) -> RetryPolicy {
        let policy = if self.reset { RetryPolicy::default() } else { policy };
        RetryPolicy {
            backoff: self.backoff.unwrap_or(policy.backoff),
            delay_seconds: self.delay_seconds.unwrap_or(policy.delay_seconds),
            attempts: self.attempts.unwrap_or(policy.attempts),
        }
    }
}

/// The text that stands for the value of a sensitive header.
pub const MASKED: &str = "***";

/// The parts of a patch whose validity does not depend on the webhook.
#[derive(Debug)]
pub(crate) struct CheckedPatch {
    pub(crate) url: Option<WebhookUrlText>,
    pub(crate) events: Option<Vec<EventPattern>>,
}

impl WebhookPatch {
    /// Returns whether the patch names headers.
    pub(crate) fn changes_headers(&self) -> bool {
        self.clear_headers || !self.headers.is_empty()
    }

    /// Returns the session that the patch names, if its id is valid.
    #[expect(
        clippy::option_option,
        reason = "the outer option says whether the patch names a session"
    )]
    pub(crate) fn session_id(&self) -> Option<Option<SessionId>> {
        self.session.as_ref().map(|named| named.as_deref().and_then(SessionId::parse))
    }

    /// Returns the headers with the patch applied. A name that the patch writes in other case
    /// replaces the header of that name at its place.
    pub(crate) fn patched_headers(&self, present: &[HeaderPair]) -> Vec<HeaderPair> {
        let present = if self.clear_headers { &[] } else { present };
        let set = |(name, value): (&String, &Option<String>)| {
            Some(HeaderPair { name: name.clone(), value: value.clone()? })
        };
        let patched = present.iter().filter_map(|pair| {
            let mut named = self.headers.iter();
            match named.find(|(name, _)| name.eq_ignore_ascii_case(&pair.name)) {
                Some(named) => set(named),
                None => Some(pair.clone()),
            }
        });
        let is_new = |name: &str| !present.iter().any(|pair| pair.name.eq_ignore_ascii_case(name));
        let new = self.headers.iter().filter(|(name, _)| is_new(name)).filter_map(set);
        patched.chain(new).collect()
    }

    /// Checks everything that does not depend on the webhook.
    pub(crate) fn check(&self, sender: &dyn WebhookSender) -> (CheckedPatch, Vec<Violation>) {
        let mut violations = Vec::new();
        let mut add = |field, reason| violations.push(Violation::new(field, reason));
        let url = self.url.as_deref().and_then(|text| {
            let checked = sender.check_url(text);
            checked.map_err(|reason| add(FieldPath::Webhook(WebhookField::Url), reason)).ok()
        });
        if let Some(Some(secret)) = &self.secret
            && let Err(reason) = sender.check_secret(secret)
        {
            add(FieldPath::Webhook(WebhookField::Secret), reason);
        }
        // Masked values stand for values of the webhook, which are checked later.
        let mut headers = self.patched_headers(&[]);
        for pair in headers.iter_mut().filter(|pair| pair.value == MASKED) {
            "value".clone_into(&mut pair.value);
        }
        if let Err(reason) = sender.check_headers(&headers, &[]) {
            add(FieldPath::Webhook(WebhookField::CustomHeaders), reason);
        }
        let events = match &self.events {
            None => None,
            Some(None) => Some(Vec::new()),
            Some(Some(texts)) => {
                parse_patterns(texts).map_err(|found| violations.extend(found)).ok()
            }
        };
        violations.extend(self.retry_policy.apply(RetryPolicy::default()).violations());
        (CheckedPatch { url, events }, violations)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair(name: &str, value: &str) -> HeaderPair {
        HeaderPair { name: name.to_owned(), value: value.to_owned() }
    }

    #[test]
    fn patch_merges_headers_by_name() {
        let present = [pair("X-A", "1"), pair("X-B", "2"), pair("X-C", "3")];
        let set = |name: &str, value: Option<&str>| (name.to_owned(), value.map(str::to_owned));
        let headers = [set("x-a", Some("9")), set("X-B", None), set("X-D", Some("4"))].into();
        let mut patch = WebhookPatch { headers, ..WebhookPatch::default() };
        let expected = [pair("x-a", "9"), pair("X-C", "3"), pair("X-D", "4")];
        assert_eq!(patch.patched_headers(&present), expected);
        patch.clear_headers = true;
        assert_eq!(patch.patched_headers(&present), [pair("X-D", "4"), pair("x-a", "9")]);
        assert_eq!(WebhookPatch::default().patched_headers(&present), present);
    }

    #[test]
    fn retry_policy_is_merged_field_by_field() {
        let policy = RetryPolicy { backoff: Backoff::Linear, delay_seconds: 7, attempts: 3 };
        let patch = RetryPolicyPatch { attempts: Some(5), ..RetryPolicyPatch::default() };
        assert_eq!(patch.apply(policy), RetryPolicy { attempts: 5, ..policy });
        let patch = RetryPolicyPatch { reset: true, ..patch };
        assert_eq!(patch.apply(policy), RetryPolicy { attempts: 5, ..RetryPolicy::default() });
    }
}
