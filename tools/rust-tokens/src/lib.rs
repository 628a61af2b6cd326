//! Rust sources as tokens with their positions, for tools that check or change sources.
//!
//! Tokens keep comments and string literals apart from code without a complete parser.

use std::ops::Range;

use anyhow::{Result, anyhow};
use proc_macro2::{Delimiter, Group, TokenStream, TokenTree};

/// The tokens of a file without its test code.
#[derive(Clone, Debug)]
pub struct Tokens(Vec<TokenTree>);

/// A token with its siblings.
#[derive(Clone, Copy, Debug)]
pub struct TokenCursor<'a> {
    /// All tokens of the enclosing file or group.
    pub siblings: &'a [TokenTree],
    /// Index of the token in `siblings`.
    pub at: usize,
    /// Name of the enclosing function; empty outside a function.
    pub function: &'a str,
}

impl Tokens {
    /// Parses the text of a file and removes items marked `#[cfg(test)]` from its top level.
    ///
    /// # Errors
    /// When the text is not a sequence of Rust tokens.
    pub fn read(text: &str) -> Result<Self> {
        let tokens: TokenStream =
            text.parse().map_err(|error| anyhow!("not Rust source: {error}"))?;
        Ok(Self(without_tests(tokens)))
    }

    /// Parses the text of a file with its test code.
    ///
    /// # Errors
    /// When the text is not a sequence of Rust tokens.
    pub fn with_tests(text: &str) -> Result<Self> {
        let tokens: TokenStream =
            text.parse().map_err(|error| anyhow!("not Rust source: {error}"))?;
        Ok(Self(tokens.into_iter().collect()))
    }

    /// Returns the content of a group without the items that are marked `#[cfg(test)]`.
    pub fn of_items(group: &Group) -> Self {
        Self(without_tests(group.stream()))
    }

    /// Returns the content of a group.
    pub fn of(group: &Group) -> Self {
        Self(group.stream().into_iter().collect())
    }

    /// Returns the top level of the tokens.
    pub fn as_slice(&self) -> &[TokenTree] {
        &self.0
    }

    /// Visits every token once; a group precedes its content.
    pub fn each(&self, mut visit: impl FnMut(TokenCursor<'_>)) {
        walk(&self.0, "", &mut visit);
    }

    /// Returns the functions with a body: name, tokens between name and body, and body.
    pub fn functions(&self) -> Vec<(String, Vec<TokenTree>, Group)> {
        let mut found = Vec::new();
        self.each(|cursor| {
            let Some(name) = cursor.ident(1).filter(|_| cursor.ident(0).as_deref() == Some("fn"))
            else {
                return;
            };
            let rest = &cursor.siblings[cursor.at + 2..];
            // A declaration without a body ends with `;`.
            let end = rest.iter().position(|token| braced(token).is_some() || is(token, ';'));
            if let Some((head, body)) =
                end.and_then(|end| Some((&rest[..end], braced(&rest[end])?)))
            {
                found.push((name, head.to_vec(), body.clone()));
            }
        });
        found
    }

    /// Returns the names of the modules that a file declares as `#[cfg(test)] mod name;`.
    ///
    /// # Errors
    /// When the text is not a sequence of Rust tokens.
    pub fn test_modules(text: &str) -> Result<Vec<String>> {
        let tokens: TokenStream =
            text.parse().map_err(|error| anyhow!("not Rust source: {error}"))?;
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

impl<'a> TokenCursor<'a> {
    /// Returns the token that follows after `further` tokens.
    pub fn token(&self, further: usize) -> Option<&'a TokenTree> {
        self.siblings.get(self.at + further)
    }

    /// Returns the identifier after `further` tokens.
    pub fn ident(&self, further: usize) -> Option<String> {
        ident(self.token(further)?)
    }

    /// Returns whether the token after `further` tokens is this punctuation character.
    pub fn is(&self, further: usize, sign: char) -> bool {
        self.token(further).is_some_and(|token| is(token, sign))
    }

    /// Returns the group in parentheses after `further` tokens.
    pub fn parentheses(&self, further: usize) -> Option<&'a Group> {
        match self.token(further)? {
            TokenTree::Group(group) if group.delimiter() == Delimiter::Parenthesis => Some(group),
            _ => None,
        }
    }

    /// Returns the byte range in the file from this token to the end of the token after `further`
    /// tokens.
    pub fn range(&self, further: usize) -> Option<Range<usize>> {
        let end = self.token(further)?.span().byte_range().end;
        Some(self.token(0)?.span().byte_range().start..end)
    }

    /// Returns the line of the token, counted from 1.
    pub fn line(&self) -> usize {
        self.token(0).map_or(0, |token| token.span().start().line)
    }
}

/// Returns whether the tokens contain this identifier at any depth.
pub fn mentions(tokens: TokenStream, word: &str) -> bool {
    tokens.into_iter().any(|token| match token {
        TokenTree::Ident(ident) => ident == word,
        TokenTree::Group(group) => mentions(group.stream(), word),
        TokenTree::Punct(_) | TokenTree::Literal(_) => false,
    })
}

/// Returns the text of an identifier.
pub fn ident(token: &TokenTree) -> Option<String> {
    match token {
        TokenTree::Ident(ident) => Some(ident.to_string()),
        _ => None,
    }
}

/// Returns whether the token is this punctuation character.
pub fn is(token: &TokenTree, sign: char) -> bool {
    matches!(token, TokenTree::Punct(punct) if punct.as_char() == sign)
}

/// Returns the token as a group in braces.
pub fn braced(token: &TokenTree) -> Option<&Group> {
    match token {
        TokenTree::Group(group) if group.delimiter() == Delimiter::Brace => Some(group),
        _ => None,
    }
}

fn walk(tokens: &[TokenTree], function: &str, visit: &mut impl FnMut(TokenCursor<'_>)) {
    let mut function = function.to_owned();
    for (at, token) in tokens.iter().enumerate() {
        if at > 0 && ident(&tokens[at - 1]).as_deref() == Some("fn") {
            function = ident(token).unwrap_or(function);
        }
        visit(TokenCursor { siblings: tokens, at, function: &function });
        if let TokenTree::Group(group) = token {
            let inner: Vec<_> = group.stream().into_iter().collect();
            walk(&inner, &function, visit);
        }
    }
}

/// Removes each item that is marked `#[cfg(test)]`, up to the end of its block or its semicolon.
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
    let text: String = attribute.stream().to_string().split_whitespace().collect();
    let marks = text == "cfg(test)" || text.starts_with("cfg(all(test,");
    marks && attribute.delimiter() == Delimiter::Bracket
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
        #[cfg(all(test, feature = "x"))]
        mod more { fn four() { b.len() } }
        fn three() { s(|| c.len()) }
    "##;

    #[test]
    fn comments_literals_and_tests_are_not_code() {
        let mut found = Vec::new();
        Tokens::read(TEXT).unwrap().each(|cursor| {
            if cursor.is(0, '.') && cursor.ident(1).as_deref() == Some("len") {
                let range = cursor.range(2).unwrap();
                found.push((cursor.function.to_owned(), cursor.line(), TEXT[range].to_owned()));
            }
        });
        let call = |function: &str, line| (function.to_owned(), line, ".len()".to_owned());
        assert_eq!(found, [call("one", 3), call("one", 3), call("three", 11)]);
        assert_eq!(Tokens::test_modules(TEXT).unwrap(), ["plans"]);
        let functions = Tokens::read(TEXT).unwrap().functions();
        let names: Vec<_> = functions.iter().map(|(name, ..)| name.as_str()).collect();
        assert_eq!(names, ["one", "three"]);
    }
}
