//! The version of this build.

/// This build's version; one that only meets a simulated WhatsApp says so.
pub const VERSION: &str = if cfg!(feature = "sim") {
    concat!(env!("CARGO_PKG_VERSION"), "+sim")
} else {
    env!("CARGO_PKG_VERSION")
};

/// The program and its version.
pub(crate) fn program_version() -> String {
    format!("berth-gateway {VERSION}")
}
