//! What the settings of `berth` and `berth-gateway` have in common
//! ([ADR 0033](../../../docs/adr/0033-trim-or-reject-text-settings.md)).
//!
//! - [`clean`] is the one rule for texts: surrounding white space is dropped, and a character that
//!   nobody sees is refused.
//! - [`Variables`] reads `NAME_FILE` for every setting `NAME`, and tells which `BERTH_*` variables
//!   neither program reads.

mod names;
mod text;
mod variables;

pub use names::{NODE_VARIABLES, ROUTER_VARIABLES};
pub use text::{InvisibleCharacter, clean, clean_lines, parse};
pub use variables::{InvalidVariable, Variables};
