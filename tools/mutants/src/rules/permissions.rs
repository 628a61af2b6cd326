//! Mutants of permissions: use cases without a capability, operations with a weaker permission.

use anyhow::{Context as _, Result, bail};
use proc_macro2::TokenTree;
use rust_tokens::{TokenCursor, Tokens, ident};

use super::{Change, Kind, change, literal};

/// The enum of the permissions that an operation can require.
const PERMISSIONS: [&str; 2] = ["Requires", "Needs"];
/// The functions that make a row of the operation table.
const ROWS: [&str; 5] = ["get", "post", "put", "patch", "delete"];

/// Returns the mutants of `caller.may(…)` and similar calls: the caller has every capability.
pub(super) fn capabilities(tokens: &Tokens) -> Vec<Change> {
    let mut found = Vec::new();
    tokens.each(|cursor| found.extend(capability(cursor)));
    found
}

fn capability(cursor: TokenCursor<'_>) -> Option<Change> {
    let method = cursor.ident(1).filter(|_| cursor.is(0, '.'))?;
    let requires = method == "may" || method.starts_with("may_");
    cursor.parentheses(2).filter(|_| requires)?;
    let rights = if method == "may" { ".able()" } else { ".unbounded()" };
    let start = cursor.range(0)?.start;
    Some(change(cursor, Kind::Capability, start..start, rights))
}

/// Returns the variants of the enum of permissions, the weakest first; empty when the text does not
/// declare the enum.
pub(crate) fn strengths(text: &str) -> Result<Vec<String>> {
    let mut found = Vec::new();
    Tokens::read(text)?.each(|cursor| {
        let declared = cursor.ident(0).as_deref() == Some("enum");
        let name = cursor.ident(1).filter(|name| PERMISSIONS.contains(&name.as_str()));
        let (true, Some(_), Some(TokenTree::Group(body))) = (declared, name, cursor.token(2))
        else {
            return;
        };
        // An attribute is a group, so that only the variants are identifiers.
        found = body.stream().into_iter().filter_map(|token| ident(&token)).collect();
    });
    Ok(found)
}

/// Returns the mutants of the rows of the operation table: each requires the next weaker permission.
pub(super) fn weaker(tokens: &Tokens, strengths: &[String]) -> Result<Vec<Change>> {
    let (mut found, mut failed) = (Vec::new(), None);
    tokens.each(|cursor| match weaker_row(cursor, strengths) {
        Ok(change) => found.extend(change),
        Err(error) => failed = Some(error),
    });
    failed.map_or(Ok(found), Err)
}

fn weaker_row(cursor: TokenCursor<'_>, strengths: &[String]) -> Result<Option<Change>> {
    let name = cursor.ident(0).filter(|name| ROWS.contains(&name.as_str()));
    let (Some(_), Some(row)) = (name, cursor.parentheses(1)) else { return Ok(None) };
    let row: Vec<_> = row.stream().into_iter().collect();
    let mut literals = row.iter().filter_map(literal);
    let path = literals.next().filter(|path| path.starts_with('/'));
    let (Some(_), Some(operation)) = (path, literals.next()) else { return Ok(None) };
    let is_permission =
        |token: &TokenTree| ident(token).is_some_and(|word| PERMISSIONS.contains(&word.as_str()));
    let permission = row.windows(4).find(|window| is_permission(&window[0]));
    let Some(TokenTree::Ident(permission)) = permission.map(|window| &window[3]) else {
        bail!("{operation} declares no permission");
    };
    let strength = strengths.iter().position(|strength| permission == strength);
    let strength = strength.with_context(|| format!("{operation} requires {permission}"))?;
    let Some(less) = strength.checked_sub(1).map(|less| strengths[less].clone()) else {
        return Ok(None);
    };
    let span = permission.span();
    Ok(Some(Change {
        kind: Kind::Permission,
        within: operation,
        line: span.start().line,
        range: span.byte_range(),
        text: less,
    }))
}

#[cfg(test)]
mod tests {
    use super::super::{
        Kind,
        tests::{changed, one},
    };

    #[test]
    fn capabilities_are_added_where_they_are_required() {
        let found = changed(
            "crates/domain/src/x/service.rs",
            "async fn a(c: C) { c.may(M)?; } fn b(c: C) { c.may_grant(&k)?; maybe(c); }",
        );
        assert_eq!(found.len(), 2);
        assert!(found[0].2.starts_with("async fn a(c: C) { c.able().may(M)?; }"));
        assert!(found[1].2.contains("fn b(c: C) { c.unbounded().may_grant(&k)?; maybe(c); }"));
    }

    #[test]
    fn row_of_the_table_requires_the_next_weaker_permission() {
        for name in super::PERMISSIONS {
            let table = format!(
                "static A: &[R] = &[get(\"/a\", \"list\", {name}::All, &h).query(&[\"x\"]), \
                 post(\"/b\", \"make\", {name}::Some, &h), get(\"/c\", \"probe\", {name}::Nothing, &h)]; \
                 enum {name} {{ Nothing, Some, All }}"
            );
            let found = changed("crates/http-hyper/src/table.rs", &table);
            let less = |from: &str, to: &str| {
                table.replacen(&format!("{name}::{from}"), &format!("{name}::{to}"), 1)
            };
            assert_eq!(
                found,
                [
                    one(Kind::Permission, "list", &less("All", "Some")),
                    one(Kind::Permission, "make", &less("Some", "Nothing")),
                ]
            );
        }
    }
}
