//! Content negotiation by `Accept` and `Accept-Encoding`.

use hyper::{HeaderMap, header};

/// Returns the one of `offers`, media types such as `image/png`, that the caller prefers. Of equal
/// preferences the more specific one wins, then the earlier offer. Without an acceptable offer,
/// returns the first one, whose `Content-Type` names it.
pub(crate) fn choose(headers: &HeaderMap, offers: &[&'static str]) -> &'static str {
    let texts: Vec<_> =
        headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok()).collect();
    let ranges: Vec<_> = texts.iter().flat_map(|text| text.split(',')).filter_map(range).collect();
    let first = offers.first().copied().unwrap_or_default();
    if ranges.is_empty() {
        return first;
    }
    let mut best = ((0, 0), first);
    for offer in offers {
        let preference = preference(&ranges, offer);
        if preference.0 > 0 && preference > best.0 {
            best = (preference, offer);
        }
    }
    best.1
}

/// Returns whether the caller accepts gzip. A caller without `Accept-Encoding` does not.
pub(crate) fn accepts_gzip(headers: &HeaderMap) -> bool {
    let texts = headers.get_all(header::ACCEPT_ENCODING).iter();
    let texts: Vec<_> = texts.filter_map(|value| value.to_str().ok()).collect();
    let accepted = |name: &str| {
        texts.iter().flat_map(|text| text.split(',')).find_map(|coding| {
            let (known, parameters) = coding.split_once(';').unwrap_or((coding, ""));
            known.trim().eq_ignore_ascii_case(name).then(|| quality(parameters) > 0)
        })
    };
    accepted("gzip").or_else(|| accepted("*")).unwrap_or(false)
}

struct MediaRange<'a> {
    kind: &'a str,
    subtype: &'a str,
    /// The weight in thousandths, 0 to 1000.
    quality: u32,
}

/// Returns the weight of `offer` by its most specific range, and how specific the range is.
fn preference(ranges: &[MediaRange<'_>], offer: &str) -> (u32, u32) {
    let (kind, subtype) = offer.split_once('/').unwrap_or((offer, ""));
    let matching = ranges.iter().filter_map(|range| {
        let exact = if range.kind == "*" && range.subtype == "*" {
            0
        } else if !range.kind.eq_ignore_ascii_case(kind) {
            return None;
        } else if range.subtype == "*" {
            1
        } else if range.subtype.eq_ignore_ascii_case(subtype) {
            2
        } else {
            return None;
        };
        Some((exact, range.quality))
    });
    matching.max().map_or((0, 0), |(exact, quality)| (quality, exact))
}

fn range(text: &str) -> Option<MediaRange<'_>> {
    let (kinds, parameters) = text.split_once(';').unwrap_or((text, ""));
    let (kind, subtype) = kinds.trim().split_once('/')?;
    Some(MediaRange { kind, subtype, quality: quality(parameters) })
}

/// Returns the weight in the parameters of a range, in thousandths.
fn quality(parameters: &str) -> u32 {
    let given = parameters.split(';').find_map(|part| {
        let (name, value) = part.split_once('=')?;
        name.trim().eq_ignore_ascii_case("q").then(|| thousandths(value.trim()))
    });
    given.unwrap_or(1000)
}

/// Parses `0`, `1` or a fraction of at most three digits as thousandths; an invalid text is 0.
fn thousandths(text: &str) -> u32 {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let digits = fraction.len() <= 3 && fraction.bytes().all(|byte| byte.is_ascii_digit());
    match (whole, format!("{fraction:0<3}").parse()) {
        ("0", Ok(thousandths)) if digits => thousandths,
        ("1", Ok(0)) if digits => 1000,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OFFERS: [&str; 3] = ["application/json", "image/svg+xml", "image/png"];

    fn chosen(accept: &'static str) -> &'static str {
        let mut headers = HeaderMap::new();
        headers.insert(header::ACCEPT, header::HeaderValue::from_static(accept));
        choose(&headers, &OFFERS)
    }

    #[test]
    fn most_preferred_type_is_chosen() {
        for (accept, shape) in [
            ("image/png", "image/png"),
            ("IMAGE/PNG", "image/png"),
            ("image/svg+xml, image/png;q=0.9", "image/svg+xml"),
            ("image/svg+xml;q=0.2, image/png;q=0.25", "image/png"),
            ("image/*", "image/svg+xml"),
            ("image/*, image/svg+xml;q=0", "image/png"),
            ("*/*", "application/json"),
            ("*/*;q=0.1, image/png", "image/png"),
            // The header of a browser for an <img>.
            ("image/avif,image/webp,image/svg+xml,image/*,*/*;q=0.8", "image/svg+xml"),
        ] {
            assert_eq!(chosen(accept), shape, "{accept}");
        }
    }

    #[test]
    fn gzip_needs_accept_encoding() {
        let takes = |value: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::ACCEPT_ENCODING, header::HeaderValue::from_static(value));
            accepts_gzip(&headers)
        };
        for yes in ["gzip", "br, GZIP;q=0.5", "*", "gzip, *;q=0", "deflate, gzip , br"] {
            assert!(takes(yes), "{yes}");
        }
        for no in ["", "br", "identity", "gzip;q=0", "*;q=0", "gzip;q=0, *", "gzipped"] {
            assert!(!takes(no), "{no}");
        }
        assert!(!accepts_gzip(&HeaderMap::new()));
    }

    #[test]
    fn unacceptable_or_malformed_accept_chooses_the_first() {
        for accept in
            ["", "text/html", "image/png;q=0", "image/png;q=7", "png", ";;;", "image/png;q="]
        {
            assert_eq!(chosen(accept), "application/json", "{accept}");
        }
        assert_eq!(choose(&HeaderMap::new(), &OFFERS), "application/json");
    }
}
