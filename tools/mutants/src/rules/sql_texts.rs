//! Mutants of SQL texts: a comparison of the organization is true.

use std::ops::Range;

use proc_macro2::TokenTree;
use rust_tokens::{TokenCursor, Tokens};

use super::{Change, Kind};

/// The column that every table of an organization has.
const COLUMN: &str = "organization = ";

/// Returns every comparison of the organization in the string literals of a file.
pub(super) fn changes(tokens: &Tokens) -> Vec<Change> {
    let (mut found, mut constant) = (Vec::new(), String::new());
    tokens.each(|cursor| {
        match cursor.ident(0).as_deref() {
            Some("const") => constant = cursor.ident(1).unwrap_or_default(),
            Some("fn") => constant.clear(),
            _ => {}
        }
        let within = if constant.is_empty() { cursor.function } else { &constant };
        found.extend(comparisons(cursor, within).into_iter().flatten());
    });
    found
}

fn comparisons<'a>(
    cursor: TokenCursor<'a>,
    within: &'a str,
) -> Option<impl Iterator<Item = Change> + use<'a>> {
    let TokenTree::Literal(literal) = cursor.token(0)? else { return None };
    let (text, start) = (literal.to_string(), cursor.range(0)?.start);
    let places: Vec<_> = text.match_indices(COLUMN).map(|(at, _)| at).collect();
    let line = cursor.line();
    Some(places.into_iter().map(move |at| {
        let (range, replacement) = comparison(&text, at);
        Change {
            kind: Kind::Organization,
            within: within.to_owned(),
            line: line + text[..at].matches('\n').count(),
            range: start + range.start..start + range.end,
            text: replacement,
        }
    }))
}

/// Returns the comparison with the column at a place, and a comparison that is always true and
/// states each parameter, because a statement must use all of its parameters.
fn comparison(text: &str, at: usize) -> (Range<usize>, String) {
    let is_name = |sign: char| sign.is_ascii_alphanumeric() || matches!(sign, '_' | '.' | '$');
    let before = text[..at].rfind(|sign| !is_name(sign)).map_or(0, |last| last + 1);
    let value = at + COLUMN.len();
    let rest = &text[value..];
    let end = value + rest.find(|sign| !is_name(sign)).unwrap_or(rest.len());
    let value = &text[value..end];
    let replacement =
        if value.starts_with('$') { format!("{value} <> ''") } else { "true".to_owned() };
    (before..end, replacement)
}

#[cfg(test)]
mod tests {
    use super::super::{
        Kind,
        tests::{changed, one},
    };

    #[test]
    fn each_comparison_is_true() {
        let text = "const ONE: &str = \"SELECT a FROM b WHERE b.organization = $1 AND c = $2\"; \
             fn two() -> String { format!(\"{x} WHERE d.organization = e.organization AND f\") } \
             const THREE: &str = \"organization > $1 AND organization = $2\";";
        assert_eq!(
            changed("crates/store-diesel/src/scope/x.rs", text),
            [
                one(
                    Kind::Organization,
                    "ONE",
                    &text.replacen("b.organization = $1", "$1 <> ''", 1)
                ),
                one(
                    Kind::Organization,
                    "two",
                    &text.replacen("d.organization = e.organization", "true", 1)
                ),
                one(
                    Kind::Organization,
                    "THREE",
                    &text.replacen("AND organization = $2", "AND $2 <> ''", 1)
                ),
            ]
        );
    }
}
