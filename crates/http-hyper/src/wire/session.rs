//! A session as callers see it.

use std::{borrow::Cow, collections::BTreeMap};

use domain::{Session, StatusReason};
use serde::Serialize;
use utoipa::ToSchema;

use crate::wire::schema;

/// One attached, or to-be-attached, WhatsApp number.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Session)]
pub struct SessionView<'a> {
    /// Its name.
    pub id: &'a str,
    /// Whose it is.
    pub organization_id: &'a str,
    /// The person who made it; null when a key did.
    pub created_by_user_id: Option<&'a str>,
    /// The node it lives on, once it needed one.
    pub gateway_id: Option<&'a str>,
    /// A name for people.
    pub label: Option<&'a str>,
    /// What its connection does: `stopped`, `starting`, `scan_qr_code`, `working`, `failed`.
    #[schema(schema_with = schema::status)]
    pub status: &'static str,
    /// Why, when it is not simply what was wanted.
    pub status_reason: Option<StatusReasonView<'a>>,
    /// What its owner wants: `running` or `stopped`.
    #[schema(schema_with = schema::desired)]
    pub desired: &'static str,
    /// Digits only; null while no phone is linked, like the next four.
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
    /// At most so many messages a minute.
    pub rate_per_min: Option<u32>,
    /// At most so many messages an hour.
    pub rate_per_hour: Option<u32>,
    /// Set apart for the platform's own use.
    pub is_admin_session: bool,
    /// The owner's own notes.
    #[schema(value_type = BTreeMap<String, String>)]
    pub metadata: Cow<'a, BTreeMap<String, String>>,
    /// When it last became `working`.
    pub last_connected_at: Option<i64>,
    /// When it was made.
    pub created_at: i64,
    /// When anything of this last changed.
    pub updated_at: i64,
    /// Grows with every change.
    pub version: u64,
}

/// Why a session's status is what it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = StatusReason)]
pub struct StatusReasonView<'a> {
    /// For programs.
    #[schema(schema_with = schema::reason_code)]
    pub code: &'static str,
    /// For people.
    pub message: &'a str,
    /// Since when.
    pub since: i64,
    /// When it is tried again without being asked.
    pub retry_at: Option<i64>,
}

impl<'a> SessionView<'a> {
    /// An example.
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
    fn of(reason: &'a StatusReason) -> Self {
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
            isAdminSession label lastConnectedAt metadata organizationId phoneNumber \
            presenceTyping pushName ratePerHour ratePerMin status statusReason updatedAt version \
            waJid waLid";
        assert_eq!(names.join(" "), expected);
    }
}
