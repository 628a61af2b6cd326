//! The rule for texts.
//!
//! Secret files end in a newline, and copied texts contain characters that no editor shows. Such
//! characters would change the name of a file or a folder, or make a name that matches nothing.

use std::{fmt::Display, str::FromStr};

/// A text contains an invisible character.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must not contain the invisible character U+{:04X}", u32::from(*.0))]
pub struct InvisibleCharacter(char);

/// Returns the text without surrounding white space; `None` if no other character remains, which
/// counts as not given.
///
/// # Errors
/// Fails when the text contains an invisible character: a control character, a byte-order mark, a
/// zero-width or bidirectional mark.
pub fn clean(text: &str) -> Result<Option<&str>, InvisibleCharacter> {
    clean_allowing(text, |_| false)
}

/// Cleans like [`clean`], and permits line breaks and tabs, for a syntax that ignores them, such as
/// JSON.
///
/// # Errors
/// Fails when the text contains another invisible character.
pub fn clean_lines(text: &str) -> Result<Option<&str>, InvisibleCharacter> {
    clean_allowing(text, |symbol| matches!(symbol, '\n' | '\r' | '\t'))
}

fn clean_allowing(
    text: &str,
    allowed: impl Fn(char) -> bool,
) -> Result<Option<&str>, InvisibleCharacter> {
    let text = text.trim();
    match text.chars().find(|symbol| is_invisible(*symbol) && !allowed(*symbol)) {
        Some(symbol) => Err(InvisibleCharacter(symbol)),
        None => Ok(Some(text).filter(|text| !text.is_empty())),
    }
}

/// Parses a cleaned text; serves as a value parser of `clap`.
///
/// # Errors
/// Fails when the text is blank, contains an invisible character, or is no valid `T`.
pub fn parse<T: FromStr<Err: Display>>(text: &str) -> Result<T, String> {
    let text = clean(text).map_err(|invisible| invisible.to_string())?;
    text.ok_or("must not be empty")?.parse().map_err(|error: T::Err| error.to_string())
}

fn is_invisible(symbol: char) -> bool {
    symbol.is_control()
        || matches!(
            symbol,
            '\u{ad}'
                | '\u{200b}'..='\u{200f}'
                | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{2069}'
                | '\u{feff}'
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn surrounding_white_space_is_removed_and_blank_text_is_none() {
        for text in ["a b", "a b\n", "\r\na b\r\n", "\t a b ", "\u{a0}a b\u{2003}", "a b\n\n"] {
            assert_eq!(clean(text), Ok(Some("a b")), "{text:?}");
        }
        for blank in ["", " ", "\n", "\r\n\t\u{a0}"] {
            assert_eq!(clean(blank), Ok(None), "{blank:?}");
        }
    }

    #[test]
    fn invisible_characters_are_rejected_without_showing_the_text() {
        for symbol in [
            '\0', '\n', '\r', '\t', '\x1b', '\x7f', '\u{85}', '\u{ad}', '\u{200b}', '\u{202e}',
            '\u{2066}', '\u{feff}',
        ] {
            let error = clean(&format!("canary{symbol}canary")).unwrap_err().to_string();
            let number = format!("U+{:04X}", u32::from(symbol));
            assert!(error.contains(&number) && !error.contains("canary"), "{error}");
        }
        // These characters are not white space and are therefore not removed at the ends.
        for text in ["\u{feff}a", "a\0", "\x1ba"] {
            assert!(clean(text).is_err(), "{text:?}");
        }
        for text in ["Jürgen", "會社", "a\u{301}", "👍"] {
            assert_eq!(clean(text), Ok(Some(text)));
        }
    }

    #[test]
    fn line_breaks_are_permitted_where_the_syntax_ignores_them() {
        let json = "{\r\n\t\"keys\": []\n}";
        assert_eq!(clean_lines(&format!("{json}\n")), Ok(Some(json)));
        assert_eq!(clean_lines("{\0}"), Err(InvisibleCharacter('\0')));
    }

    #[test]
    fn parsed_value_is_cleaned_first() {
        assert_eq!(parse::<u16>(" 7\n"), Ok(7));
        assert_eq!(parse::<u16>("\n"), Err("must not be empty".to_owned()));
        assert!(parse::<String>("a\nb").unwrap_err().contains("U+000A"));
        assert!(parse::<u16>("x").is_err());
    }
}
