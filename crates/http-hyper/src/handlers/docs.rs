//! The handlers of the OpenAPI document and of the page that shows it, each below its operation
//! doc.
//!
//! The page is Swagger UI, stored compressed as the build took it from its package. The policy of
//! the page limits the requests of its scripts to the same origin.

use hyper::header::{self, HeaderValue};

use crate::{
    api::OperationContext,
    openapi::operation_doc::{Content, DocTag, OperationDoc, ResponseDoc, Shape},
    response::{
        asset::{Asset, REVALIDATE, SCRIPT},
        problem::Result,
        reply::Reply,
    },
    wire::Document,
};

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
    OPENAPI.reply(&cx.headers, REVALIDATE)
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
    Ok(PAGE.reply(&cx.headers, REVALIDATE)?.with(header::CONTENT_SECURITY_POLICY, policy))
}

pub(crate) static DOCS_START: OperationDoc = OperationDoc::new(
    DocTag::Service,
    "Get the start script of the page",
    "Part of `/docs`.",
    ResponseDoc::new(200, "A script.", &[Content::Text("text/javascript", "window.ui = …")])
        .tagged(),
);

pub(crate) async fn start(cx: OperationContext) -> Result<Reply> {
    START.reply(&cx.headers, REVALIDATE)
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
    BUNDLE.reply(&cx.headers, REVALIDATE)
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
    STYLE.reply(&cx.headers, REVALIDATE)
}
