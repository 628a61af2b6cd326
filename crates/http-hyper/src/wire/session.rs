//! Sessions in responses.

use std::{borrow::Cow, collections::BTreeMap};

use domain::{Session, StatusReason};
use serde::Serialize;
use utoipa::ToSchema;

use super::example::example_is_sample;
use crate::wire::schema;

/// One attached, or to-be-attached, WhatsApp number.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Session)]
pub struct SessionView<'a> {
    /// The id of the session.
    pub id: &'a str,
    /// The organization of the session.
    pub organization_id: &'a str,
    /// The person who created the session; null when a key did.
    pub created_by_user_id: Option<&'a str>,
    /// The node of the session; null until the session first needs one.
    pub gateway_id: Option<&'a str>,
    /// The name of the session, for people.
    pub label: Option<&'a str>,
    /// The state of the connection: `stopped`, `starting`, `scan_qr_code`, `working`, `failed`.
    #[schema(schema_with = schema::status)]
    pub status: &'static str,
    /// The reason for the status, when the status differs from the desired state.
    pub status_reason: Option<StatusReasonView<'a>>,
    /// The state that the owner asked for: `running` or `stopped`.
    #[schema(schema_with = schema::desired)]
    pub desired: &'static str,
    /// The phone number, digits only; null without a linked phone, like the next four fields.
    pub phone_number: Option<&'a str>,
    /// `number:device@s.whatsapp.net`
    pub wa_jid: Option<&'a str>,
    /// `lid:device@lid`
    pub wa_lid: Option<&'a str>,
    /// The device's number on the account.
    pub device_id: Option<u32>,
    /// The name the account shows.
    pub push_name: Option<&'a str>,
    /// Mark incoming messages as read.
    pub auto_read: bool,
    /// Show "typing…" before a message is sent.
    pub presence_typing: bool,
    /// Maximum number of messages per minute; null for the default of 20, 0 for no limit.
    pub rate_per_min: Option<u32>,
    /// Maximum number of messages per hour; null for the default of 600, 0 for no limit.
    pub rate_per_hour: Option<u32>,
    /// The parts of messages that stay stored: `full`, `headers` (no bodies after a day) or `none`
    /// (nothing after a day).
    #[schema(schema_with = schema::message_storage)]
    pub messages: &'static str,
    /// Days after which messages are removed; 0 for never.
    pub retention_days: u32,
    /// Whether the session is reserved for the platform.
    pub is_admin_session: bool,
    /// Notes of the owner.
    #[schema(value_type = BTreeMap<String, String>)]
    pub metadata: Cow<'a, BTreeMap<String, String>>,
    /// The time at which the session last became `working`.
    pub last_connected_at: Option<i64>,
    /// The time of creation.
    pub created_at: i64,
    /// The time of the last change.
    pub updated_at: i64,
    /// The version, which increases with every change.
    pub version: u64,
}

/// The reason for the status of a session.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = StatusReason)]
pub struct StatusReasonView<'a> {
    /// The code, for programs.
    #[schema(schema_with = schema::reason_code)]
    pub code: &'static str,
    /// The message, for people.
    pub message: &'a str,
    /// The time since which the reason applies.
    pub since: i64,
    /// The time of the next automatic retry; null without one.
    pub retry_at: Option<i64>,
}

example_is_sample!(SessionView<'static>);

impl<'a> SessionView<'a> {
    /// Returns an example.
    pub fn sample() -> Self {
        Self {
            id: "sess_01JGXS1DN00000000000000001",
            organization_id: "acme",
            created_by_user_id: Some("user_1"),
            gateway_id: Some("gw-sg-1"),
            label: Some("Front desk"),
            status: "failed",
            status_reason: Some(StatusReasonView {
                code: "connect_failed",
                message: "WhatsApp cannot be reached",
                since: 1_767_254_400_000,
                retry_at: Some(1_767_254_430_000),
            }),
            desired: "running",
            phone_number: Some("15550000001"),
            wa_jid: Some("15550000001:7@s.whatsapp.net"),
            wa_lid: Some("915550000001:7@lid"),
            device_id: Some(7),
            push_name: Some("Front desk"),
            auto_read: false,
            presence_typing: true,
            rate_per_min: Some(20),
            rate_per_hour: None,
            messages: "full",
            retention_days: 90,
            is_admin_session: false,
            metadata: Cow::Owned([("branch".to_owned(), "north".to_owned())].into()),
            last_connected_at: Some(1_767_254_300_000),
            created_at: 1_767_254_200_000,
            updated_at: 1_767_254_400_000,
            version: 7,
        }
    }

    pub(crate) fn of(session: &'a Session) -> Self {
        let Session { settings, observed, spec, .. } = session;
        let identity = observed.identity.as_ref();
        Self {
            id: session.id.as_str(),
            organization_id: session.organization.as_str(),
            created_by_user_id: session.created_by.as_ref().map(domain::UserId::as_str),
            gateway_id: session.gateway.as_ref().map(domain::GatewayId::as_str),
            label: settings.label.as_deref(),
            status: observed.status.as_str(),
            status_reason: observed.reason.as_ref().map(StatusReasonView::of),
            desired: spec.desired.as_str(),
            phone_number: identity.map(|identity| identity.phone.as_str()),
            wa_jid: identity.map(|identity| identity.jid.as_str()),
            wa_lid: identity.and_then(|identity| identity.lid.as_deref()),
            device_id: identity.map(|identity| identity.device),
            push_name: identity.and_then(|identity| identity.push_name.as_deref()),
            auto_read: settings.auto_read,
            presence_typing: settings.presence_typing,
            rate_per_min: settings.rate_per_min,
            rate_per_hour: settings.rate_per_hour,
            messages: settings.messages.as_str(),
            retention_days: settings.retention_days,
            is_admin_session: session.is_admin_session,
            metadata: Cow::Borrowed(&settings.metadata),
            last_connected_at: observed.last_connected_at.map(domain::Timestamp::millis),
            created_at: session.created_at.millis(),
            updated_at: session.updated_at.millis(),
            version: session.version.0,
        }
    }
}

impl<'a> StatusReasonView<'a> {
    pub(crate) fn of(reason: &'a StatusReason) -> Self {
        Self {
            code: reason.code.as_str(),
            message: &reason.message,
            since: reason.since.millis(),
            retry_at: reason.retry_at.map(domain::Timestamp::millis),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_field_is_always_present() {
        let shown = serde_json::to_value(SessionView::sample()).unwrap();
        let mut names: Vec<_> = shown.as_object().unwrap().keys().cloned().collect();
        names.sort();
        let expected = "autoRead createdAt createdByUserId desired deviceId gatewayId id \
            isAdminSession label lastConnectedAt messages metadata organizationId phoneNumber \
            presenceTyping pushName ratePerHour ratePerMin retentionDays status statusReason \
            updatedAt version waJid waLid";
        assert_eq!(names.join(" "), expected);
    }
}
