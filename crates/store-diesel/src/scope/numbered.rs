//! Numbers of the parameters in SQL text.
//!
//! PostgreSQL reads `$2` as the second parameter. SQLite reads it as a parameter with the name `$2`,
//! whose number is the order of its first appearance (<https://www.sqlite.org/c3ref/bind_blob.html>);
//! there, `?2` is the second parameter.

use crate::DatabaseKind;

/// SQL text whose parameters have the numbers of its database.
pub(crate) struct Numbered(String);

/// Returns the statement, whose parameters are `$1`, `$2` and so on in any order, for a database.
pub(crate) fn numbered(kind: DatabaseKind, statement: &str) -> Numbered {
    match kind {
        DatabaseKind::Postgres => Numbered(statement.to_owned()),
        DatabaseKind::Sqlite => Numbered(statement.replace('$', "?")),
    }
}

/// A statement that parameters can be bound to.
pub(crate) trait ParameterizedStatement {
    /// Returns the SQL text.
    ///
    /// # Panics
    /// In debug builds, for text without [`numbered`] in which the first appearances of `$1`, `$2` and so
    /// on are not in this order: the databases would number its parameters differently.
    fn text(&self) -> String;
}

impl ParameterizedStatement for Numbered {
    fn text(&self) -> String {
        self.0.clone()
    }
}

impl ParameterizedStatement for str {
    fn text(&self) -> String {
        debug_assert!(is_in_order(self), "{self}");
        self.to_owned()
    }
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
            assert!(is_in_order(&numbered(DatabaseKind::Sqlite, bad).text()), "{bad}");
            assert_eq!(numbered(DatabaseKind::Postgres, bad).text(), bad);
        }
    }
}
