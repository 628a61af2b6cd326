//! Files that the program contains, as responses with entity tags.

use std::{io::Read as _, sync::OnceLock};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use bytes::Bytes;
use flate2::read::GzDecoder;
use hyper::{
    HeaderMap, StatusCode,
    header::{self, HeaderValue},
};
use sha2::{Digest as _, Sha256};

use super::{
    problem::{Problem, Result},
    reply::Reply,
};
use crate::request::negotiate::accepts_gzip;

/// For files whose path stays the same when their content changes: clients may cache them and must
/// revalidate.
pub(crate) const REVALIDATE: &str = "no-cache";
/// For files whose path contains a hash of their content: clients may cache them for a year and
/// need not revalidate.
pub(crate) const IMMUTABLE: &str = "public, max-age=31536000, immutable";

/// The media type of scripts.
pub(crate) const SCRIPT: &str = "text/javascript; charset=utf-8";

/// A file that the program contains.
pub(crate) struct Asset {
    content_type: &'static str,
    /// The content as stored.
    bytes: &'static [u8],
    gzip: bool,
    /// The decompressed content, made at the first request of a client that does not accept gzip.
    decompressed: OnceLock<Bytes>,
    /// The hash of the stored content, made at the first request.
    entity_tag: OnceLock<String>,
}

impl Asset {
    /// Returns a file that is stored as it is.
    pub(crate) const fn plain(content_type: &'static str, bytes: &'static [u8]) -> Self {
        Self::new(content_type, bytes, false)
    }

    /// Returns a file that is stored compressed.
    pub(crate) const fn gzip(content_type: &'static str, bytes: &'static [u8]) -> Self {
        Self::new(content_type, bytes, true)
    }

    const fn new(content_type: &'static str, bytes: &'static [u8], gzip: bool) -> Self {
        Self {
            content_type,
            bytes,
            gzip,
            decompressed: OnceLock::new(),
            entity_tag: OnceLock::new(),
        }
    }

    /// Returns the file as the client accepts it. A request allocates no memory except for its
    /// headers, so that frequent requests cannot exhaust the memory.
    ///
    /// # Errors
    /// The stored content is not gzip.
    pub(crate) fn reply(&self, headers: &HeaderMap, cache_control: &'static str) -> Result<Reply> {
        let gzip_response = self.gzip && accepts_gzip(headers);
        let bytes = match (self.gzip, gzip_response) {
            (true, false) => self.decompressed()?,
            _ => Bytes::from_static(self.bytes),
        };
        let entity_tag =
            HeaderValue::try_from(self.entity_tag(gzip_response)).map_err(Problem::internal)?;
        let mut reply = Reply::of(StatusCode::OK, self.content_type, bytes)
            .with(header::ETAG, entity_tag)
            .with(header::CACHE_CONTROL, HeaderValue::from_static(cache_control));
        if gzip_response {
            reply = reply.with(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        }
        if self.gzip {
            reply = reply.with(header::VARY, HeaderValue::from_static("accept-encoding"));
        }
        Ok(reply)
    }

    fn decompressed(&self) -> Result<Bytes> {
        if let Some(bytes) = self.decompressed.get() {
            return Ok(bytes.clone());
        }
        // Concurrent first requests each decompress the file; one result is kept.
        let bytes = decompress(self.bytes)?;
        Ok(self.decompressed.get_or_init(|| bytes).clone())
    }

    /// Returns the entity tag, which differs between the compressed and the decompressed content.
    fn entity_tag(&self, gzip_response: bool) -> String {
        let entity_tag = self
            .entity_tag
            .get_or_init(|| URL_SAFE_NO_PAD.encode(&Sha256::digest(self.bytes)[..12]));
        format!("\"{entity_tag}{}\"", if gzip_response { "-gzip" } else { "" })
    }
}

/// Decompresses a gzip file, whose last four bytes are its decompressed size.
fn decompress(bytes: &[u8]) -> Result<Bytes> {
    let size = bytes.last_chunk().map_or(0, |size| u32::from_le_bytes(*size));
    let mut text = Vec::with_capacity(usize::try_from(size).unwrap_or(0));
    GzDecoder::new(bytes).read_to_end(&mut text).map_err(Problem::internal)?;
    Ok(text.into())
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use flate2::{Compression, write::GzEncoder};

    use super::*;

    #[test]
    fn decompressed_asset_is_shared() {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(&[b'x'; 10_000]).unwrap();
        let asset = Asset::gzip(SCRIPT, encoder.finish().unwrap().leak());
        let (first, second) = (asset.decompressed().unwrap(), asset.decompressed().unwrap());
        assert_eq!((first.as_ptr(), first.len()), (second.as_ptr(), second.len()));
        assert_eq!(first, [b'x'; 10_000][..]);
        assert!(first.len() > asset.bytes.len());
    }
}
