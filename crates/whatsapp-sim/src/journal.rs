//! The journal of messages: one line for each change of a queue, a chat or a Signal session. A
//! stanza is acknowledged after its lines are in the file, so that killing the process loses
//! nothing that was acknowledged.
//!
//! Lines that belong together are written by one call: a Signal session that has advanced without
//! its message would lose the message. The lines are not synchronized to the disk: a crash of the
//! computer is not a case.

pub(crate) mod replay;

use crate::account::InternalMessage;
use crate::encoding::Base64Text;
use crate::messaging::conversation::ChatMessage;
use crate::messaging::parcel::Parcel;
use crate::messaging::queue::{QueuedStanza, StanzaClass};
use crate::signal::Peer;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use wacore_binary::{OwnedNodeRef, marshal};

/// The growth after which the file is written anew, in bytes.
const MAX_GROWTH: usize = 128 * 1024 * 1024;

/// One line of the journal.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub(crate) enum Record<'a> {
    /// A stanza entered the queue of a device.
    Queued { number: Cow<'a, str>, device: u32, stanza: StanzaRecord },
    /// A stanza left the queue of a device.
    Confirmed { number: Cow<'a, str>, device: u32, seq: u64 },
    /// A device and its queue are gone.
    Unlinked { number: Cow<'a, str>, device: u32 },
    /// A message waits for a phone.
    Parcel { number: Cow<'a, str>, parcel: Cow<'a, Parcel> },
    /// A phone has received a message.
    Received { number: Cow<'a, str>, seq: u64 },
    /// A message was routed.
    Routed { from: Cow<'a, str>, to: Cow<'a, str>, id: Cow<'a, str> },
    /// A phone shows a message, new or changed.
    Message { number: Cow<'a, str>, message: Cow<'a, ChatMessage> },
    /// A phone wrote a message to one of its devices, outside of any chat.
    Internal {
        number: Cow<'a, str>,
        device: u32,
        note: bool,
        id: Cow<'a, str>,
        protobuf: Base64Text<Vec<u8>>,
    },
    /// The session of a phone with a device; `None` if the session was forgotten.
    Session {
        number: Cow<'a, str>,
        peer: Cow<'a, str>,
        device: u32,
        session: Option<Base64Text<Vec<u8>>>,
    },
}

/// A queued stanza in the journal.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct StanzaRecord {
    seq: u64,
    class: String,
    id: String,
    peer: String,
    kind: String,
    node: Base64Text<Vec<u8>>,
}

impl StanzaRecord {
    fn of(stanza: &QueuedStanza) -> Self {
        let class = match stanza.class {
            StanzaClass::Message => "message",
            StanzaClass::Receipt => "receipt",
            StanzaClass::Notification => "notification",
        };
        Self {
            seq: stanza.seq,
            class: class.to_owned(),
            id: stanza.id.clone(),
            peer: stanza.peer.clone(),
            kind: stanza.kind.clone(),
            node: Base64Text(marshal(&stanza.node).unwrap_or_default()),
        }
    }

    /// Returns the stanza; `None` if the record is malformed. The first byte of the encoding holds
    /// flags of the transport.
    fn stanza(self) -> Option<QueuedStanza> {
        let node = OwnedNodeRef::new(self.node.0.get(1..)?.to_vec()).ok()?.to_owned_node();
        Some(QueuedStanza {
            seq: self.seq,
            class: StanzaClass::of(&self.class)?,
            id: self.id,
            peer: self.peer,
            kind: self.kind,
            node,
            deliveries: 1,
        })
    }
}

impl<'a> Record<'a> {
    pub(crate) fn queued(number: &'a str, device: u32, stanza: &QueuedStanza) -> Self {
        Self::Queued { number: number.into(), device, stanza: StanzaRecord::of(stanza) }
    }

    pub(crate) fn confirmed(number: &'a str, device: u32, seq: u64) -> Self {
        Self::Confirmed { number: number.into(), device, seq }
    }

    pub(crate) fn unlinked(number: &'a str, device: u32) -> Self {
        Self::Unlinked { number: number.into(), device }
    }

    pub(crate) fn parcel(number: &'a str, parcel: &'a Parcel) -> Self {
        Self::Parcel { number: number.into(), parcel: Cow::Borrowed(parcel) }
    }

    pub(crate) fn received(number: &'a str, seq: u64) -> Self {
        Self::Received { number: number.into(), seq }
    }

    pub(crate) fn message(number: &'a str, message: &'a ChatMessage) -> Self {
        Self::Message { number: number.into(), message: Cow::Borrowed(message) }
    }

    pub(crate) fn internal(number: &'a str, message: &'a InternalMessage) -> Self {
        Self::Internal {
            number: number.into(),
            device: message.device,
            note: message.note,
            id: message.id.as_str().into(),
            protobuf: Base64Text(message.protobuf.clone()),
        }
    }

    pub(crate) fn session(number: &'a str, peer: &'a Peer, session: Option<Vec<u8>>) -> Self {
        Self::Session {
            number: number.into(),
            peer: peer.0.as_str().into(),
            device: peer.1,
            session: session.map(Base64Text),
        }
    }
}

/// The file of the journal; without a file, nothing is written.
#[derive(Debug, Default)]
pub(crate) struct Journal {
    open: Option<OpenJournal>,
}

#[derive(Debug)]
struct OpenJournal {
    path: PathBuf,
    file: File,
    /// Lines that are not written yet.
    pending: Vec<u8>,
    /// Bytes written since the file was written anew.
    growth: usize,
}

impl Journal {
    /// Appends a line, which the next [`flush`](Self::flush) writes.
    pub(crate) fn write(&mut self, record: &Record<'_>) {
        let Some(open) = &mut self.open else { return };
        match serde_json::to_writer(&mut open.pending, record) {
            Ok(()) => open.pending.push(b'\n'),
            Err(error) => tracing::error!(%error, "cannot encode a line of the journal"),
        }
    }

    /// Writes the appended lines. A failure is logged, and the simulator continues without them.
    pub(crate) fn flush(&mut self) {
        let Some(open) = &mut self.open else { return };
        if open.pending.is_empty() {
            return;
        }
        if let Err(error) = open.file.write_all(&open.pending) {
            tracing::error!(%error, path = %open.path.display(), "cannot write the journal");
        }
        open.growth += open.pending.len();
        open.pending.clear();
    }

    /// Returns whether lines are stored.
    pub(crate) fn is_open(&self) -> bool {
        self.open.is_some()
    }

    /// Returns whether the file should be written anew.
    pub(crate) fn is_large(&self) -> bool {
        self.open.as_ref().is_some_and(|open| open.growth > MAX_GROWTH)
    }

    /// Returns the path of the file.
    pub(crate) fn path(&self) -> Option<PathBuf> {
        self.open.as_ref().map(|open| open.path.clone())
    }

    /// Replaces the file atomically by these lines, and appends further lines to the new file.
    fn replace<'a>(
        path: &Path,
        records: impl Iterator<Item = Record<'a>>,
    ) -> std::io::Result<Self> {
        let mut draft = path.as_os_str().to_owned();
        draft.push(".draft");
        let mut lines = std::io::BufWriter::new(File::create(&draft)?);
        for record in records {
            serde_json::to_writer(&mut lines, &record)?;
            lines.write_all(b"\n")?;
        }
        lines.into_inner().map_err(std::io::IntoInnerError::into_error)?;
        std::fs::rename(&draft, path)?;
        let file = OpenOptions::new().append(true).open(path)?;
        let path = path.to_owned();
        Ok(Self { open: Some(OpenJournal { path, file, pending: Vec::new(), growth: 0 }) })
    }
}
