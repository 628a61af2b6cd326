//! Ids in chunks of the size that one statement takes.

use domain::SessionId;

/// How many names go into one statement; databases have a limit.
const MAX_IDS: usize = 1_000;

/// These names, as many at a time as go into one statement.
pub(crate) fn id_chunks(ids: &[SessionId]) -> impl Iterator<Item = Vec<String>> {
    ids.chunks(MAX_IDS).map(|some| some.iter().map(ToString::to_string).collect())
}
