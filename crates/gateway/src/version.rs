//! The version of this build.

/// The version of this build, with the suffix `+sim` if the build connects to a simulated WhatsApp
/// only.
pub const VERSION: &str = if cfg!(feature = "sim") {
    concat!(env!("CARGO_PKG_VERSION"), "+sim")
} else {
    env!("CARGO_PKG_VERSION")
};

/// The name of the program with its version.
pub(crate) fn program_version() -> String {
    format!("berth-gateway {VERSION}")
}
