//! Splits lists of ids into chunks for one statement each.

use std::fmt::Display;

/// Maximum number of ids in a statement; both engines limit the number of parameters.
const MAX_IDS: usize = 1_000;

/// Returns the ids as texts, in chunks of [`MAX_IDS`].
pub(crate) fn id_chunks<I: Display>(ids: &[I]) -> impl Iterator<Item = Vec<String>> {
    ids.chunks(MAX_IDS).map(|some| some.iter().map(ToString::to_string).collect())
}
