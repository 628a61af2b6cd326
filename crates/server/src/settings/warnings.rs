//! What the program says about misspelt settings.
//!
//! An unknown key in the file ends the start, because only berth reads the file. An unknown variable is
//! a warning: other programs, a newer version of berth and Kubernetes set variables with the same
//! prefix, and a router that does not start for such a variable would turn an upgrade into an outage.

use program_settings::{Variables, nearest};

/// Logs the warnings of the variables of this process.
pub(crate) fn warn_of_variables() {
    Variables::of_process().log_warnings();
}

/// Returns the message of the parser as one line, with the nearest known key for an unknown one. The
/// parser quotes the unknown key first and then the known keys.
pub(super) fn with_nearest_key(message: &str) -> String {
    let line = message.lines().collect::<Vec<_>>().join(" ");
    let mut names = line.split('`').skip(1).step_by(2);
    let nearest = names.next().and_then(|unknown| nearest(unknown, names));
    match nearest.filter(|_| line.starts_with("unknown field")) {
        Some(nearest) => format!("{line}; did you mean `{nearest}`?"),
        None => line,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_key_names_the_nearest_one() {
        let message = "unknown field `lisen`, expected one of `listen`, `ops_listen`";
        assert_eq!(with_nearest_key(message), format!("{message}; did you mean `listen`?"));
        let other = "unknown field `port`, expected `listen`";
        assert_eq!(with_nearest_key(other), other);
        assert_eq!(with_nearest_key("invalid type:\n`x`"), "invalid type: `x`");
    }
}
