//! The handlers of the OpenAPI document and of the page that shows it, each below its operation
//! doc.
//!
//! The page is Swagger UI, stored compressed as the build took it from its package. A request
//! allocates no memory except for its headers, so that frequent requests cannot exhaust the memory.
//! The policy of the page limits the requests of its scripts to the same origin.

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
    api::OperationContext,
    openapi::operation_doc::{Content, DocTag, OperationDoc, ResponseDoc, Shape},
    request::negotiate::accepts_gzip,
    response::{
        problem::{Problem, Result},
        reply::Reply,
    },
    wire::Document,
};

/// A file that the program contains.
struct Asset {
    content_type: &'static str,
    /// The content as stored.
    bytes: &'static [u8],
    gzip: bool,
    /// The decompressed content, made at the first request of a client that does not accept gzip.
    decompressed: OnceLock<Bytes>,
    /// The hash of the stored content, made at the first request.
    entity_tag: OnceLock<String>,
}

static OPENAPI: Asset =
    Asset::plain("application/json", include_bytes!("../../../../docs/openapi.json"));
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

/// Limits scripts and requests of the page to the same origin. The style sheet contains images.
const PAGE_CONTENT_SECURITY_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; \
     img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; \
     frame-ancestors 'none'";

pub(crate) static OPENAPI_DOC: OperationDoc = OperationDoc::new(
    DocTag::Service,
    "Get this document",
    "OpenAPI 3.1, for programs.",
    ResponseDoc::new(200, "The document.", &[Content::Json(Shape::of::<Document>())]).tagged(),
);

pub(crate) async fn document(cx: OperationContext) -> Result<Reply> {
    OPENAPI.reply(&cx)
}

pub(crate) static DOCS: OperationDoc = OperationDoc::new(
    DocTag::Service,
    "Read this document as a page",
    "An interactive page that shows this document and can send its requests. The page loads nothing from \
     other hosts.",
    ResponseDoc::new(200, "The page.", &[Content::Text("text/html", "<!doctype html>…")]).tagged(),
);

pub(crate) async fn page(cx: OperationContext) -> Result<Reply> {
    let policy = HeaderValue::from_static(PAGE_CONTENT_SECURITY_POLICY);
    Ok(PAGE.reply(&cx)?.with(header::CONTENT_SECURITY_POLICY, policy))
}

pub(crate) static DOCS_START: OperationDoc = OperationDoc::new(
    DocTag::Service,
    "Get the start script of the page",
    "Part of `/docs`.",
    ResponseDoc::new(200, "A script.", &[Content::Text("text/javascript", "window.ui = …")])
        .tagged(),
);

pub(crate) async fn start(cx: OperationContext) -> Result<Reply> {
    START.reply(&cx)
}

pub(crate) static DOCS_SCRIPT: OperationDoc = OperationDoc::new(
    DocTag::Service,
    "Get the main script of the page",
    "Part of `/docs`.",
    ResponseDoc::new(200, "A script.", &[Content::Text("text/javascript", "/*! For license …")])
        .tagged()
        .varying(),
);

pub(crate) async fn script(cx: OperationContext) -> Result<Reply> {
    BUNDLE.reply(&cx)
}

pub(crate) static DOCS_STYLE: OperationDoc = OperationDoc::new(
    DocTag::Service,
    "Get the style sheet of the page",
    "Part of `/docs`.",
    ResponseDoc::new(200, "A style sheet.", &[Content::Text("text/css", ".swagger-ui{…}")])
        .tagged()
        .varying(),
);

pub(crate) async fn style(cx: OperationContext) -> Result<Reply> {
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

    /// Returns the file. Clients may cache it and must revalidate, because the next version of the
    /// program may contain another file.
    fn reply(&self, cx: &OperationContext) -> Result<Reply> {
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
    use super::*;

    #[test]
    fn decompressed_asset_is_shared() {
        let (first, second) = (BUNDLE.decompressed().unwrap(), BUNDLE.decompressed().unwrap());
        assert_eq!((first.as_ptr(), first.len()), (second.as_ptr(), second.len()));
        assert!(first.len() > BUNDLE.bytes.len());
    }
}
