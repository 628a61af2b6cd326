//! Checks of the environment variables of a program.

use std::fmt::Display;

use crate::report::Report;

/// Adds a warning for each variable that no program reads, and for each one with white space around its value.
pub fn variables<U: Display, P: Display>(
    report: &mut Report,
    unknown: impl IntoIterator<Item = U>,
    padded: impl IntoIterator<Item = P>,
) {
    for name in unknown {
        report.warn("variables", format!("no program reads {name}; correct or unset the name"));
    }
    for name in padded {
        report.warn(
            "variables",
            format!("the value of {name} has white space around it, which is ignored"),
        );
    }
}
