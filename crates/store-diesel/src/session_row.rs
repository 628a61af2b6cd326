//! A session as a row: what never changes apart from what an update writes.

use diesel::prelude::*;
use domain::{
    Desired, DueAsRead, GatewayId, Observed, OrganizationId, Session, SessionId, Settings, Spec,
    Status, Timestamp, UserId, Version,
};
use serde::Serialize;

use crate::{
    StoreError,
    column::{counted, counter, moment, optional, read, written},
    documents::{AttemptDocument, HeardDocument, IdentityDocument, ReasonDocument, WantedDocument},
    schema::sessions,
    scope::Owned,
};

/// The whole row.
#[derive(Queryable, Selectable, Insertable, Serialize)]
#[diesel(table_name = sessions)]
pub(crate) struct SessionRow {
    #[diesel(embed)]
    #[serde(flatten)]
    birth: Birth,
    #[diesel(embed)]
    #[serde(flatten)]
    state: State,
}

/// What is written once.
#[derive(Queryable, Selectable, Insertable, Serialize)]
#[diesel(table_name = sessions, treat_none_as_default_value = false)]
pub(crate) struct Birth {
    id: String,
    organization: String,
    created_by: Option<String>,
    created_at: i64,
}

/// What an update replaces.
#[derive(Queryable, Selectable, Insertable, AsChangeset, Serialize)]
#[diesel(table_name = sessions, treat_none_as_default_value = false, treat_none_as_null = true)]
pub(crate) struct State {
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
    wanted: String,
    status: String,
    reason: Option<String>,
    identity: Option<String>,
    phone_number: Option<String>,
    pairing: Option<String>,
    deadline: Option<i64>,
    heard: String,
    last_connected_at: Option<i64>,
    updated_at: i64,
    version: i64,
    sequence: i64,
    due: Option<i64>,
    failures: i64,
}

impl SessionRow {
    pub(crate) fn new(session: &Session) -> Result<Self, StoreError> {
        Ok(Self {
            birth: Birth {
                id: session.id.to_string(),
                organization: session.organization.to_string(),
                created_by: session.created_by.as_ref().map(ToString::to_string),
                created_at: session.created_at.millis(),
            },
            state: State::new(session)?,
        })
    }

    /// Its name.
    pub(crate) fn id(&self) -> &str {
        &self.birth.id
    }

    /// Whose it is.
    pub(crate) fn organization(&self) -> &str {
        &self.birth.organization
    }

    /// As [`State::metadata_bytes`].
    pub(crate) fn metadata_bytes(&self) -> usize {
        self.state.metadata_bytes()
    }
}

impl State {
    /// How much the metadata takes of the organization's stock: the braces around it do not count, so that
    /// a session without any takes nothing.
    pub(crate) fn metadata_bytes(&self) -> usize {
        self.metadata.len().saturating_sub(2)
    }

    /// How many bytes the column has.
    pub(crate) fn metadata_length(&self) -> i32 {
        i32::try_from(self.metadata.len()).unwrap_or(i32::MAX)
    }

    pub(crate) fn new(session: &Session) -> Result<Self, StoreError> {
        let Session { settings, spec: wanted, observed: seen, .. } = session;
        let reason = seen.reason.as_ref().map(ReasonDocument::from);
        let identity = seen.identity.as_ref().map(IdentityDocument::from);
        let pairing = seen.pairing.as_ref().map(AttemptDocument::from);
        let heard = HeardDocument { epoch: seen.epoch, boot: seen.generation, seq: seen.seq };
        Ok(Self {
            label: settings.label.clone(),
            auto_read: settings.auto_read,
            presence_typing: settings.presence_typing,
            rate_per_min: settings.rate_per_min.map(i64::from),
            rate_per_hour: settings.rate_per_hour.map(i64::from),
            metadata: written("sessions.metadata", &settings.metadata)?,
            is_admin_session: session.is_admin_session,
            gateway: session.gateway.as_ref().map(ToString::to_string),
            desired: wanted.desired.as_str().to_owned(),
            epoch: counted("sessions.epoch", wanted.epoch)?,
            wanted: written("sessions.wanted", &wanted_document(wanted))?,
            status: seen.status.as_str().to_owned(),
            reason: reason.map(|it| written("sessions.reason", &it)).transpose()?,
            identity: identity.map(|it| written("sessions.identity", &it)).transpose()?,
            phone_number: seen.identity.as_ref().map(|identity| identity.phone.clone()),
            pairing: pairing.map(|it| written("sessions.pairing", &it)).transpose()?,
            deadline: seen.deadline.map(Timestamp::millis),
            heard: written("sessions.heard", &heard)?,
            last_connected_at: seen.last_connected_at.map(Timestamp::millis),
            updated_at: session.updated_at.millis(),
            version: counted("sessions.version", session.version.0)?,
            sequence: counted("sessions.sequence", session.sequence)?,
            due: session.due.map(Timestamp::millis),
            failures: i64::from(session.failures),
        })
    }

    fn settings(&self) -> Result<Settings, &'static str> {
        Ok(Settings {
            label: self.label.clone(),
            auto_read: self.auto_read,
            presence_typing: self.presence_typing,
            rate_per_min: optional(self.rate_per_min, counter).ok_or("sessions.rate_per_min")?,
            rate_per_hour: optional(self.rate_per_hour, counter).ok_or("sessions.rate_per_hour")?,
            metadata: read(&self.metadata).ok_or("sessions.metadata")?,
        })
    }

    fn wanted(&self) -> Result<Spec, &'static str> {
        let document: WantedDocument = read(&self.wanted).ok_or("sessions.wanted")?;
        Ok(Spec {
            desired: Desired::parse(&self.desired).ok_or("sessions.desired")?,
            pairing: document.pairing.map(Into::into),
            unlink: document.unlink.map(Into::into),
            restarts: document.restarts,
            epoch: counter(self.epoch).ok_or("sessions.epoch")?,
        })
    }

    fn seen(&self) -> Result<Observed, &'static str> {
        let heard: HeardDocument = read(&self.heard).ok_or("sessions.heard")?;
        let reason = |text| read::<ReasonDocument>(text).and_then(ReasonDocument::into_reason);
        let identity = |text| read::<IdentityDocument>(text).map(Into::into);
        let pairing = |text| read::<AttemptDocument>(text).map(Into::into);
        Ok(Observed {
            status: Status::parse(&self.status).ok_or("sessions.status")?,
            reason: optional(self.reason.as_deref(), reason).ok_or("sessions.reason")?,
            identity: optional(self.identity.as_deref(), identity).ok_or("sessions.identity")?,
            pairing: optional(self.pairing.as_deref(), pairing).ok_or("sessions.pairing")?,
            deadline: moment(self.deadline),
            last_connected_at: moment(self.last_connected_at),
            epoch: heard.epoch,
            generation: heard.boot,
            seq: heard.seq,
        })
    }
}

fn wanted_document(wanted: &Spec) -> WantedDocument {
    WantedDocument {
        pairing: wanted.pairing.as_ref().map(Into::into),
        unlink: wanted.unlink.as_ref().map(Into::into),
        restarts: wanted.restarts,
    }
}

impl SessionRow {
    /// By what it is found.
    pub(crate) fn owned(&self) -> Owned {
        Owned::found(&self.birth.organization, &self.birth.id)
    }

    /// Where it is in lists.
    pub(crate) fn place(&self) -> (i64, &str) {
        (self.birth.created_at, &self.birth.id)
    }

    fn session(&self) -> Result<Session, &'static str> {
        let Self { birth, state } = self;
        Ok(Session {
            id: SessionId::parse(&birth.id).ok_or("sessions.id")?,
            organization: OrganizationId::parse(&birth.organization)
                .ok_or("sessions.organization")?,
            created_by: optional(birth.created_by.as_deref(), UserId::parse)
                .ok_or("sessions.created_by")?,
            settings: state.settings()?,
            is_admin_session: state.is_admin_session,
            gateway: optional(state.gateway.as_deref(), GatewayId::parse)
                .ok_or("sessions.gateway")?,
            spec: state.wanted()?,
            observed: state.seen()?,
            created_at: Timestamp::from_millis(birth.created_at),
            updated_at: Timestamp::from_millis(state.updated_at),
            version: Version(counter(state.version).ok_or("sessions.version")?),
            sequence: counter(state.sequence).ok_or("sessions.sequence")?,
            due: moment(state.due),
            due_as_read: DueAsRead(moment(state.due)),
            failures: counter(state.failures).ok_or("sessions.failures")?,
            lease_over: false,
        })
    }
}

impl TryFrom<SessionRow> for Session {
    type Error = StoreError;

    fn try_from(row: SessionRow) -> Result<Self, StoreError> {
        row.session().map_err(|column| StoreError::corrupt(column, &row.birth.id))
    }
}
