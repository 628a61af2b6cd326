//! The content of messages at rest: sealed by the data key of the organization, or plain without
//! seal keys. The first byte says which.
//!
//! Decision: ADR 0042.

use std::{collections::HashMap, sync::Arc};

use diesel::{
    QueryableByName,
    sql_types::{BigInt, Binary, Nullable, Text},
};
use diesel_async::RunQueryDsl;
use domain::{
    Event, FeedEvent, MessageId, OrganizationId, SessionId,
    ports::{SealContext, SealError, SealedSecret, SecretSealer},
};
use serde::Serialize;

use crate::{
    Database, StoreError,
    database::statements::with_conn,
    rows::{column::to_json, message_json::decode_details, readable::skip_unreadable},
    scope::{bound_query::bound_query, messaging::bodies_statement},
};

/// First byte of plain content.
const PLAIN: u8 = 0;
/// First byte of sealed content.
const SEALED: u8 = 1;

/// A part of a message that is content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ContentPart {
    /// Column `body`: the readable content.
    Body,
    /// Column `content`: the encoded content.
    Encoded,
}

impl ContentPart {
    const fn field(self) -> &'static str {
        match self {
            Self::Body => "body",
            Self::Encoded => "content",
        }
    }
}

/// The place of a message's content.
pub(crate) struct ContentOwner<'a> {
    pub(crate) organization: &'a OrganizationId,
    pub(crate) session: &'a str,
    pub(crate) message: i64,
}

impl ContentOwner<'_> {
    fn entity(&self) -> String {
        format!("{}/{}", self.session, self.message)
    }
}

impl Database {
    /// Returns the database with a sealer for the content of messages. Without a sealer, or without
    /// a seal key, content is stored plain.
    #[must_use]
    pub fn with_sealer(mut self, sealer: Arc<dyn SecretSealer>) -> Self {
        self.sealer = Some(sealer);
        self
    }

    /// Returns content as it is stored.
    pub(crate) async fn protect(
        &self,
        owner: &ContentOwner<'_>,
        part: ContentPart,
        content: &[u8],
    ) -> Result<Vec<u8>, StoreError> {
        if let Some(sealer) = &self.sealer {
            let entity = owner.entity();
            let organization = owner.organization;
            let place = SealContext { organization, entity: &entity, field: part.field() };
            match sealer.seal(&place, content).await {
                Ok(sealed) => return Ok([&[SEALED][..], &sealed.0].concat()),
                Err(SealError::NoKey(_)) => {}
                Err(error) => return Err(StoreError::Unavailable(error.into())),
            }
        }
        Ok([&[PLAIN][..], content].concat())
    }

    /// Returns stored content. `None` for content that cannot be opened, which is logged.
    pub(crate) async fn reveal(
        &self,
        owner: &ContentOwner<'_>,
        part: ContentPart,
        stored: &[u8],
    ) -> Result<Option<Vec<u8>>, StoreError> {
        let corrupt = || {
            let column = match part {
                ContentPart::Body => "messages.body",
                ContentPart::Encoded => "messages.content",
            };
            skip_unreadable(Err::<Vec<u8>, _>(StoreError::corrupt(column, &owner.entity())))
        };
        let (bytes, sealer) = match (stored.split_first(), &self.sealer) {
            (Some((&PLAIN, content)), _) => return Ok(Some(content.to_vec())),
            (Some((&SEALED, bytes)), Some(sealer)) => (bytes, sealer),
            _ => return Ok(corrupt()),
        };
        let entity = owner.entity();
        let organization = owner.organization;
        let place = SealContext { organization, entity: &entity, field: part.field() };
        match sealer.open(&place, &SealedSecret(bytes.to_vec())).await {
            Ok(opened) => Ok(Some(opened)),
            Err(SealError::Unavailable(cause)) => Err(StoreError::Unavailable(cause)),
            Err(SealError::NoKey(_) | SealError::Broken(_)) => Ok(corrupt()),
        }
    }

    /// Adds the content of messages to their events. The content of a removed message stays absent.
    pub(crate) async fn with_contents(
        &self,
        mut events: Vec<FeedEvent>,
    ) -> Result<Vec<FeedEvent>, StoreError> {
        let keys: Vec<_> = events.iter().filter_map(|found| BodyKey::of(&found.event)).collect();
        if keys.is_empty() {
            return Ok(events);
        }
        let bodies = self.bodies(&keys).await?;
        for found in &mut events {
            let Some(key) = BodyKey::of(&found.event) else { continue };
            let Some(body) = bodies.get(&key) else { continue };
            let owner = ContentOwner {
                organization: &found.event.organization,
                session: &key.session,
                message: key.id,
            };
            let opened = self.reveal(&owner, ContentPart::Body, body).await?;
            if let Some(details) = opened.and_then(|body| decode_details(&body)) {
                found.event.payload.add_content(&details);
            }
        }
        Ok(events)
    }

    async fn bodies(&self, keys: &[BodyKey]) -> Result<HashMap<BodyKey, Vec<u8>>, StoreError> {
        let list = to_json("messages", &keys)?;
        let statement = bodies_statement(self.kind());
        let rows: Vec<BodyRow> = with_conn!(self, read, |conn| {
            bound_query!(&statement, Text: &list).load(conn).await
        })?;
        let with_body = |row: BodyRow| {
            let BodyRow { organization, session, id, body } = row;
            Some((BodyKey { organization, session, id }, body?))
        };
        Ok(rows.into_iter().filter_map(with_body).collect())
    }
}

/// The message of an event.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
struct BodyKey {
    organization: String,
    session: String,
    id: i64,
}

impl BodyKey {
    fn of(event: &Event) -> Option<Self> {
        let MessageId(id) = event.payload.message()?;
        Some(Self {
            organization: event.organization.to_string(),
            session: event.session.as_ref().map(SessionId::to_string)?,
            id: i64::try_from(id).ok()?,
        })
    }
}

/// The body of a message.
#[derive(QueryableByName)]
pub(crate) struct BodyRow {
    #[diesel(sql_type = Text)]
    organization: String,
    #[diesel(sql_type = Text)]
    session: String,
    #[diesel(sql_type = BigInt)]
    pub(crate) id: i64,
    #[diesel(sql_type = Nullable<Binary>)]
    pub(crate) body: Option<Vec<u8>>,
}
