//! Lists of rows as one parameter of a statement: JSON text, which the statement reads as a table.

use std::fmt::Write as _;

use crate::DatabaseKind;

/// A column of a list: its name, and its type in PostgreSQL.
pub(crate) type JsonColumn = (&'static str, &'static str);

/// Returns the table `entry` of the entries of a list, which is the parameter `$1`.
pub(crate) fn json_rows(kind: DatabaseKind, columns: &[JsonColumn]) -> String {
    let mut list = String::new();
    for (number, (name, sql_type)) in columns.iter().enumerate() {
        let comma = if number == 0 { "" } else { ", " };
        // Writing to a `String` does not fail.
        let _ = match kind {
            DatabaseKind::Postgres => write!(list, "{comma}{name} {sql_type}"),
            DatabaseKind::Sqlite => write!(list, "{comma}value ->> '{name}' AS {name}"),
        };
    }
    match kind {
        DatabaseKind::Postgres => format!("json_to_recordset($1::json) AS entry ({list})"),
        DatabaseKind::Sqlite => format!("(SELECT {list} FROM json_each($1)) AS entry"),
    }
}

/// Returns the names of the columns, separated by commas.
pub(crate) fn names(columns: &[JsonColumn]) -> String {
    columns.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ")
}
