//! The common rules for the settings of `berth` and `berth-gateway` ([ADR
//! 0033](../../../docs/adr/0033-trim-or-reject-text-settings.md)).
//!
//! - [`clean`] is the rule for texts: surrounding white space is removed, and a text with an
//!   invisible character is rejected.
//! - [`Variables`] reads `NAME_FILE` for every setting `NAME`, and lists the `BERTH_*` variables
//!   that neither program reads.

mod documentation;
mod names;
mod nearest;
mod text;
mod unknown;
mod variables;

pub use documentation::{Completions, GenerateCommand, ManPages};
pub use names::{NODE_VARIABLES, ROUTER_VARIABLES};
pub use nearest::nearest;
pub use text::{InvisibleCharacter, clean, clean_lines, parse};
pub use unknown::UnknownVariable;
pub use variables::{InvalidVariable, Variables};
