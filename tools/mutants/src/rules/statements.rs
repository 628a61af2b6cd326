//! Mutants of statements of the store: conditions of a `WHERE`, and checks before a write.

use std::collections::BTreeMap;

use anyhow::{Result, bail, ensure};
use proc_macro2::{Delimiter, Group, TokenTree};
use rust_tokens::{TokenCursor, Tokens, ident, mentions};

use super::{Change, Kind, change, literal};

/// The types that carry a caller's scope into a statement.
const SCOPE_TYPES: [&str; 4] = ["ScopeParams", "ScopedSessionId", "SessionQuery", "FeedParams"];
/// The names of variables of these types.
const SCOPE_VARIABLES: [&str; 3] = ["scope", "scoped_id", "feed"];
/// The check that a row belongs to the scope.
const OWNERSHIP_CHECK: &str = "belongs_to_scope";

/// The fields of these types with the kind of their conditions. A field that is missing here is an
/// error.
const FIELDS: [(&str, Option<Kind>); 8] = [
    ("organization", Some(Kind::Organization)),
    ("everything", Some(Kind::Reach)),
    ("only", Some(Kind::Reach)),
    ("in_reach", Some(Kind::Reach)),
    ("within", Some(Kind::Reach)),
    ("kinds", Some(Kind::EventKinds)),
    ("scope", None),
    ("id", None),
];

/// Returns every change to a file of the store.
pub(super) fn changes(tokens: &Tokens) -> Result<Vec<Change>> {
    let mut found = filters(tokens)?;
    tokens.each(|cursor| {
        found.extend(ownership(cursor));
        found.extend(written(cursor).into_iter().flatten());
    });
    Ok(found)
}

/// Returns the mutants that drop one condition of a scope. A function must have a condition for every
/// field that it takes of a scope; otherwise the condition has a form that the rules do not know.
fn filters(tokens: &Tokens) -> Result<Vec<Change>> {
    let mut found: Vec<Change> = Vec::new();
    for (function, head, body) in tokens.functions() {
        let head: Vec<_> = head.iter().flat_map(identifiers).collect();
        let (mut fields, conditions) = scope_uses(&body);
        if !head.iter().any(|word| SCOPE_TYPES.contains(&word.as_str())) {
            // Not a statement of a caller. A condition on the organization must hold all the same.
            fields.clear();
            let narrowed = conditions.iter().find(|condition| condition.mentions("organization"));
            fields.extend(narrowed.map(|condition| ("organization".to_owned(), condition.line)));
        }
        // `only` precedes `everything`, which decides whether `only` matters.
        for (field, line) in fields.into_iter().rev() {
            let Some((_, kind)) = FIELDS.iter().find(|(known, _)| *known == field) else {
                bail!("{function} uses the unknown field `{field}` of a scope at line {line}");
            };
            let Some(kind) = *kind else { continue };
            for condition in conditions.iter().filter(|c| c.mentions(&field)) {
                let Condition { range, line, .. } = condition;
                let (within, range, text) = (function.clone(), range.clone(), String::new());
                let change = Change { kind, within, line: *line, range, text };
                if !found.contains(&change) {
                    found.push(change);
                }
            }
            // The decision whether there is a condition may be outside of the condition.
            let has_condition =
                found.iter().any(|change| change.within == function && change.kind == kind);
            ensure!(has_condition, "{function}, line {line}: no filter mentions `{field}`");
        }
    }
    Ok(found)
}

/// `.filter(…)`
struct Condition {
    range: std::ops::Range<usize>,
    line: usize,
    group: Group,
}

impl Condition {
    fn mentions(&self, word: &str) -> bool {
        mentions(self.group.stream(), word)
    }
}

/// Returns the fields of a scope that a function uses, with their lines, and its conditions.
fn scope_uses(body: &Group) -> (BTreeMap<String, usize>, Vec<Condition>) {
    let (mut fields, mut conditions) = (BTreeMap::new(), Vec::new());
    Tokens::of(body).each(|cursor| {
        let is_scope = cursor.ident(0).is_some_and(|w| SCOPE_VARIABLES.contains(&w.as_str()));
        if let Some(field) = cursor.ident(2).filter(|_| is_scope && cursor.is(1, '.')) {
            fields.insert(field, cursor.line());
        }
        let filters = cursor.is(0, '.') && cursor.ident(1).as_deref() == Some("filter");
        if let (Some(range), Some(group)) = (cursor.range(2), cursor.parentheses(2))
            && filters
        {
            conditions.push(Condition { range, line: cursor.line(), group: group.clone() });
        }
    });
    (fields, conditions)
}

/// Returns the mutant of an ownership check: the check succeeds.
fn ownership(cursor: TokenCursor<'_>) -> Option<Change> {
    let is_check = cursor.ident(0)? == OWNERSHIP_CHECK;
    let called = is_check && cursor.parentheses(1).is_some();
    let defined = cursor.at > 0 && ident(&cursor.siblings[cursor.at - 1]).as_deref() == Some("fn");
    (called && !defined).then_some(())?;
    Some(change(cursor, Kind::Ownership, cursor.range(1)?, "true"))
}

/// Returns the mutants of `push_sql("…")`: the statement without the column of the organization, and
/// without the reach.
fn written(cursor: TokenCursor<'_>) -> Option<impl Iterator<Item = Change>> {
    cursor.ident(0).filter(|name| name == "push_sql")?;
    let token = cursor.parentheses(1)?.stream().into_iter().next()?;
    let sql = literal(&token)?;
    let columns = sql.split_inclusive(' ').map(|word| {
        let column = word.trim_start_matches('(');
        if column.ends_with(".organization, ") { word.trim_end_matches(column) } else { word }
    });
    let columns: String = columns.collect();
    let mut reach = sql.clone();
    for name in ["within", "in_reach"] {
        reach = reach.replace(&format!(" WHERE a.{name}"), "");
        reach = reach.replace(&format!(" AND asked.{name}"), "");
    }
    let without = [(Kind::Organization, columns), (Kind::Reach, reach)];
    let broken = without.into_iter().filter(move |(_, less)| *less != sql);
    Some(broken.map(move |(kind, less): (_, String)| {
        change(cursor, kind, token.span().byte_range(), &format!("\"{less}\""))
    }))
}

/// Returns the identifiers of a token, without those in braces.
fn identifiers(token: &TokenTree) -> Vec<String> {
    match token {
        TokenTree::Ident(word) => vec![word.to_string()],
        TokenTree::Group(group) if group.delimiter() != Delimiter::Brace => {
            group.stream().into_iter().flat_map(|token| identifiers(&token)).collect()
        }
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::{
        super::{
            changes,
            tests::{changed, one},
        },
        *,
    };

    #[test]
    fn each_condition_of_a_scope_is_dropped_and_no_other() {
        let text = "fn page<'a>(scope: &'a ScopeParams, id: &str) -> _ { \
             let organization = scope.organization.as_str(); let everything = flag(scope.everything); \
             t::table.filter(t::organization.eq(organization)).filter(everything.or(x)).filter(t::id.eq(id)) } \
             fn any(id: &str) -> _ { t::table.filter(t::id.eq(id)) } \
             fn all(organization: &str) -> _ { any().filter(belongs_to(organization)) }";
        let found = changed("crates/store-diesel/src/scope.rs", text);
        let without = |condition: &str| text.replacen(condition, "", 1);
        assert_eq!(
            found,
            [
                one(
                    Kind::Organization,
                    "page",
                    &without(".filter(t::organization.eq(organization))")
                ),
                one(Kind::Reach, "page", &without(".filter(everything.or(x))")),
                one(Kind::Organization, "all", &without(".filter(belongs_to(organization))")),
            ]
        );
    }

    #[test]
    fn unknown_use_of_a_scope_is_an_error() {
        for body in [
            "{ let organization = scope.organization.as_str(); t::table.find(organization) }",
            "{ let tenant = scope.tenant.as_str(); t::table.filter(t::tenant.eq(tenant)) }",
        ] {
            let text = format!("fn f(scope: &ScopeParams) -> _ {body}");
            let file = Path::new("crates/store-diesel/src/scope.rs");
            assert!(changes(file, &text, &[]).is_err(), "{text}");
        }
    }

    #[test]
    fn conditions_in_sql_texts_are_dropped() {
        let file = "crates/store-diesel/src/scope/x.rs";
        let columns = "(sessions.organization, sessions.id) IN";
        for (sql, kind, less) in [
            (columns, Kind::Organization, "sessions.organization, "),
            ("SELECT a.organization, a.id FROM a", Kind::Organization, "a.organization, "),
            (") AS a WHERE a.within)", Kind::Reach, " WHERE a.within"),
            ("WHERE x = asked.id AND asked.in_reach AND x", Kind::Reach, " AND asked.in_reach"),
        ] {
            let sql = format!("fn f() {{ o.push_sql(\"{sql}\"); o.push_sql(\", \"); }}");
            assert_eq!(changed(file, &sql), [one(kind, "f", &sql.replace(less, ""))]);
        }
    }

    #[test]
    fn ownership_check_succeeds() {
        let check = OWNERSHIP_CHECK;
        let text =
            format!("fn f() {{ if !{check}(a, (b)) {{}} }} fn {check}(a: A) -> bool {{ true }}");
        let broken = text.replacen(&format!("{check}(a, (b))"), "true", 1);
        assert_eq!(
            changed("crates/store-diesel/src/x.rs", &text),
            [one(Kind::Ownership, "f", &broken)]
        );
    }
}
