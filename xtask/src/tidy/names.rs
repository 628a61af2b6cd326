//! Names of types, functions and modules: unique types in a crate, and no metaphors.

use std::{collections::BTreeMap, path::Path};

use anyhow::Result;
use proc_macro2::TokenTree;
use rust_tokens::{TokenCursor, Tokens, ident, is};

/// Words that no name contains, with the exceptions.
const FORBIDDEN: &str = include_str!("forbidden_words.txt");

/// Words before the name of a type.
const TYPES: [&str; 5] = ["enum", "struct", "trait", "type", "union"];

/// A name in a source file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Name {
    pub(super) text: String,
    pub(super) line: usize,
}

/// Returns the types at module level, without test code, the content of macros, and associated types.
pub(super) fn types(tokens: &Tokens) -> Vec<Name> {
    let mut found = Vec::new();
    collect_types(tokens.as_slice(), &mut found);
    found
}

fn collect_types(tokens: &[TokenTree], found: &mut Vec<Name>) {
    for (at, token) in tokens.iter().enumerate() {
        let cursor = TokenCursor { siblings: tokens, at, function: "" };
        let word = ident(token).unwrap_or_default();
        let Some(text) = cursor.ident(1) else { continue };
        if TYPES.contains(&word.as_str()) {
            found.push(Name { text, line: cursor.line() });
        } else if word == "mod"
            && let Some(TokenTree::Group(body)) = cursor.token(2)
        {
            collect_types(Tokens::of_items(body).as_slice(), found);
        }
    }
}

/// Returns one text for each type name that stands in several places of a crate.
pub(super) fn repeated<'a>(files: impl Iterator<Item = (&'a Path, &'a Tokens)>) -> Vec<String> {
    let mut places: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (file, tokens) in files {
        for Name { text, line } in types(tokens) {
            places.entry(text).or_default().push(format!("{}:{line}", file.display()));
        }
    }
    let repeated = places.into_iter().filter(|(_, places)| places.len() > 1);
    repeated.map(|(name, places)| format!("type {name}: {}", places.join(", "))).collect()
}

/// Returns the types, functions and modules of a file whose names contain a forbidden word. Tests are
/// exempt: their names are sentences.
pub(super) fn forbidden(text: &str) -> Result<Vec<Name>> {
    let rules = WordList::read(FORBIDDEN);
    let mut found = Vec::new();
    // With test code: the types and functions of tests follow the rule too.
    let tokens = Tokens::with_tests(text)?;
    tokens.each(|cursor| {
        let word = cursor.ident(0).unwrap_or_default();
        let named = TYPES.contains(&word.as_str()) || ["fn", "mod"].contains(&word.as_str());
        let Some(name) = cursor.ident(1).filter(|_| named) else { return };
        let is_type = TYPES.contains(&word.as_str());
        if rules.forbid(&name, is_type) && !(word == "fn" && is_test(cursor)) {
            found.push(Name { text: name, line: cursor.line() });
        }
    });
    Ok(found)
}

/// Whether an attribute that ends with `test` precedes the function.
fn is_test(cursor: TokenCursor<'_>) -> bool {
    let before = &cursor.siblings[..cursor.at];
    let is_item = |token: &&TokenTree| match token {
        TokenTree::Ident(_) => true,
        TokenTree::Punct(punct) => punct.as_char() == '#',
        TokenTree::Group(group) => group.delimiter() == proc_macro2::Delimiter::Bracket,
        TokenTree::Literal(_) => false,
    };
    let attributes = before.iter().rev().take_while(is_item);
    attributes.filter(|token| !is(token, '#')).any(|token| {
        let TokenTree::Group(group) = token else { return false };
        let path = group.stream().into_iter().take_while(|t| !matches!(t, TokenTree::Group(_)));
        path.last().and_then(|last| ident(&last)).is_some_and(|last| last == "test")
    })
}

/// The content of `forbidden_words.txt`.
struct WordList<'a> {
    forbidden: Vec<&'a str>,
    /// Words that only names of types must not contain.
    in_types: Vec<&'a str>,
    /// Terms of the field that contain such a word.
    terms: Vec<&'a str>,
    exceptions: Vec<&'a str>,
}

impl<'a> WordList<'a> {
    /// Reads words, after `types` words for names of types alone, after `terms` terms
    /// of the field, and after `allow` whole names that may
    /// contain such a word. `#` begins a comment.
    fn read(text: &'a str) -> Self {
        let mut words = Self {
            forbidden: Vec::new(),
            in_types: Vec::new(),
            terms: Vec::new(),
            exceptions: Vec::new(),
        };
        for line in text.lines() {
            let line = line.split('#').next().unwrap_or_default().trim();
            let (list, line) = match line.split_once(' ') {
                Some(("allow", names)) => (&mut words.exceptions, names),
                Some(("terms", terms)) => (&mut words.terms, terms),
                Some(("types", in_types)) => (&mut words.in_types, in_types),
                _ => (&mut words.forbidden, line),
            };
            list.extend(line.split_whitespace());
        }
        words
    }

    fn forbid(&self, name: &str, is_type: bool) -> bool {
        let mut parts = parts(name);
        for term in self.terms.iter().map(|term| term.split('_').collect::<Vec<_>>()) {
            while let Some(at) = parts.windows(term.len()).position(|window| window == term) {
                parts.drain(at..at + term.len());
            }
        }
        let in_types = self.in_types.iter().filter(|_| is_type);
        let contained =
            self.forbidden.iter().chain(in_types).any(|word| parts.iter().any(|p| p == word));
        contained && !self.exceptions.contains(&name)
    }
}

/// The lower-case parts of a name in snake case or camel case.
fn parts(name: &str) -> Vec<String> {
    let mut parts = vec![String::new()];
    let mut lower = false;
    for letter in name.chars() {
        if letter == '_' || (letter.is_uppercase() && lower) {
            parts.push(String::new());
        }
        if letter != '_' {
            parts.last_mut().into_iter().for_each(|part| part.extend(letter.to_lowercase()));
        }
        lower = letter.is_lowercase();
    }
    parts.retain(|part| !part.is_empty());
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repeated_type_names_are_found_across_modules() {
        let one = Tokens::read(
            "struct A; mod inner { enum B {} trait C {} } impl T for A { type Error = X; } \
             #[cfg(test)] mod tests { struct B; } macro_rules! m { () => { struct A; } }",
        )
        .unwrap();
        let other = Tokens::read("\ntype B = u8; impl T for C { type Error = X; }").unwrap();
        let files = [(Path::new("a.rs"), &one), (Path::new("b.rs"), &other)];
        assert_eq!(repeated(files.into_iter()), ["type B: a.rs:1, b.rs:2"]);
    }

    #[test]
    fn words_are_whole_parts_of_a_name() {
        let text = "door # not a component\nlook seen\ntypes place\nterms in_door\nallow look_at HouseDoor";
        let words = WordList::read(text);
        for name in ["Door", "FrontDoor", "open_door", "look", "LastSeen", "Place"] {
            assert!(words.forbid(name, true), "{name}");
        }
        for name in ["Doors", "lookup", "look_at", "HouseDoor", "InDoor", "max_in_door", "place"] {
            assert!(!words.forbid(name, false), "{name}");
        }
        assert_eq!(parts("HTTPDoor2_x"), ["httpdoor2", "x"]);
    }

    #[test]
    fn test_functions_are_exempt_and_their_helpers_are_not() {
        let text = "struct Door; fn open() { let door = 1; } mod shelf {} \
                    #[cfg(test)] mod tests { #[test] fn door_opens() {} \
                    #[tokio::test(flavor = \"x\")] async fn door_closes() {} fn door() {} }";
        let names: Vec<_> = forbidden(text).unwrap().into_iter().map(|name| name.text).collect();
        assert_eq!(names, ["Door", "shelf", "door"]);
    }
}
