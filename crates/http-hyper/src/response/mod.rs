//! Responses: content with headers, errors, and QR code images.

pub(crate) mod asset;
pub(crate) mod etag;
mod json;
pub(crate) mod problem;
pub(crate) mod qr_image;
pub(crate) mod reply;
pub(crate) mod violation;
