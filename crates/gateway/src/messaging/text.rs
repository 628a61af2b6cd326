//! Texts of other people, made fit for storage.

/// Maximum length of a body in bytes: WhatsApp allows 65,536 characters.
const MAX_BODY: usize = 4 * 65_536;
/// Maximum length of an id of WhatsApp, in bytes; the ids of known clients have 16 to 32.
const MAX_ID: usize = 128;

/// Removes NULs, which databases refuse, and cuts a body at a character. Returns whether the body
/// was cut.
pub(super) fn clean_body(mut body: String) -> (String, bool) {
    if body.contains('\0') {
        body.retain(|c| c != '\0');
    }
    let truncated = body.len() > MAX_BODY;
    if truncated {
        let end = (0..=MAX_BODY).rev().find(|end| body.is_char_boundary(*end)).unwrap_or_default();
        body.truncate(end);
    }
    (body, truncated)
}

/// Returns an id if no known client would refuse it: 1 to [`MAX_ID`] visible ASCII characters.
pub(super) fn clean_id(id: &str) -> Option<String> {
    let fits = (1..=MAX_ID).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_graphic());
    fits.then(|| id.to_owned())
}

/// Removes control characters and cuts a text to `most` characters.
pub(super) fn bounded(text: &str, most: usize) -> String {
    text.chars().filter(|c| !c.is_control()).take(most).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn body_loses_nuls_and_is_cut_at_a_character() {
        assert_eq!(clean_body("a\0b\n".to_owned()), ("ab\n".to_owned(), false));
        let long = "\u{1f372}".repeat(65_536);
        assert_eq!(clean_body(long.clone()), (long.clone(), false));
        let (cut, truncated) = clean_body(format!("a{long}"));
        assert_eq!((cut.len(), truncated), (MAX_BODY - 3, true));
        assert!(cut.ends_with('\u{1f372}'));
    }

    #[test]
    fn id_that_no_client_sends_is_refused() {
        assert_eq!(clean_id("3EB0A1"), Some("3EB0A1".to_owned()));
        for id in ["", "a b", "a\0", "ä", &"A".repeat(129)] {
            assert_eq!(clean_id(id), None, "{id:?}");
        }
    }
}
