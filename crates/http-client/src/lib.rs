//! The HTTP client of every program: connections, TLS, one deadline for the whole exchange, and a limit
//! on the length of response bodies. Redirects are never followed.
//!
//! A request is sent again only if its connection closed before the first byte of the request was
//! written. A request that may have reached the server is never sent again.
//!
//! The crate knows no other crate of this workspace.

mod bearer;
mod client;
mod error;
mod roots;

pub use self::{
    bearer::bearer,
    client::{HttpClient, Limits},
    error::{ClientError, TlsError},
    roots::{InvalidRoots, NoRoots, roots_in_file, system_roots},
};
pub use rustls::RootCertStore;

#[cfg(test)]
mod tests;
