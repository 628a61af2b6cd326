//! The table `sessions`: immutable columns, and the columns that an update replaces.

use diesel::prelude::*;
use domain::{
    Desired, DueAsRead, GatewayId, MessageStorage, Observed, OrganizationId, Session, SessionId,
    Settings, Spec, Status, Timestamp, UserId, Version,
};
use serde::Serialize;

use crate::{
    StoreError,
    rows::{
        column::{from_bigint, from_json, parse_optional, timestamp, to_bigint, to_json},
        session_json::{
            AttemptDocument, IdentityDocument, LastReportDocument, ReasonDocument, SpecDocument,
        },
    },
    schema::sessions,
};

/// A row of `sessions`.
#[derive(Queryable, Selectable, Insertable, Serialize)]
#[diesel(table_name = sessions)]
pub(crate) struct SessionRow {
    #[diesel(embed)]
    #[serde(flatten)]
    immutable: ImmutableColumns,
    #[diesel(embed)]
    #[serde(flatten)]
    mutable: MutableColumns,
}

/// The columns that never change.
#[derive(Queryable, Selectable, Insertable, Serialize)]
#[diesel(table_name = sessions, treat_none_as_default_value = false)]
pub(crate) struct ImmutableColumns {
    id: String,
    organization: String,
    created_by: Option<String>,
    created_at: i64,
}

/// The columns that an update replaces. Column `wanted` is the JSON part of the spec, `heard` the
/// position of the last accepted report.
#[derive(Queryable, Selectable, Insertable, AsChangeset, Serialize)]
#[diesel(table_name = sessions, treat_none_as_default_value = false, treat_none_as_null = true)]
pub(crate) struct MutableColumns {
    label: Option<String>,
    auto_read: bool,
    presence_typing: bool,
    rate_per_min: Option<i64>,
    rate_per_hour: Option<i64>,
    metadata: String,
    is_admin_session: bool,
    gateway: Option<String>,
    desired: String,
    epoch: i64,
    #[diesel(column_name = wanted)]
    #[serde(rename = "wanted")]
    spec: String,
    status: String,
    reason: Option<String>,
    identity: Option<String>,
    phone_number: Option<String>,
    pairing: Option<String>,
    deadline: Option<i64>,
    #[diesel(column_name = heard)]
    #[serde(rename = "heard")]
    last_report: String,
    last_connected_at: Option<i64>,
    updated_at: i64,
    version: i64,
    sequence: i64,
    due: Option<i64>,
    failures: i64,
    messages: String,
    retention_days: i64,
}

impl SessionRow {
    pub(crate) fn new(session: &Session) -> Result<Self, StoreError> {
        Ok(Self {
            immutable: ImmutableColumns {
                id: session.id.to_string(),
                organization: session.organization.to_string(),
                created_by: session.created_by.as_ref().map(ToString::to_string),
                created_at: session.created_at.millis(),
            },
            mutable: MutableColumns::new(session)?,
        })
    }

    /// Returns the id of the session.
    pub(crate) fn id(&self) -> &str {
        &self.immutable.id
    }

    /// Returns the organization of the session.
    pub(crate) fn organization(&self) -> &str {
        &self.immutable.organization
    }

    /// See [`MutableColumns::metadata_bytes`].
    pub(crate) fn metadata_bytes(&self) -> usize {
        self.mutable.metadata_bytes()
    }
}

impl MutableColumns {
    /// Returns the amount of resource `metadata` that the session uses, in bytes. The outer braces
    /// are not counted, so that empty metadata uses 0.
    pub(crate) fn metadata_bytes(&self) -> usize {
        self.metadata.len().saturating_sub(2)
    }

    /// Returns the length of the column `metadata` in bytes.
    pub(crate) fn metadata_length(&self) -> i32 {
        i32::try_from(self.metadata.len()).unwrap_or(i32::MAX)
    }

    pub(crate) fn new(session: &Session) -> Result<Self, StoreError> {
        let Session { settings, spec, observed, .. } = session;
        let reason = observed.reason.as_ref().map(ReasonDocument::from);
        let identity = observed.identity.as_ref().map(IdentityDocument::from);
        let pairing = observed.pairing.as_ref().map(AttemptDocument::from);
        let last_report = LastReportDocument {
            epoch: observed.epoch,
            generation: observed.generation,
            seq: observed.seq,
        };
        Ok(Self {
            label: settings.label.clone(),
            auto_read: settings.auto_read,
            presence_typing: settings.presence_typing,
            rate_per_min: settings.rate_per_min.map(i64::from),
            rate_per_hour: settings.rate_per_hour.map(i64::from),
            metadata: to_json("sessions.metadata", &settings.metadata)?,
            is_admin_session: session.is_admin_session,
            gateway: session.gateway.as_ref().map(ToString::to_string),
            desired: spec.desired.as_str().to_owned(),
            epoch: to_bigint("sessions.epoch", spec.epoch)?,
            spec: to_json("sessions.wanted", &spec_document(spec))?,
            status: observed.status.as_str().to_owned(),
            reason: reason.map(|it| to_json("sessions.reason", &it)).transpose()?,
            identity: identity.map(|it| to_json("sessions.identity", &it)).transpose()?,
            phone_number: observed.identity.as_ref().map(|identity| identity.phone.clone()),
            pairing: pairing.map(|it| to_json("sessions.pairing", &it)).transpose()?,
            deadline: observed.deadline.map(Timestamp::millis),
            last_report: to_json("sessions.heard", &last_report)?,
            last_connected_at: observed.last_connected_at.map(Timestamp::millis),
            updated_at: session.updated_at.millis(),
            version: to_bigint("sessions.version", session.version.0)?,
            sequence: to_bigint("sessions.sequence", session.sequence)?,
            due: session.due.map(Timestamp::millis),
            failures: i64::from(session.failures),
            messages: settings.messages.as_str().to_owned(),
            retention_days: settings.retention_days.into(),
        })
    }

    fn settings(&self) -> Result<Settings, &'static str> {
        Ok(Settings {
            label: self.label.clone(),
            auto_read: self.auto_read,
            presence_typing: self.presence_typing,
            rate_per_min: parse_optional(self.rate_per_min, from_bigint)
                .ok_or("sessions.rate_per_min")?,
            rate_per_hour: parse_optional(self.rate_per_hour, from_bigint)
                .ok_or("sessions.rate_per_hour")?,
            messages: MessageStorage::parse(&self.messages).ok_or("sessions.messages")?,
            retention_days: from_bigint(self.retention_days).ok_or("sessions.retention_days")?,
            metadata: from_json(&self.metadata).ok_or("sessions.metadata")?,
        })
    }

    fn spec(&self) -> Result<Spec, &'static str> {
        let document: SpecDocument = from_json(&self.spec).ok_or("sessions.wanted")?;
        Ok(Spec {
            desired: Desired::parse(&self.desired).ok_or("sessions.desired")?,
            pairing: document.pairing.map(Into::into),
            unlink: document.unlink.map(Into::into),
            restarts: document.restarts,
            epoch: from_bigint(self.epoch).ok_or("sessions.epoch")?,
        })
    }

    fn observed(&self) -> Result<Observed, &'static str> {
        let last_report: LastReportDocument =
            from_json(&self.last_report).ok_or("sessions.heard")?;
        let reason = |text| from_json::<ReasonDocument>(text).and_then(ReasonDocument::into_reason);
        let identity = |text| from_json::<IdentityDocument>(text).map(Into::into);
        let pairing = |text| from_json::<AttemptDocument>(text).map(Into::into);
        Ok(Observed {
            status: Status::parse(&self.status).ok_or("sessions.status")?,
            reason: parse_optional(self.reason.as_deref(), reason).ok_or("sessions.reason")?,
            identity: parse_optional(self.identity.as_deref(), identity)
                .ok_or("sessions.identity")?,
            pairing: parse_optional(self.pairing.as_deref(), pairing).ok_or("sessions.pairing")?,
            deadline: timestamp(self.deadline),
            last_connected_at: timestamp(self.last_connected_at),
            epoch: last_report.epoch,
            generation: last_report.generation,
            seq: last_report.seq,
        })
    }
}

fn spec_document(spec: &Spec) -> SpecDocument {
    SpecDocument {
        pairing: spec.pairing.as_ref().map(Into::into),
        unlink: spec.unlink.as_ref().map(Into::into),
        restarts: spec.restarts,
    }
}

impl SessionRow {
    /// Returns the position in lists: creation time and id.
    pub(crate) fn position(&self) -> (i64, &str) {
        (self.immutable.created_at, &self.immutable.id)
    }

    fn session(&self) -> Result<Session, &'static str> {
        let Self { immutable, mutable } = self;
        Ok(Session {
            id: SessionId::parse(&immutable.id).ok_or("sessions.id")?,
            organization: OrganizationId::parse(&immutable.organization)
                .ok_or("sessions.organization")?,
            created_by: parse_optional(immutable.created_by.as_deref(), UserId::parse)
                .ok_or("sessions.created_by")?,
            settings: mutable.settings()?,
            is_admin_session: mutable.is_admin_session,
            gateway: parse_optional(mutable.gateway.as_deref(), GatewayId::parse)
                .ok_or("sessions.gateway")?,
            spec: mutable.spec()?,
            observed: mutable.observed()?,
            created_at: Timestamp::from_millis(immutable.created_at),
            updated_at: Timestamp::from_millis(mutable.updated_at),
            version: Version(from_bigint(mutable.version).ok_or("sessions.version")?),
            sequence: from_bigint(mutable.sequence).ok_or("sessions.sequence")?,
            due: timestamp(mutable.due),
            due_as_read: DueAsRead(timestamp(mutable.due)),
            failures: from_bigint(mutable.failures).ok_or("sessions.failures")?,
            lease_over: false,
        })
    }
}

impl TryFrom<SessionRow> for Session {
    type Error = StoreError;

    fn try_from(row: SessionRow) -> Result<Self, StoreError> {
        row.session().map_err(|column| StoreError::corrupt(column, &row.immutable.id))
    }
}
