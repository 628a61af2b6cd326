//! The places in the sources that isolate organizations, found by their form.
//!
//! The search needs no list of places, so code that is added later is mutated too.

mod comparisons;
mod permissions;
mod sql_texts;
mod statements;

use std::{ops::Range, path::Path};

use anyhow::Result;
use proc_macro2::TokenTree;
use rust_tokens::{TokenCursor, Tokens};

pub(crate) use self::permissions::strengths;

/// The kinds of mutants.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    /// A `WHERE` without the organization.
    Organization,
    /// A `WHERE` without the reach.
    Reach,
    /// A `WHERE` of a reader of events without the kinds that its capabilities allow.
    EventKinds,
    /// A rule in Rust code that accepts every organization.
    Comparison,
    /// A write without the check that the row belongs to the scope.
    Ownership,
    /// A use case that requires no capability.
    Capability,
    /// An operation of the table that requires a weaker permission.
    Permission,
}

impl Kind {
    /// Each kind with a lower bound of its places in the sources. A search below the bound misses
    /// places.
    pub(crate) const MINIMUM: [(Self, usize); 7] = [
        (Self::Organization, 55),
        (Self::Reach, 10),
        (Self::EventKinds, 2),
        (Self::Comparison, 5),
        (Self::Ownership, 4),
        (Self::Capability, 38),
        (Self::Permission, 33),
    ];

    /// Returns the description in the output.
    pub(crate) const fn description(self) -> &'static str {
        match self {
            Self::Organization => "no organization in the WHERE",
            Self::Reach => "no reach in the WHERE",
            Self::EventKinds => "no kinds of event in the WHERE",
            Self::Comparison => "a rule for every organization",
            Self::Ownership => "no ownership check before a write",
            Self::Capability => "no capability required",
            Self::Permission => "a weaker permission in the operation table",
        }
    }
}

/// One change to a file that breaks the isolation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Change {
    pub(crate) kind: Kind,
    /// The enclosing function, or the operation.
    pub(crate) within: String,
    /// Line in the file, counted from 1.
    pub(crate) line: usize,
    /// Bytes of the file that the text replaces.
    pub(crate) range: Range<usize>,
    pub(crate) text: String,
}

/// A file, and methods that mutants call and the sources lack: a caller with every capability, and
/// callers and scopes with an unlimited reach.
pub(crate) const ADDED_METHODS: (&str, &str) = (
    "crates/domain/src/access.rs",
    "
#[allow(missing_docs)]
impl Caller {
    pub fn able(&self) -> Self {
        let mut able = self.clone();
        able.organization = able.organization.or_else(|| OrganizationId::parse(\"nobody\"));
        able.capabilities = Capability::ALL.into_iter().collect();
        able.platform_admin = true;
        able
    }

    pub fn unbounded(&self) -> Self {
        Self { reach: Reach::Everything, ..self.able() }
    }
}

#[allow(missing_docs)]
impl Scope {
    pub fn unbounded(&self) -> Self {
        Self { reach: Reach::Everything, ..self.clone() }
    }
}
",
);

/// Returns every change to a file. `strengths` are the permissions that an operation can require, the
/// weakest first.
///
/// # Errors
/// When the file uses a scope or a permission in a form that the rules do not know.
pub(crate) fn changes(file: &Path, text: &str, strengths: &[String]) -> Result<Vec<Change>> {
    let tokens = Tokens::read(text)?;
    if file.starts_with("crates/store-diesel") {
        let mut found = statements::changes(&tokens)?;
        found.extend(sql_texts::changes(&tokens));
        return Ok(found);
    }
    let mut found = permissions::capabilities(&tokens);
    found.extend(comparisons::changes(&tokens));
    if file.starts_with("crates/http-hyper") {
        found.extend(permissions::weaker(&tokens, strengths)?);
    }
    Ok(found)
}

fn change(cursor: TokenCursor<'_>, kind: Kind, range: Range<usize>, text: &str) -> Change {
    let (within, line) = (cursor.function.to_owned(), cursor.line());
    Change { kind, within, line, range, text: text.to_owned() }
}

/// Returns the text of a string literal.
fn literal(token: &TokenTree) -> Option<String> {
    let TokenTree::Literal(literal) = token else { return None };
    Some(literal.to_string().trim_matches('"').to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Kind, function and changed text of every change.
    pub(super) fn changed(file: &str, text: &str) -> Vec<(Kind, String, String)> {
        let changes = changes(Path::new(file), text, &strengths(text).unwrap()).unwrap();
        let apply = |change: Change| {
            let mut text = text.to_owned();
            text.replace_range(change.range, &change.text);
            let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
            (change.kind, change.within, text)
        };
        changes.into_iter().map(apply).collect()
    }

    pub(super) fn one(kind: Kind, within: &str, text: &str) -> (Kind, String, String) {
        (kind, within.to_owned(), text.to_owned())
    }
}
