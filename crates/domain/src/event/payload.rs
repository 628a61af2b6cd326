//! The table of events: for each kind its name, and the names and types of its fields.

use crate::{
    caller::Capability,
    event::{
        field_spec::EventFieldSpec,
        fields::{EventField, EventFields, EventValue, Omittable},
    },
    id::{KeyId, WebhookId},
    session::{
        settings_field::SettingsField,
        spec::{Desired, RequestedAction},
        status::{ReasonCode, Status},
        unlink::LogoutOutcome,
    },
    time::Timestamp,
    webhook::{disabled_reason::DisabledReason, field::WebhookField},
};

/// Declares [`EventName`] and [`EventPayload`]: each row is a kind of event with its stored name, and
/// its fields with their stored names in display order.
macro_rules! events {
    ($(
        $(#[doc = $doc:literal])+
        $kind:ident = $name:literal {
            $($(#[doc = $field_doc:literal])+ $field:ident: $type:ty = $key:literal,)*
        }
    )+) => {
        /// Kinds of event.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum EventName {
            $($(#[doc = $doc])+ $kind,)+
        }

        impl EventName {
            /// Every kind of event.
            pub const ALL: [Self; [$($name),+].len()] = [$(Self::$kind),+];

            /// Returns the stable name, as stored and sent.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$kind => $name,)+
                }
            }

            /// Returns when events of the kind are written, in sentences.
            pub const fn description(self) -> &'static str {
                match self {
                    $(Self::$kind => concat!($($doc),+).trim_ascii_start(),)+
                }
            }

            /// Returns the fields of the payload, in display order.
            pub fn fields(self) -> Vec<EventFieldSpec> {
                match self {
                    $(Self::$kind => vec![$(EventFieldSpec {
                        name: $key,
                        description: concat!($($field_doc),+).trim_ascii_start(),
                        shape: <$type>::shape(),
                    }),*],)+
                }
            }
        }

        /// Details of an event.
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub enum EventPayload {
            $($(#[doc = $doc])+ $kind { $($(#[doc = $field_doc])+ $field: $type,)* },)+
            /// A stored payload that this version does not recognize, for example of a newer version.
            Unrecognized {
                /// Kind of the event.
                name: EventName,
                /// The stored fields.
                fields: EventFields,
            },
        }

        impl EventPayload {
            /// Returns the kind of the event.
            pub fn name(&self) -> EventName {
                match self {
                    $(Self::$kind { .. } => EventName::$kind,)+
                    Self::Unrecognized { name, .. } => *name,
                }
            }

            /// Returns the fields, as stored and sent.
            pub fn fields(&self) -> EventFields {
                match self {
                    $(Self::$kind { $($field,)* } => {
                        let fields: [(&str, Option<EventValue>); _] =
                            [$(($key, $field.to_value()),)*];
                        let stored = fields.into_iter();
                        stored.filter_map(|(key, value)| Some((key.into(), value?))).collect()
                    })+
                    Self::Unrecognized { fields, .. } => fields.clone(),
                }
            }

            fn parse(name: EventName, fields: &EventFields) -> Option<Self> {
                match name {
                    $(EventName::$kind => Some(Self::$kind {
                        $($field: <$type>::from_value(value_of(fields, $key))?,)*
                    }),)+
                }
            }
        }
    };
}

events! {
    /// A session was created.
    SessionCreated = "session.created" {
        /// Label of the session.
        label: Option<String> = "label",
    }
    /// A caller requested a start, stop, restart, logout or pairing.
    SessionRequested = "session.requested" {
        /// The request.
        action: RequestedAction = "action",
        /// The connection state after the request.
        desired: Desired = "desired",
    }
    /// The status or its reason changed.
    SessionStatus = "session.status" {
        /// The new status.
        status: Status = "status",
        /// Code of the reason.
        reason: Option<ReasonCode> = "reason",
        /// Text of the reason.
        message: Option<String> = "message",
        /// Outcome of the unlink that the change completes. Absent for other changes.
        unlink: Omittable<LogoutOutcome> = "unlink",
    }
    /// Settings changed.
    SessionUpdated = "session.updated" {
        /// The changed settings.
        changed: Vec<SettingsField> = "fields",
    }
    /// The owner deleted the session.
    SessionDeleted = "session.deleted" {}
    /// The cleanup of a deleted session reported its outcome.
    SessionRetired = "session.retired" {
        /// Outcome of the unlink.
        unlink: LogoutOutcome = "unlink",
    }
    /// A new QR code was issued.
    AuthQr = "auth.qr" {
        /// Content of the QR code. Null an hour after the code expires.
        code: Option<String> = "code",
        /// Time at which the code expires.
        expires_at: Timestamp = "expiresAt",
        /// Number of the code within the pairing attempt, from 1.
        number: u32 = "attempt",
        /// Number of codes in the pairing attempt.
        of: u32 = "attempts",
    }
    /// A new pairing code was issued.
    AuthCode = "auth.code" {
        /// The code in its display form. Null an hour after the code expires.
        code: Option<String> = "code",
        /// Time at which the code expires.
        expires_at: Timestamp = "expiresAt",
    }
    /// A pairing attempt ended without a link.
    AuthExpired = "auth.expired" {
        /// Code of the reason.
        reason: ReasonCode = "reason",
    }
    /// A device was linked.
    AuthPaired = "auth.paired" {
        /// Phone number, digits only.
        phone: String = "phoneNumber",
        /// Address of the device.
        jid: String = "waJid",
        /// Private address of the account.
        lid: Option<String> = "waLid",
        /// Number of the device within the account.
        device: u32 = "deviceId",
    }
    /// An API key was created.
    ApiKeyCreated = "api_key.created" {
        /// The key.
        key: KeyId = "key",
        /// Name of the key.
        key_name: String = "name",
    }
    /// An API key was revoked.
    ApiKeyRevoked = "api_key.revoked" {
        /// The key.
        key: KeyId = "key",
    }
    /// A webhook was created.
    WebhookCreated = "webhook.created" {
        /// The webhook.
        webhook: WebhookId = "webhook",
        /// Scheme and host of the URL.
        origin: String = "url",
    }
    /// The owner changed a webhook, paused or resumed it, or asked for a replay.
    WebhookUpdated = "webhook.updated" {
        /// The webhook.
        webhook: WebhookId = "webhook",
        /// The changed parts.
        changed: Vec<WebhookField> = "fields",
    }
    /// A webhook was deleted.
    WebhookDeleted = "webhook.deleted" {
        /// The webhook.
        webhook: WebhookId = "webhook",
    }
    /// berth stopped the deliveries of a webhook.
    WebhookDisabled = "webhook.disabled" {
        /// The webhook.
        webhook: WebhookId = "webhook",
        /// The reason.
        reason: DisabledReason = "reason",
    }
    /// Retention removed events before a webhook got them.
    WebhookGap = "webhook.gap" {
        /// The webhook.
        webhook: WebhookId = "webhook",
    }
    /// A test request that a caller asks for. Sent to one webhook and never stored.
    WebhookPing = "webhook.ping" {
        /// The webhook.
        webhook: WebhookId = "webhook",
    }
}

fn value_of<'a>(fields: &'a EventFields, key: &str) -> Option<&'a EventValue> {
    fields.iter().find(|(name, _)| name == key).map(|(_, value)| value)
}

impl EventName {
    /// Returns the capability that a reader of the kind needs. The codes of `auth.qr` and
    /// `auth.code` link a device.
    pub const fn capability(self) -> Capability {
        Capability::Manage
    }

    /// Whether the audit log keeps events of the kind after the feed has removed them: events that say
    /// who did what to what. The other kinds are progress reports of connections and pairing
    /// attempts.
    pub const fn is_retained_for_audit(self) -> bool {
        match self {
            Self::SessionStatus | Self::AuthQr | Self::AuthCode | Self::AuthExpired => false,
            Self::SessionCreated
            | Self::SessionRequested
            | Self::SessionUpdated
            | Self::SessionDeleted
            | Self::SessionRetired
            | Self::AuthPaired
            | Self::ApiKeyCreated
            | Self::ApiKeyRevoked
            | Self::WebhookCreated
            | Self::WebhookUpdated
            | Self::WebhookDeleted
            | Self::WebhookDisabled
            | Self::WebhookGap
            | Self::WebhookPing => true,
        }
    }

    /// Returns the kind with this name, or `None`.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|name| name.as_str() == text)
    }
}

impl EventPayload {
    /// Returns the payload with these stored fields: of its kind if [`Self::fields`] gives back the
    /// same fields, otherwise [`Self::Unrecognized`].
    pub fn from_fields(name: EventName, fields: EventFields) -> Self {
        match Self::parse(name, &fields) {
            Some(payload) if payload.fields() == fields => payload,
            _ => Self::Unrecognized { name, fields },
        }
    }

    /// Returns the time at which the QR code or pairing code of the payload expires. `None` for
    /// other payloads.
    pub fn code_expires_at(&self) -> Option<Timestamp> {
        match self {
            Self::AuthQr { expires_at, .. } | Self::AuthCode { expires_at, .. } => {
                Some(*expires_at)
            }
            Self::Unrecognized { name: EventName::AuthQr | EventName::AuthCode, fields } => {
                Timestamp::from_value(value_of(fields, "expiresAt"))
            }
            _ => None,
        }
    }

    /// Removes the QR code or pairing code. Returns whether the payload contained one.
    pub fn blank_code(&mut self) -> bool {
        match self {
            Self::AuthQr { code, .. } | Self::AuthCode { code, .. } => code.take().is_some(),
            Self::Unrecognized { name: EventName::AuthQr | EventName::AuthCode, fields } => {
                let code = fields.iter_mut().find(|(name, _)| name == "code");
                let blank = |(_, value): &mut (_, EventValue)| {
                    std::mem::replace(value, EventValue::Null) != EventValue::Null
                };
                code.is_some_and(blank)
            }
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(key: &'static str, value: &str) -> (std::borrow::Cow<'static, str>, EventValue) {
        (key.into(), EventValue::Text(value.to_owned()))
    }

    #[test]
    fn fields_of_another_version_are_kept_as_stored() {
        for fields in [
            vec![],
            vec![text("unlink", "burned")],
            vec![("unlink".into(), EventValue::Number(1))],
            vec![text("unlink", "confirmed"), text("by", "phone")],
            vec![text("unlink", "confirmed"), text("unlink", "confirmed")],
        ] {
            let payload = EventPayload::from_fields(EventName::SessionRetired, fields.clone());
            let name = EventName::SessionRetired;
            assert_eq!(payload, EventPayload::Unrecognized { name, fields: fields.clone() });
            assert_eq!((payload.name(), payload.fields()), (name, fields));
        }
        let reordered = vec![text("desired", "running"), text("action", "pair")];
        let payload = EventPayload::from_fields(EventName::SessionRequested, reordered.clone());
        assert_eq!(payload.fields(), reordered);
    }

    #[test]
    fn codes_are_blanked_in_recognized_and_unrecognized_payloads() {
        let at = Timestamp::from_millis(7);
        let plain = EventPayload::AuthCode { code: Some("ABCD-1234".to_owned()), expires_at: at };
        let mut fields = plain.fields();
        fields.push(text("phone", "15551234567"));
        let newer = EventPayload::from_fields(EventName::AuthCode, fields.clone());
        for (mut payload, rest) in [(plain, 1), (newer, 2)] {
            assert_eq!(payload.code_expires_at(), Some(at));
            assert!(payload.blank_code());
            assert!(!payload.blank_code(), "blanked once");
            let blanked = payload.fields();
            assert_eq!(blanked[0], ("code".into(), EventValue::Null));
            assert_eq!(blanked[1..], fields[1..=rest]);
        }
        let mut other = EventPayload::from_fields(EventName::AuthExpired, fields);
        assert_eq!((other.code_expires_at(), other.blank_code()), (None, false));
    }
}
