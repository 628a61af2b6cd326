//! The addresses of an issuer.

use hyper::Uri;

use crate::jwt::{Source, SourceError};

/// Returns the URI in a text, if berth may send secrets there or trust its answers.
pub(super) fn fetchable(text: &str) -> Result<Uri, SourceError> {
    match Source::parse(text, false)? {
        Source::Url(uri) => Ok(uri),
        Source::File(_) | Source::Inline(_) => Err(SourceError::Url("it is not a URL")),
    }
}
