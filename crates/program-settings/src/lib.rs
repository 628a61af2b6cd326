//! The common rules for the settings of `berth` and `berth-gateway` ([ADR
//! 0033](../../../docs/adr/0033-trim-or-reject-text-settings.md)).
//!
//! - [`clean`] is the rule for texts: surrounding white space is removed, and a text with an
//!   invisible character is rejected.
//! - [`Variables`] reads `NAME_FILE` for every setting `NAME`, and lists the `BERTH_*` variables
//!   that neither program reads.

mod names;
mod text;
mod variables;

pub use names::{NODE_VARIABLES, ROUTER_VARIABLES};
pub use text::{InvisibleCharacter, clean, clean_lines, parse};
pub use variables::{InvalidVariable, Variables};
