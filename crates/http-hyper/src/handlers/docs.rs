//! The API's document, and the page that shows it: Swagger UI, held compressed as the build took it
//! from its package. Nothing is made per request but the header lines: a peer that asks often must not be able
//! to fill the memory.
//!
//! A browser that has the page may ask this origin alone: its policy says so, whatever a script wants.

use std::{io::Read as _, sync::OnceLock};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use bytes::Bytes;
use flate2::read::GzDecoder;
use hyper::{
    StatusCode,
    header::{self, HeaderValue},
};
use sha2::{Digest as _, Sha256};

use crate::{
    api::context::Context,
    openapi::DOCUMENT,
    request::negotiate::accepts_gzip,
    response::problem::{Problem, Result},
    response::reply::Reply,
};

/// A file of the program.
struct Asset {
    content_type: &'static str,
    /// As it is held.
    bytes: &'static [u8],
    gzip: bool,
    /// What it holds, unpacked when the first client asks that takes nothing compressed; one for all.
    decompressed: OnceLock<Bytes>,
    /// Of what it holds, made when it is first asked for.
    entity_tag: OnceLock<String>,
}

static OPENAPI: Asset = Asset::plain("application/json", DOCUMENT.as_bytes());
static PAGE: Asset =
    Asset::plain("text/html; charset=utf-8", include_bytes!("../../assets/docs.html"));
static START: Asset = Asset::plain(SCRIPT, include_bytes!("../../assets/start.js"));
static BUNDLE: Asset =
    Asset::gzip(SCRIPT, include_bytes!(concat!(env!("OUT_DIR"), "/swagger-ui-bundle.js.gz")));
static STYLE: Asset = Asset::gzip(
    "text/css; charset=utf-8",
    include_bytes!(concat!(env!("OUT_DIR"), "/swagger-ui.css.gz")),
);

const SCRIPT: &str = "text/javascript; charset=utf-8";

/// The page's scripts and requests stay with this origin; pictures may also be within the style sheet.
const PAGE_CONTENT_SECURITY_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; \
     img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; \
     frame-ancestors 'none'";

pub(crate) async fn document(cx: Context) -> Result<Reply> {
    OPENAPI.reply(&cx)
}

pub(crate) async fn page(cx: Context) -> Result<Reply> {
    let policy = HeaderValue::from_static(PAGE_CONTENT_SECURITY_POLICY);
    Ok(PAGE.reply(&cx)?.with(header::CONTENT_SECURITY_POLICY, policy))
}

pub(crate) async fn start(cx: Context) -> Result<Reply> {
    START.reply(&cx)
}

pub(crate) async fn script(cx: Context) -> Result<Reply> {
    BUNDLE.reply(&cx)
}

pub(crate) async fn style(cx: Context) -> Result<Reply> {
    STYLE.reply(&cx)
}

impl Asset {
    const fn plain(content_type: &'static str, bytes: &'static [u8]) -> Self {
        Self::new(content_type, bytes, false)
    }

    const fn gzip(content_type: &'static str, bytes: &'static [u8]) -> Self {
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

    /// May be kept, but is asked after: the next version of the program may have another.
    fn reply(&self, cx: &Context) -> Result<Reply> {
        let gzip_response = self.gzip && accepts_gzip(&cx.headers);
        let bytes = match (self.gzip, gzip_response) {
            (true, false) => self.decompressed()?,
            _ => Bytes::from_static(self.bytes),
        };
        let entity_tag =
            HeaderValue::try_from(self.entity_tag(gzip_response)).map_err(Problem::internal)?;
        let mut reply = Reply::of(StatusCode::OK, self.content_type, bytes)
            .with(header::ETAG, entity_tag)
            .with(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
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
        // Two that are the first at once both do it, and one is kept.
        let bytes = decompress(self.bytes)?;
        Ok(self.decompressed.get_or_init(|| bytes).clone())
    }

    /// Packed and not it is not the same bytes.
    fn entity_tag(&self, gzip_response: bool) -> String {
        let entity_tag = self
            .entity_tag
            .get_or_init(|| URL_SAFE_NO_PAD.encode(&Sha256::digest(self.bytes)[..12]));
        format!("\"{entity_tag}{}\"", if gzip_response { "-gzip" } else { "" })
    }
}

/// For the rare client that takes nothing compressed. A gzip file ends with its size unpacked.
fn decompress(bytes: &[u8]) -> Result<Bytes> {
    let size = bytes.last_chunk().map_or(0, |size| u32::from_le_bytes(*size));
    let mut text = Vec::with_capacity(usize::try_from(size).unwrap_or(0));
    GzDecoder::new(bytes).read_to_end(&mut text).map_err(Problem::internal)?;
    Ok(text.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decompressed_asset_is_shared() {
        let (first, second) = (BUNDLE.decompressed().unwrap(), BUNDLE.decompressed().unwrap());
        assert_eq!((first.as_ptr(), first.len()), (second.as_ptr(), second.len()));
        assert!(first.len() > BUNDLE.bytes.len());
    }
}
