//! A change of a session's messages as lists of rows. The names of the fields are the names of
//! columns; bytes are hexadecimal digits.

use domain::{Message, MessageUpdate, MessagingCommit, SessionMessaging, Version};
use serde::Serialize;

use crate::{
    Database, StoreError,
    rows::{
        chat::{ChatNameRow, ChatRow},
        column::to_bigint,
        hex::hex,
        message::{MessageColumns, state_columns},
        message_json::encode_details,
        outbox::{NewOutboxRow, OutboxRow},
        session_messaging::SessionMessagingRow,
    },
    tables::content::{ContentOwner, ContentPart},
};

/// The next counters of a session, and the version that the stored row must have.
#[derive(Serialize)]
pub(crate) struct GuardRow {
    #[serde(flatten)]
    row: SessionMessagingRow,
    expected: i64,
}

impl GuardRow {
    pub(crate) fn new(commit: &MessagingCommit) -> Result<Self, StoreError> {
        let Version(expected) = commit.change.expected;
        Ok(Self {
            row: SessionMessagingRow::new(&commit.change.row)?,
            expected: to_bigint("session_messaging.version", expected)?,
        })
    }
}

/// Two chats that become one.
pub(crate) struct MergedChats {
    pub(crate) organization: String,
    pub(crate) session: String,
    pub(crate) from: i64,
    pub(crate) into: i64,
}

/// A new message with its protected content.
#[derive(Serialize)]
pub(crate) struct NewMessageRow {
    #[serde(flatten)]
    columns: MessageColumns,
    body: Option<String>,
    content: Option<String>,
}

/// The next state of a message.
#[derive(Serialize)]
pub(crate) struct StateRow {
    organization: String,
    session: String,
    id: i64,
    level: i64,
    failure: Option<String>,
    updated_at: i64,
}

/// The content of a message that could not be decrypted before.
#[derive(Serialize)]
pub(crate) struct RecoveredRow {
    organization: String,
    session: String,
    id: i64,
    kind: &'static str,
    flags: i64,
    hidden: bool,
    body: Option<String>,
    content: Option<String>,
}

/// The rows of changes.
#[derive(Default)]
pub(crate) struct ChangedRows {
    pub(crate) chats: Vec<ChatRow>,
    pub(crate) merges: Vec<MergedChats>,
    pub(crate) names: Vec<ChatNameRow>,
    pub(crate) messages: Vec<NewMessageRow>,
    pub(crate) states: Vec<StateRow>,
    pub(crate) recovered: Vec<RecoveredRow>,
    pub(crate) new_entries: Vec<NewOutboxRow>,
    pub(crate) entries: Vec<OutboxRow>,
}

impl ChangedRows {
    /// Converts a change to rows, with protected contents.
    pub(crate) async fn new(
        database: &Database,
        commit: &MessagingCommit,
    ) -> Result<Self, StoreError> {
        let change = &commit.change;
        let owner = &change.row;
        let mut rows = Self::default();
        for chat in &change.chats {
            rows.chats.push(ChatRow::new(owner, chat)?);
        }
        for name in &change.names {
            rows.names.push(ChatNameRow::new(owner, name)?);
        }
        for merge in &change.merges {
            rows.merges.push(MergedChats {
                organization: owner.organization.to_string(),
                session: owner.session.to_string(),
                from: to_bigint("chats.id", merge.from.0)?,
                into: to_bigint("chats.id", merge.into.0)?,
            });
        }
        for message in &change.new_messages {
            rows.messages.push(new_message(database, owner, message).await?);
        }
        for update in &change.updates {
            rows.states.push(state_row(owner, update)?);
            rows.recovered.extend(recovered_row(database, owner, update).await?);
        }
        let now = change.at;
        for new in &change.new_entries {
            let row = OutboxRow::new(owner, &new.entry, now)?;
            rows.new_entries.push(NewOutboxRow::new(row, new.key.as_ref()));
        }
        for entry in &change.entries {
            rows.entries.push(OutboxRow::new(owner, entry, now)?);
        }
        Ok(rows)
    }

    /// Adds the rows of another change.
    pub(crate) fn add(&mut self, other: Self) {
        self.chats.extend(other.chats);
        self.merges.extend(other.merges);
        self.names.extend(other.names);
        self.messages.extend(other.messages);
        self.states.extend(other.states);
        self.recovered.extend(other.recovered);
        self.new_entries.extend(other.new_entries);
        self.entries.extend(other.entries);
    }
}

async fn new_message(
    database: &Database,
    owner: &SessionMessaging,
    message: &Message,
) -> Result<NewMessageRow, StoreError> {
    let columns = MessageColumns::new(owner, message)?;
    let place = ContentOwner {
        organization: &owner.organization,
        session: owner.session.as_str(),
        message: columns.id,
    };
    let details = message.details.as_ref().map(encode_details).transpose()?;
    let body = protected(database, &place, ContentPart::Body, details.as_deref()).await?;
    let content = message.content.as_deref();
    let content = protected(database, &place, ContentPart::Encoded, content).await?;
    Ok(NewMessageRow { columns, body, content })
}

fn state_row(owner: &SessionMessaging, update: &MessageUpdate) -> Result<StateRow, StoreError> {
    let (level, failure) = state_columns(update.state)?;
    Ok(StateRow {
        organization: owner.organization.to_string(),
        session: owner.session.to_string(),
        id: to_bigint("messages.id", update.id.0)?,
        level,
        failure,
        updated_at: update.updated_at.millis(),
    })
}

async fn recovered_row(
    database: &Database,
    owner: &SessionMessaging,
    update: &MessageUpdate,
) -> Result<Option<RecoveredRow>, StoreError> {
    let Some(recovered) = &update.recovered else { return Ok(None) };
    let id = to_bigint("messages.id", update.id.0)?;
    let place = ContentOwner {
        organization: &owner.organization,
        session: owner.session.as_str(),
        message: id,
    };
    let details = encode_details(&recovered.details)?;
    let content = recovered.content.as_deref();
    Ok(Some(RecoveredRow {
        organization: owner.organization.to_string(),
        session: owner.session.to_string(),
        id,
        kind: recovered.kind.as_str(),
        flags: recovered.flags.bits(),
        hidden: recovered.flags.hidden,
        body: protected(database, &place, ContentPart::Body, Some(&details)).await?,
        content: protected(database, &place, ContentPart::Encoded, content).await?,
    }))
}

async fn protected(
    database: &Database,
    owner: &ContentOwner<'_>,
    part: ContentPart,
    content: Option<&[u8]>,
) -> Result<Option<String>, StoreError> {
    match content {
        Some(content) => Ok(Some(hex(&database.protect(owner, part, content).await?))),
        None => Ok(None),
    }
}
