//! Mutants of rules in Rust code that compare organizations: the rule accepts every organization.

use std::ops::Range;

use proc_macro2::{Delimiter, TokenTree};
use rust_tokens::{TokenCursor, Tokens, ident, is};

use super::{Change, Kind, change};

/// The rules that tell whether a reader may see something of an organization.
const RULES: [&str; 2] = ["covers", "allow"];

/// Returns every comparison of a file.
pub(super) fn changes(tokens: &Tokens) -> Vec<Change> {
    let mut found = Vec::new();
    tokens.each(|cursor| {
        found.extend(rule(cursor));
        found.extend(comparison(cursor));
    });
    found
}

/// Returns the mutant of a call such as `scope.covers(…)`: the rule accepts everything.
fn rule(cursor: TokenCursor<'_>) -> Option<Change> {
    let name = cursor.ident(1).filter(|_| cursor.is(0, '.'))?;
    RULES.contains(&name.as_str()).then_some(())?;
    cursor.parentheses(2)?;
    let end = cursor.range(2)?.end;
    Some(change(cursor, Kind::Comparison, end..end, " || true"))
}

/// Returns the mutant of `organization == …` with any operands: every organization is the same.
fn comparison(cursor: TokenCursor<'_>) -> Option<Change> {
    (cursor.is(0, '=') && cursor.is(1, '=')).then_some(())?;
    let (left, right) = (left(cursor)?, right(cursor)?);
    let operands = [&cursor.siblings[left.clone()], &cursor.siblings[right.clone()]];
    let compares = |tokens: &[TokenTree]| {
        tokens.iter().filter_map(ident).next_back().as_deref() == Some("organization")
    };
    operands.into_iter().any(compares).then_some(())?;
    let bytes = |at: usize| cursor.siblings[at].span().byte_range();
    let range = bytes(left.start).start..bytes(right.end - 1).end;
    Some(change(cursor, Kind::Comparison, range, "true"))
}

/// Returns the operand before the operator: a path of fields and calls.
fn left(cursor: TokenCursor<'_>) -> Option<Range<usize>> {
    let before = &cursor.siblings[..cursor.at];
    let path = before.iter().rev().take_while(|token| is_operand(token)).count();
    let signs = before[..cursor.at - path].iter().rev().take_while(|token| is(token, '*')).count();
    (path > 0).then_some(cursor.at - path - signs..cursor.at)
}

/// Returns the operand after the operator.
fn right(cursor: TokenCursor<'_>) -> Option<Range<usize>> {
    let start = cursor.at + 2;
    let after = cursor.siblings.get(start..)?;
    let signs = after.iter().take_while(|token| is(token, '*') || is(token, '&')).count();
    let path = after[signs..].iter().take_while(|token| is_operand(token)).count();
    (path > 0).then_some(start..start + signs + path)
}

fn is_operand(token: &TokenTree) -> bool {
    match token {
        TokenTree::Ident(_) => true,
        TokenTree::Group(group) => group.delimiter() == Delimiter::Parenthesis,
        TokenTree::Punct(_) => is(token, '.'),
        TokenTree::Literal(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::super::{
        Kind,
        tests::{changed, one},
    };

    #[test]
    fn each_rule_accepts_everything() {
        let text = "fn a(s: S) -> bool { s.covers(o, i) && s.is_new() } fn b() { covers(o); }";
        assert_eq!(
            changed("crates/event-feed/src/x.rs", text),
            [one(Kind::Comparison, "a", &text.replacen("i)", "i) || true", 1))]
        );
    }

    #[test]
    fn each_comparison_of_an_organization_is_true() {
        let text = "fn a(&self) -> bool { b && self.organization == *organization && c \
             && organization == self.scope.organization() && self.id == id }";
        let without = |comparison: &str| text.replacen(comparison, "true", 1);
        assert_eq!(
            changed("crates/domain/src/x.rs", text),
            [
                one(Kind::Comparison, "a", &without("self.organization == *organization")),
                one(Kind::Comparison, "a", &without("organization == self.scope.organization()")),
            ]
        );
    }
}
