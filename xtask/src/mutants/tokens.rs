//! A source file as tokens that know where they stand: comments and texts cannot be mistaken for code,
//! and nothing else of the language has to be understood.

use std::ops::Range;

use anyhow::{Result, anyhow};
use proc_macro2::{Delimiter, Group, TokenStream, TokenTree};

/// The tokens of a file, without those that only tests are made of.
pub(super) struct Tokens(Vec<TokenTree>);

/// A token among its neighbours.
#[derive(Clone, Copy)]
pub(super) struct Place<'a> {
    /// All of the file, the block or the brackets it stands in.
    pub(super) siblings: &'a [TokenTree],
    /// Which of them it is.
    pub(super) at: usize,
    /// The function it stands in; empty outside of any.
    pub(super) function: &'a str,
}

impl Tokens {
    /// Reads a file.
    pub(super) fn read(text: &str) -> Result<Self> {
        let tokens: TokenStream = text.parse().map_err(|error| anyhow!("no Rust: {error}"))?;
        Ok(Self(without_tests(tokens)))
    }

    /// What is in a block.
    pub(super) fn of(block: &Group) -> Self {
        Self(block.stream().into_iter().collect())
    }

    /// Shows every token once, outer ones before what is in them.
    pub(super) fn each(&self, mut visit: impl FnMut(Place<'_>)) {
        walk(&self.0, "", &mut visit);
    }

    /// The functions: the name of each, what stands between it and its body, and the body.
    pub(super) fn functions(&self) -> Vec<(String, Vec<TokenTree>, Group)> {
        let mut found = Vec::new();
        self.each(|place| {
            let Some(name) = place.ident(1).filter(|_| place.ident(0).as_deref() == Some("fn"))
            else {
                return;
            };
            let rest = &place.siblings[place.at + 2..];
            // A declaration without a body ends before the next one's.
            let end = rest.iter().position(|token| braced(token).is_some() || is(token, ';'));
            if let Some((head, body)) =
                end.and_then(|end| Some((&rest[..end], braced(&rest[end])?)))
            {
                found.push((name, head.to_vec(), body.clone()));
            }
        });
        found
    }

    /// Modules in files of their own that only tests are made of: `#[cfg(test)] mod name;`.
    pub(super) fn test_modules(text: &str) -> Result<Vec<String>> {
        let tokens: TokenStream = text.parse().map_err(|error| anyhow!("no Rust: {error}"))?;
        let tokens: Vec<_> = tokens.into_iter().collect();
        let named = |window: &[TokenTree]| match window {
            [
                hash,
                TokenTree::Group(attribute),
                TokenTree::Ident(word),
                TokenTree::Ident(name),
                end,
            ] if is(hash, '#') && is_test(attribute) && word == "mod" && is(end, ';') => {
                Some(name.to_string())
            }
            _ => None,
        };
        Ok(tokens.windows(5).filter_map(named).collect())
    }
}

impl<'a> Place<'a> {
    /// The token so many further on.
    pub(super) fn token(&self, further: usize) -> Option<&'a TokenTree> {
        self.siblings.get(self.at + further)
    }

    /// The word so many tokens further on, if there is one.
    pub(super) fn ident(&self, further: usize) -> Option<String> {
        ident(self.token(further)?)
    }

    /// Whether this sign stands so many tokens further on.
    pub(super) fn is(&self, further: usize, sign: char) -> bool {
        self.token(further).is_some_and(|token| is(token, sign))
    }

    /// What is in the parentheses so many tokens further on.
    pub(super) fn parentheses(&self, further: usize) -> Option<&'a Group> {
        match self.token(further)? {
            TokenTree::Group(group) if group.delimiter() == Delimiter::Parenthesis => Some(group),
            _ => None,
        }
    }

    /// From this token to the one so many further on, in bytes of the file.
    pub(super) fn range(&self, further: usize) -> Option<Range<usize>> {
        let end = self.token(further)?.span().byte_range().end;
        Some(self.token(0)?.span().byte_range().start..end)
    }

    /// The line it stands in, from 1.
    pub(super) fn line(&self) -> usize {
        self.token(0).map_or(0, |token| token.span().start().line)
    }
}

/// Whether this word stands anywhere in there.
pub(super) fn mentions(tokens: TokenStream, word: &str) -> bool {
    tokens.into_iter().any(|token| match token {
        TokenTree::Ident(ident) => ident == word,
        TokenTree::Group(group) => mentions(group.stream(), word),
        TokenTree::Punct(_) | TokenTree::Literal(_) => false,
    })
}

/// The word that a token is.
pub(super) fn ident(token: &TokenTree) -> Option<String> {
    match token {
        TokenTree::Ident(ident) => Some(ident.to_string()),
        _ => None,
    }
}

fn walk(tokens: &[TokenTree], function: &str, visit: &mut impl FnMut(Place<'_>)) {
    let mut function = function.to_owned();
    for (at, token) in tokens.iter().enumerate() {
        if at > 0 && ident(&tokens[at - 1]).as_deref() == Some("fn") {
            function = ident(token).unwrap_or(function);
        }
        visit(Place { siblings: tokens, at, function: &function });
        if let TokenTree::Group(group) = token {
            let inner: Vec<_> = group.stream().into_iter().collect();
            walk(&inner, &function, visit);
        }
    }
}

/// The same without every item that is marked `#[cfg(test)]`: up to its block, or its semicolon.
fn without_tests(tokens: TokenStream) -> Vec<TokenTree> {
    let mut kept: Vec<TokenTree> = Vec::new();
    let mut tokens = tokens.into_iter();
    while let Some(token) = tokens.next() {
        let marks = matches!(&token, TokenTree::Group(group) if is_test(group));
        if marks && kept.last().is_some_and(|before| is(before, '#')) {
            kept.pop();
            tokens.find(|token| braced(token).is_some() || is(token, ';'));
        } else {
            kept.push(token);
        }
    }
    kept
}

fn is_test(attribute: &Group) -> bool {
    let brackets = attribute.delimiter() == Delimiter::Bracket;
    brackets && attribute.stream().to_string().split_whitespace().collect::<String>() == "cfg(test)"
}

fn is(token: &TokenTree, sign: char) -> bool {
    matches!(token, TokenTree::Punct(punct) if punct.as_char() == sign)
}

fn braced(token: &TokenTree) -> Option<&Group> {
    match token {
        TokenTree::Group(group) if group.delimiter() == Delimiter::Brace => Some(group),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = r##"
        //! may()
        fn one(a: &str) -> u8 { a.len(); /* a.len() */ "a.len()"; r#"x.len()"#.len() }
        trait T { fn open(&self); }
        #[cfg(test)]
        mod tests { fn two() { b.len() } }
        #[cfg(test)]
        mod plans;
        fn three() { s(|| c.len()) }
    "##;

    #[test]
    fn code_is_told_from_words_and_from_tests() {
        let mut found = Vec::new();
        Tokens::read(TEXT).unwrap().each(|place| {
            if place.is(0, '.') && place.ident(1).as_deref() == Some("len") {
                let range = place.range(2).unwrap();
                found.push((place.function.to_owned(), place.line(), TEXT[range].to_owned()));
            }
        });
        let call = |function: &str, line| (function.to_owned(), line, ".len()".to_owned());
        assert_eq!(found, [call("one", 3), call("one", 3), call("three", 9)]);
        assert_eq!(Tokens::test_modules(TEXT).unwrap(), ["plans"]);
        let functions = Tokens::read(TEXT).unwrap().functions();
        let names: Vec<_> = functions.iter().map(|(name, ..)| name.as_str()).collect();
        assert_eq!(names, ["one", "three"]);
    }
}
