//! The programs that a test kills.

use std::fmt;

/// The programs to kill.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Victim {
    /// The router.
    Berth,
    /// The node.
    Gateway,
    /// The router and its node.
    Both,
}

impl fmt::Display for Victim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Berth => "berth",
            Self::Gateway => "the gateway",
            Self::Both => "both",
        })
    }
}
