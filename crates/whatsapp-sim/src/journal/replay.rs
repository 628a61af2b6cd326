//! Reads the journal of an earlier run, and writes the journal anew from the present state.

use crate::account::InternalMessage;
use crate::journal::{Journal, Record};
use crate::messaging::queue::DeliveryQueue;
use crate::network_state::NetworkState;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};

/// Returns the path of the journal that belongs to a state file.
pub(crate) fn path(state_file: &Path) -> PathBuf {
    let mut path = state_file.as_os_str().to_owned();
    path.push(".messages");
    PathBuf::from(path)
}

/// Applies the lines of a journal, if it exists, and writes the journal anew.
///
/// # Errors
/// Fails when the file cannot be read or written, and when a line before the last is malformed.
pub(crate) fn open(state: &mut NetworkState, path: &Path) -> Result<(), String> {
    match std::fs::File::open(path) {
        Ok(file) => apply_lines(state, BufReader::new(file))?,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        Err(error) => return Err(error.to_string()),
    }
    write_anew(state, path).map_err(|error| error.to_string())
}

/// Writes the journal anew if it has grown much.
pub(crate) fn compact(state: &mut NetworkState) {
    if !state.journal.is_large() {
        return;
    }
    state.journal.flush();
    let Some(path) = state.journal.path() else { return };
    if let Err(error) = write_anew(state, &path) {
        tracing::error!(%error, path = %path.display(), "cannot write the journal anew");
    }
}

fn apply_lines(state: &mut NetworkState, file: impl BufRead) -> Result<(), String> {
    let mut lines = file.split(b'\n').enumerate().peekable();
    while let Some((number, line)) = lines.next() {
        let line = line.map_err(|error| error.to_string())?;
        match serde_json::from_slice::<Record<'_>>(&line) {
            Ok(record) => apply(state, record),
            // The process was killed while it wrote the last line.
            Err(_) if lines.peek().is_none() => {}
            Err(error) => return Err(format!("line {} of the journal: {error}", number + 1)),
        }
    }
    Ok(())
}

/// Applies one change. A change of an unknown account or device has no effect: the state file is
/// written less often than the journal.
fn apply(state: &mut NetworkState, record: Record<'_>) {
    match record {
        Record::Queued { number, device, stanza } => {
            if let (Ok(device), Some(stanza)) = (state.device(&number, device), stanza.stanza()) {
                device.queue.restore(stanza);
            }
        }
        Record::Confirmed { number, device, seq } => {
            if let Ok(device) = state.device(&number, device) {
                device.queue.forget(seq);
            }
        }
        Record::Unlinked { number, device } => {
            if let Ok(device) = state.device(&number, device) {
                device.queue = DeliveryQueue::default();
            }
        }
        Record::Routed { from, to, id } => {
            state.routed.remember((from.into_owned(), to.into_owned(), id.into_owned()));
        }
        record => apply_to_phone(state, record),
    }
}

/// Applies one change of a phone.
fn apply_to_phone(state: &mut NetworkState, record: Record<'_>) {
    match record {
        Record::Parcel { number, parcel } => {
            if let Ok(account) = state.account(&number) {
                account.next_parcel = account.next_parcel.max(parcel.seq + 1);
                account.parcels.push_back(parcel.into_owned());
            }
        }
        Record::Received { number, seq } => {
            if let Ok(account) = state.account(&number) {
                account.parcels.retain(|parcel| parcel.seq != seq);
            }
        }
        Record::Message { number, message } => {
            if let Ok(account) = state.account(&number) {
                account.conversations.restore(message.into_owned());
            }
        }
        Record::Internal { number, device, note, id, protobuf } => {
            if let Ok(account) = state.account(&number) {
                let (id, protobuf) = (id.into_owned(), protobuf.0);
                account.store_internal(InternalMessage { id, device, note, protobuf });
            }
        }
        Record::Session { number, peer, device, session } => {
            if let Ok(account) = state.account(&number) {
                let peer = (peer.into_owned(), device);
                account.signal.restore(&peer, session.as_ref().map(|bytes| &bytes.0[..]));
            }
        }
        Record::Queued { .. }
        | Record::Confirmed { .. }
        | Record::Unlinked { .. }
        | Record::Routed { .. } => {}
    }
}

fn write_anew(state: &mut NetworkState, path: &Path) -> std::io::Result<()> {
    let routed = state.routed.iter().map(|(from, to, id)| Record::Routed {
        from: from.as_str().into(),
        to: to.as_str().into(),
        id: id.as_str().into(),
    });
    let phones = state.accounts.values().flat_map(|account| {
        let number = account.number.as_str();
        let queued = account.devices.values().flat_map(move |device| {
            device.queue.items().map(move |item| Record::queued(number, device.id, item))
        });
        let parcels = account.parcels.iter().map(move |parcel| Record::parcel(number, parcel));
        let messages =
            account.conversations.iter().map(move |message| Record::message(number, message));
        let internal =
            account.internal_messages.iter().map(move |message| Record::internal(number, message));
        let sessions =
            account.signal.sessions().map(move |((peer, device), session)| Record::Session {
                number: number.into(),
                peer: peer.into(),
                device,
                session: Some(crate::encoding::Base64Text(session)),
            });
        queued.chain(parcels).chain(messages).chain(internal).chain(sessions)
    });
    state.journal = Journal::replace(path, routed.chain(phones))?;
    Ok(())
}
