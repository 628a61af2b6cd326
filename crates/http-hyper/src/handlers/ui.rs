//! The handlers of the dashboard's files: a shell for every page, and the modules, the style sheet
//! and the icon that the shell names.
//!
//! The build compresses the files and hashes them all. The hash is part of their paths, so that
//! browsers cache them without revalidation, and a page never mixes files of two versions.
//!
//! Decision: ADR 0057.

use domain::Error;
use hyper::header::{self, HeaderName, HeaderValue};

use crate::{
    api::OperationContext,
    response::{
        asset::{Asset, IMMUTABLE, REVALIDATE, SCRIPT},
        problem::Result,
        reply::Reply,
    },
};

const HTML: &str = "text/html; charset=utf-8";
const STYLE: &str = "text/css; charset=utf-8";
const IMAGE: &str = "image/svg+xml";

// `BUILD`, `SHELL` and `FILES`, which `build.rs` writes.
include!(concat!(env!("OUT_DIR"), "/ui_files.rs"));

/// Limits the page to files and requests of its own origin, forbids frames, and forbids every
/// conversion of text to markup or script.
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; \
     img-src 'self' blob:; connect-src 'self'; manifest-src 'self'; base-uri 'none'; \
     form-action 'self'; frame-ancestors 'none'; require-trusted-types-for 'script'; \
     trusted-types 'none'";
/// The features of browsers that the page renounces. The clipboard stays for the copy buttons.
const PERMISSIONS_POLICY: &str = "accelerometer=(), camera=(), display-capture=(), geolocation=(), \
     gyroscope=(), microphone=(), midi=(), payment=(), usb=()";

/// Returns the shell. Every page has the same one, so that a path reveals nothing about a session.
pub(crate) async fn page(cx: OperationContext) -> Result<Reply> {
    let with = |reply: Reply, name: &'static str, value: &'static str| {
        reply.with(HeaderName::from_static(name), HeaderValue::from_static(value))
    };
    let reply = SHELL
        .reply(&cx.headers, REVALIDATE)?
        .with(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(CONTENT_SECURITY_POLICY));
    let reply = with(reply, "cross-origin-opener-policy", "same-origin");
    let reply = with(reply, "cross-origin-resource-policy", "same-origin");
    Ok(with(reply, "permissions-policy", PERMISSIONS_POLICY))
}

/// Returns a file of this build. A file of another build does not exist: its page reloads.
pub(crate) async fn asset(cx: OperationContext) -> Result<Reply> {
    let name = Some(cx.path("file")).filter(|_| cx.path("build") == BUILD);
    let file = FILES.iter().find(|(known, _)| Some(*known) == name);
    let (_, asset) = file.ok_or(Error::NotFound { noun: "file" })?;
    let reply = asset.reply(&cx.headers, IMMUTABLE)?;
    let policy = HeaderValue::from_static("same-origin");
    Ok(reply.with(HeaderName::from_static("cross-origin-resource-policy"), policy))
}
