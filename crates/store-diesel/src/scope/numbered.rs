//! Numbers of the parameters in SQL text.
//!
//! PostgreSQL reads `$2` as the second parameter. SQLite reads it as a parameter with the name `$2`,
//! whose number is the order of its first appearance (<https://www.sqlite.org/c3ref/bind_blob.html>);
//! there, `?2` is the second parameter.

use std::borrow::Cow;

use crate::DatabaseKind;

/// Returns the statement, whose parameters are `$1`, `$2` and so on in any order, for a database.
pub(crate) fn numbered(kind: DatabaseKind, statement: &str) -> Cow<'_, str> {
    match kind {
        DatabaseKind::Postgres => Cow::Borrowed(statement),
        DatabaseKind::Sqlite => Cow::Owned(statement.replace('$', "?")),
    }
}

/// Returns the statement. Both databases must number its parameters in the same way.
///
/// # Panics
/// In debug builds, if the first appearances of `$1`, `$2` and so on are not in this order.
pub(crate) fn in_order<S: AsRef<str>>(statement: S) -> S {
    debug_assert!(is_in_order(statement.as_ref()), "{}", statement.as_ref());
    statement
}

fn is_in_order(statement: &str) -> bool {
    let mut highest = 0;
    statement.split('$').skip(1).all(|after| {
        let digits = after.find(|byte: char| !byte.is_ascii_digit()).unwrap_or(after.len());
        let Ok(number) = after[..digits].parse::<u32>() else { return true };
        let in_order = number <= highest + 1;
        highest = highest.max(number);
        in_order
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_of_the_first_appearances_decides() {
        for good in ["", "a = $1 AND b = $2 OR c = $1", "json_each($1), $2", "a = ?2 AND b = ?1"] {
            assert!(is_in_order(good), "{good}");
        }
        for bad in ["a = $2", "SET a = $2 WHERE b = $1", "$1 $3 $2", "$1 $2 $4"] {
            assert!(!is_in_order(bad), "{bad}");
            assert!(is_in_order(&numbered(DatabaseKind::Sqlite, bad)), "{bad}");
        }
    }
}
