//! Bearer tokens (RFC 6750) in requests.

use hyper::header::{HeaderValue, InvalidHeaderValue};

/// Returns the value of the header `Authorization` for a token. Its `Debug` output is `Sensitive`.
///
/// # Errors
/// If the token has characters that a header cannot carry.
pub fn bearer(token: &str) -> Result<HeaderValue, InvalidHeaderValue> {
    let mut value = HeaderValue::try_from(format!("Bearer {token}"))?;
    value.set_sensitive(true);
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::bearer;

    #[test]
    fn debug_output_has_no_token() {
        let value = bearer("canary").unwrap();
        assert_eq!(value.as_bytes(), b"Bearer canary");
        assert_eq!(format!("{value:?}"), "Sensitive");
        assert!(bearer("a\nb").is_err());
    }
}
