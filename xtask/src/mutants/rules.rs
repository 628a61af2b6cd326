//! What keeps organizations apart, by how it is written: where it stands is looked for, not listed, so
//! that what is added tomorrow is mutated too.

use std::{collections::BTreeMap, ops::Range, path::Path};

use anyhow::{Result, bail, ensure};
use proc_macro2::{Delimiter, Group, TokenTree};

use super::tokens::{Place, Tokens, ident, mentions};

/// What is broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    /// A `WHERE` without the organization.
    Organization,
    /// A `WHERE` without the sessions in reach.
    Reach,
    /// A write that does not look whose it is.
    Home,
    /// A use case that asks for no capability.
    Capability,
    /// A row of the API's table that asks for less.
    Needs,
}

impl Kind {
    /// All of them, each with how many there were when this was written. Fewer, and the rules have gone
    /// blind.
    pub(super) const LEAST: [(Self, usize); 5] = [
        (Self::Organization, 15),
        (Self::Reach, 8),
        (Self::Home, 5),
        (Self::Capability, 25),
        (Self::Needs, 18),
    ];

    /// For people.
    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Organization => "no organization in the WHERE",
            Self::Reach => "no reach in the WHERE",
            Self::Home => "writes whosever it is",
            Self::Capability => "asks for no capability",
            Self::Needs => "the table asks for less",
        }
    }
}

/// One change to a file that leaves a hole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Change {
    pub(super) kind: Kind,
    /// The function or the endpoint.
    pub(super) within: String,
    pub(super) line: usize,
    pub(super) range: Range<usize>,
    pub(super) text: String,
}

/// Methods that the copy has and the sources have not: a caller that has every capability where it is,
/// and one that is confined to nothing besides.
pub(super) const GIVEN: (&str, &str) = (
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

/// Every change to this file.
pub(super) fn changes(file: &Path, text: &str) -> Result<Vec<Change>> {
    let tokens = Tokens::read(text)?;
    let (mut found, mut lost) = (Vec::new(), None);
    if file.starts_with("crates/store-diesel") {
        found.extend(filters(&tokens)?);
        tokens.each(|place| {
            found.extend(home(place));
            found.extend(written(place).into_iter().flatten());
        });
    } else {
        tokens.each(|place| found.extend(capability(place)));
    }
    if file.ends_with("http-hyper/src/api.rs") {
        let strengths = strengths(&tokens);
        tokens.each(|place| match weaker(place, &strengths) {
            Ok(change) => found.extend(change),
            Err(error) => lost = Some(error),
        });
    }
    match lost {
        Some(error) => Err(error),
        None => Ok(found),
    }
}

/// What the fields of a scope's parameters are for; a field that is not here has to be put here.
const FIELDS: [(&str, Option<Kind>); 5] = [
    ("organization", Some(Kind::Organization)),
    ("everything", Some(Kind::Reach)),
    ("only", Some(Kind::Reach)),
    ("in_reach", Some(Kind::Reach)),
    ("id", None),
];

/// The conditions that come from a scope, dropped one by one. For whatever a function takes of a scope it
/// must have a condition, or that is of a kind that is not known here.
fn filters(tokens: &Tokens) -> Result<Vec<Change>> {
    let mut found: Vec<Change> = Vec::new();
    for (function, head, body) in tokens.functions() {
        let head: Vec<_> = head.iter().flat_map(words).collect();
        let (mut owed, conditions) = taken(&body);
        if !head
            .iter()
            .any(|word| ["ScopeParams", "ScopedSessionId", "SessionQuery"].contains(&word.as_str()))
        {
            // Not a caller's statement; but what it narrows, it has to narrow.
            owed.clear();
            let narrowed = conditions.iter().find(|condition| condition.mentions("organization"));
            owed.extend(narrowed.map(|condition| ("organization".to_owned(), condition.line)));
        }
        // `only` before what says whether it matters.
        for (field, line) in owed.into_iter().rev() {
            let Some((_, kind)) = FIELDS.iter().find(|(known, _)| *known == field) else {
                bail!("{function} takes `{field}` of a scope, at line {line}: what is it for?");
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
            // What says whether there is a condition need not be in it.
            let met = found.iter().any(|change| change.within == function && change.kind == kind);
            ensure!(met, "{function}, line {line}: no filter is for `{field}`");
        }
    }
    Ok(found)
}

/// `.filter(…)`
struct Condition {
    range: Range<usize>,
    line: usize,
    group: Group,
}

impl Condition {
    fn mentions(&self, word: &str) -> bool {
        mentions(self.group.stream(), word)
    }
}

/// What a function takes of a scope, each with its line, and the conditions it makes.
fn taken(body: &Group) -> (BTreeMap<String, usize>, Vec<Condition>) {
    let (mut owed, mut conditions) = (BTreeMap::new(), Vec::new());
    Tokens::of(body).each(|place| {
        let of_scope = place.ident(0).is_some_and(|word| word == "scope" || word == "scoped_id");
        if let Some(field) = place.ident(2).filter(|_| of_scope && place.is(1, '.')) {
            owed.insert(field, place.line());
        }
        let filters = place.is(0, '.') && place.ident(1).as_deref() == Some("filter");
        if let (Some(range), Some(group)) = (place.range(2), place.parentheses(2))
            && filters
        {
            conditions.push(Condition { range, line: place.line(), group: group.clone() });
        }
    });
    (owed, conditions)
}

/// `belongs_to_scope(…)`, taken to be so.
fn home(place: Place<'_>) -> Option<Change> {
    let called = place.ident(0)? == "belongs_to_scope" && place.parentheses(1).is_some();
    let defined = place.at > 0 && ident(&place.siblings[place.at - 1]).as_deref() == Some("fn");
    (called && !defined).then_some(())?;
    Some(change(place, Kind::Home, place.range(1)?, "true"))
}

/// How a change that is written together with others compares whose the row is.
const OWN: &str = "sessions.organization = asked.organization AND ";

/// `push_sql("…")`, once without what compares the organization and once without what says whether it is
/// in reach, where it has them.
fn written(place: Place<'_>) -> Option<impl Iterator<Item = Change>> {
    place.ident(0).filter(|name| name == "push_sql")?;
    let token = place.parentheses(1)?.stream().into_iter().next()?;
    let sql = literal(&token)?;
    let columns = sql.split_inclusive(' ').map(|word| {
        let column = word.trim_start_matches('(');
        if column.ends_with(".organization, ") { word.trim_end_matches(column) } else { word }
    });
    let columns: String = columns.collect();
    let without = [
        (Kind::Organization, columns.replace(OWN, "")),
        (Kind::Reach, sql.replace(" WHERE a.within", "").replace(" AND asked.within", "")),
    ];
    let broken = without.into_iter().filter(move |(_, less)| *less != sql);
    Some(broken.map(move |(kind, less): (_, String)| {
        change(place, kind, token.span().byte_range(), &format!("\"{less}\""))
    }))
}

/// `caller.may(…)` and its kin, asked of a caller that may.
fn capability(place: Place<'_>) -> Option<Change> {
    let method = place.ident(1).filter(|_| place.is(0, '.'))?;
    let asks = method == "may" || method.starts_with("may_");
    place.parentheses(2).filter(|_| asks)?;
    let rights = if method == "may" { ".able()" } else { ".unbounded()" };
    let start = place.range(0)?.start;
    Some(change(place, Kind::Capability, start..start, rights))
}

/// What a row can ask for, the least first, as the table's own list of it has them.
fn strengths(tokens: &Tokens) -> Vec<String> {
    let mut found = Vec::new();
    tokens.each(|place| {
        let listed =
            place.ident(0).as_deref() == Some("enum") && place.ident(1).as_deref() == Some("Needs");
        let Some(TokenTree::Group(variants)) = place.token(2).filter(|_| listed) else { return };
        found = variants.stream().into_iter().filter_map(|token| ident(&token)).collect();
    });
    found
}

/// A row's `Needs::…`, one less.
fn weaker(place: Place<'_>, strengths: &[String]) -> Result<Option<Change>> {
    let is_row = ["get", "post", "put", "patch", "delete"];
    let name = place.ident(0).filter(|name| is_row.contains(&name.as_str()));
    let (Some(_), Some(row)) = (name, place.parentheses(1)) else { return Ok(None) };
    let row: Vec<_> = row.stream().into_iter().collect();
    let endpoint = row.iter().filter_map(literal).nth(1);
    let Some(endpoint) = endpoint else { return Ok(None) };
    let needs = row.windows(4).find(|window| ident(&window[0]).as_deref() == Some("Needs"));
    let Some(TokenTree::Ident(needs)) = needs.map(|window| &window[3]) else {
        bail!("{endpoint} says nowhere what it needs");
    };
    let strength = strengths.iter().position(|strength| needs == strength);
    let Some(strength) = strength else { bail!("{endpoint} needs what is not listed") };
    let Some(less) = strength.checked_sub(1).map(|less| strengths[less].clone()) else {
        return Ok(None);
    };
    let (line, range) = (needs.span().start().line, needs.span().byte_range());
    Ok(Some(Change { kind: Kind::Needs, within: endpoint, line, range, text: less }))
}

fn change(place: Place<'_>, kind: Kind, range: Range<usize>, text: &str) -> Change {
    let (within, line) = (place.function.to_owned(), place.line());
    Change { kind, within, line, range, text: text.to_owned() }
}

fn literal(token: &TokenTree) -> Option<String> {
    let TokenTree::Literal(literal) = token else { return None };
    Some(literal.to_string().trim_matches('"').to_owned())
}

/// Every word in there.
fn words(token: &TokenTree) -> Vec<String> {
    match token {
        TokenTree::Ident(word) => vec![word.to_string()],
        TokenTree::Group(group) if group.delimiter() != Delimiter::Brace => {
            group.stream().into_iter().flat_map(|token| words(&token)).collect()
        }
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn changed(file: &str, text: &str) -> Vec<(Kind, String, String)> {
        let changes = changes(Path::new(file), text).unwrap();
        let apply = |change: Change| {
            let mut text = text.to_owned();
            text.replace_range(change.range, &change.text);
            let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
            (change.kind, change.within, text)
        };
        changes.into_iter().map(apply).collect()
    }

    fn one(kind: Kind, within: &str, text: &str) -> (Kind, String, String) {
        (kind, within.to_owned(), text.to_owned())
    }

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
    fn a_scope_that_goes_where_the_rules_cannot_see_is_an_error() {
        for body in [
            "{ let organization = scope.organization.as_str(); t::table.find(organization) }",
            "{ let tenant = scope.tenant.as_str(); t::table.filter(t::tenant.eq(tenant)) }",
        ] {
            let text = format!("fn f(scope: &ScopeParams) -> _ {body}");
            assert!(
                changes(Path::new("crates/store-diesel/src/scope.rs"), &text).is_err(),
                "{text}"
            );
        }
    }

    #[test]
    fn conditions_that_are_written_as_sql_are_dropped_too() {
        let file = "crates/store-diesel/src/scope/x.rs";
        for (sql, kind, less) in [
            (
                "(sessions.organization, sessions.id) IN",
                Kind::Organization,
                "sessions.organization, ",
            ),
            ("SELECT a.organization, a.id FROM a", Kind::Organization, "a.organization, "),
            (") AS a WHERE a.within)", Kind::Reach, " WHERE a.within"),
            (&format!("WHERE {OWN}sessions.id = asked.id"), Kind::Organization, OWN),
            (
                "WHERE sessions.id = asked.id AND asked.within AND x",
                Kind::Reach,
                " AND asked.within",
            ),
        ] {
            let sql = format!("fn f() {{ o.push_sql(\"{sql}\"); o.push_sql(\", \"); }}");
            assert_eq!(changed(file, &sql), [one(kind, "f", &sql.replace(less, ""))]);
        }
    }

    #[test]
    fn rights_are_given_where_they_are_asked_for() {
        let found = changed(
            "crates/domain/src/x/service.rs",
            "async fn a(c: C) { c.may(M)?; } fn b(c: C) { c.may_grant(&k)?; maybe(c); }",
        );
        assert_eq!(found.len(), 2);
        assert!(found[0].2.starts_with("async fn a(c: C) { c.able().may(M)?; }"));
        assert!(found[1].2.contains("fn b(c: C) { c.unbounded().may_grant(&k)?; maybe(c); }"));
        let found = changed(
            "crates/store-diesel/src/x.rs",
            "fn f() { if !belongs_to_scope(a, (b)) {} } fn belongs_to_scope(a: A) -> bool { true }",
        );
        let holed = "fn f() { if !true {} } fn belongs_to_scope(a: A) -> bool { true }";
        assert_eq!(found, [one(Kind::Home, "f", holed)]);
    }

    #[test]
    fn a_row_asks_for_one_less() {
        let table = "static A: &[R] = &[get(\"/a\", \"list\", Needs::All, &h).query(&[\"x\"]), \
             post(\"/b\", \"make\", Needs::Some, &h), get(\"/c\", \"probe\", Needs::Nothing, &h)]; \
             enum Needs { Nothing, Some, All }";
        let found = changed("crates/http-hyper/src/api.rs", table);
        let less = |from: &str, to: &str| table.replacen(from, to, 1);
        assert_eq!(
            found,
            [
                one(Kind::Needs, "list", &less("Needs::All", "Needs::Some")),
                one(Kind::Needs, "make", &less("Needs::Some", "Needs::Nothing")),
            ]
        );
    }
}
