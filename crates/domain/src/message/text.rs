//! Bounds of texts that come from others.

/// Maximum number of characters of a name.
const MAX_NAME: usize = 128;
/// Maximum number of bytes of the body in an event, as JSON text. The other fields of an event have
/// less than 16 kB.
const MAX_EVENT_BODY: usize = 48 * 1024;

/// Returns a name without control characters, of at most 128 characters. `None` without visible
/// characters.
pub(crate) fn clean_name(text: &str) -> Option<String> {
    let visible: String = text.chars().filter(|c| !c.is_control()).take(MAX_NAME).collect();
    let name = visible.trim();
    (!name.is_empty()).then(|| name.to_owned())
}

/// Returns the number of bytes of a character in a JSON text.
fn rendered_length(c: char) -> usize {
    match c {
        '"' | '\\' => 2,
        c if u32::from(c) < 0x20 => 6,
        c => c.len_utf8(),
    }
}

/// Returns the beginning of a body that an event can contain, and whether the rest is cut off. The
/// cut is between characters.
pub(crate) fn event_body(body: &str) -> (&str, bool) {
    let mut length = 0;
    for (index, c) in body.char_indices() {
        length += rendered_length(c);
        if length > MAX_EVENT_BODY {
            return (&body[..index], true);
        }
    }
    (body, false)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn body_of_an_event_is_cut_between_characters() {
        assert_eq!(event_body("short"), ("short", false));
        let fits = "x".repeat(MAX_EVENT_BODY);
        assert_eq!(event_body(&fits), (&*fits, false));
        let wide = "🧾".repeat(MAX_EVENT_BODY / 4 + 1);
        assert_eq!(event_body(&wide), (&*"🧾".repeat(MAX_EVENT_BODY / 4), true));
        let escaped = "\u{1}".repeat(MAX_EVENT_BODY);
        assert_eq!(event_body(&escaped).0.len(), MAX_EVENT_BODY / 6);
    }

    #[test]
    fn name_is_clean_and_short() {
        assert_eq!(clean_name(" A\u{0}nna\n "), Some("Anna".to_owned()));
        assert_eq!(clean_name("\u{7} \t"), None);
        assert_eq!(clean_name(&"ü".repeat(200)).map(|name| name.chars().count()), Some(128));
    }
}
