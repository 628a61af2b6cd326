//! An item before it is stored.

use gateway_protocol::JournalItem;
use wacore::store::error::StoreError;

use crate::sqlite::Result;

/// An item to append.
pub(crate) struct NewItem {
    /// Identifies the item within its session. `None`: every append is an item of its own.
    pub(crate) key: Option<Vec<u8>>,
    pub(crate) item: JournalItem,
}

/// An item as it is stored.
#[derive(Clone, Debug)]
pub(super) struct Row {
    pub(super) key: Option<Vec<u8>>,
    /// Unix milliseconds.
    pub(super) at: i64,
    /// A JSON object.
    pub(super) json: String,
}

impl NewItem {
    pub(super) fn into_row(self) -> Result<Row> {
        let json = serde_json::to_string(&self.item)
            .map_err(|error| StoreError::Serialization(error.into()))?;
        Ok(Row { key: self.key, at: wacore::time::now_millis(), json })
    }
}

impl From<JournalItem> for NewItem {
    fn from(item: JournalItem) -> Self {
        Self { key: None, item }
    }
}

impl Row {
    /// The size that counts for the limits, in bytes: the text, and about what the row adds to it.
    pub(super) fn size(&self) -> u64 {
        let key = self.key.as_ref().map_or(0, Vec::len);
        (self.json.len() + 2 * key + 64) as u64
    }
}

/// The key of a message. Ids are unique with chat and sender only: a member of a group can send a
/// message with the id of another member's.
pub(crate) fn message_key(chat: &str, sender: Option<&str>, id: &str) -> Vec<u8> {
    key(b'm', chat, sender, id)
}

/// The key of a message that cannot be read; the message itself may follow.
pub(crate) fn undecryptable_key(chat: &str, sender: Option<&str>, id: &str) -> Vec<u8> {
    key(b'u', chat, sender, id)
}

fn key(kind: u8, chat: &str, sender: Option<&str>, id: &str) -> Vec<u8> {
    let mut key = vec![kind];
    for part in [chat, sender.unwrap_or_default()] {
        key.extend(u32::try_from(part.len()).unwrap_or(u32::MAX).to_be_bytes());
        key.extend(part.as_bytes());
    }
    key.extend(id.as_bytes());
    key
}
