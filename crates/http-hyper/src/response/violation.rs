//! Violations as the API names them: by JSON pointer or by parameter.

use domain::{FieldPath, MessageField, SettingsField};

/// One fault in a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Violation {
    /// A JSON pointer into the body (`""` is the whole body), or the name of a query parameter or
    /// header.
    pub(crate) field: String,
    /// The rule that the field breaks, as a text for people.
    pub(crate) reason: String,
}

impl Violation {
    pub(crate) fn new(field: impl Into<String>, reason: impl Into<String>) -> Self {
        Self { field: field.into(), reason: reason.into() }
    }
}

impl From<domain::Violation> for Violation {
    fn from(violation: domain::Violation) -> Self {
        let domain::Violation { field, mut reason } = violation;
        if field == FieldPath::KeySessions {
            reason.push_str(", or null for all");
        }
        Self { field: pointer(&field), reason }
    }
}

/// Returns the JSON pointer of a field. The match has no wildcard, so that a new field needs a name
/// here.
fn pointer(field: &FieldPath) -> String {
    let name = match field {
        FieldPath::Settings => return String::new(),
        FieldPath::MetadataEntry(key) => return pointer_to("/metadata", key),
        FieldPath::KeySession(index) => return format!("/sessions/{index}"),
        FieldPath::WebhookEvent(index) => return format!("/events/{index}"),
        FieldPath::RetryDelay => return "/retryPolicy/delaySeconds".to_owned(),
        FieldPath::RetryAttempts => return "/retryPolicy/attempts".to_owned(),
        FieldPath::Webhook(field) => field.as_str(),
        FieldPath::ReplaySince => "since",
        FieldPath::ReplayAfter => "after",
        FieldPath::ReplayUntil => "until",
        FieldPath::Setting(SettingsField::Label) => "label",
        FieldPath::Setting(SettingsField::AutoRead) => "autoRead",
        FieldPath::Setting(SettingsField::PresenceTyping) => "presenceTyping",
        FieldPath::Setting(SettingsField::RatePerMin) => "ratePerMin",
        FieldPath::Setting(SettingsField::RatePerHour) => "ratePerHour",
        FieldPath::Setting(SettingsField::Messages) => "messages",
        FieldPath::Setting(SettingsField::RetentionDays) => "retentionDays",
        FieldPath::Setting(SettingsField::Metadata) => "metadata",
        FieldPath::Message(MessageField::To) => "to",
        FieldPath::Message(MessageField::Text) => "text",
        FieldPath::Message(MessageField::Typing) => "typing",
        FieldPath::Message(MessageField::Reference) => "reference",
        FieldPath::Message(MessageField::UpTo) => "upTo",
        FieldPath::Phone | FieldPath::LinkPhone => "phone",
        FieldPath::LinkLife => "expiresIn",
        FieldPath::LinkMethods => "methods",
        FieldPath::LinkTitle => "title",
        FieldPath::LinkReturnAddress => "returnUrl",
        FieldPath::KeyName => "name",
        FieldPath::KeyCapabilities => "capabilities",
        FieldPath::KeyExpiry | FieldPath::Message(MessageField::ExpiresAt) => "expiresAt",
        FieldPath::KeySessions => "sessions",
    };
    pointer_to("", name)
}

/// Returns the JSON pointer to `key` in the object at `pointer`.
pub(crate) fn pointer_to(pointer: &str, key: &str) -> String {
    format!("{pointer}/{}", key.replace('~', "~0").replace('/', "~1"))
}

#[cfg(test)]
mod tests {
    use domain::WebhookField;

    use super::*;

    fn pointer_of(field: FieldPath) -> String {
        Violation::from(domain::Violation::new(field, "wrong")).field
    }

    #[test]
    fn domain_fields_become_json_pointers() {
        assert_eq!(pointer_of(FieldPath::Settings), "");
        assert_eq!(pointer_of(FieldPath::Setting(SettingsField::RatePerMin)), "/ratePerMin");
        assert_eq!(pointer_of(FieldPath::MetadataEntry("a/b~".to_owned())), "/metadata/a~1b~0");
        assert_eq!(pointer_of(FieldPath::KeySession(7)), "/sessions/7");
        assert_eq!(pointer_of(FieldPath::KeyExpiry), "/expiresAt");
        let headers = FieldPath::Webhook(WebhookField::CustomHeaders);
        assert_eq!(pointer_of(headers), "/customHeaders");
        assert_eq!(pointer_of(FieldPath::WebhookEvent(3)), "/events/3");
    }

    #[test]
    fn key_sessions_can_be_null() {
        let violation = domain::Violation::new(FieldPath::KeySessions, "1 to 100 sessions");
        assert_eq!(Violation::from(violation).reason, "1 to 100 sessions, or null for all");
    }
}
