//! Fills an empty database with sessions of many organizations, for `cargo xtask bench lists`.
//!
//! `seed URL SESSIONS ORGANIZATIONS LARGEST`: the total number of sessions, the number of
//! organizations, and the number of sessions of the largest organization; the others share the
//! rest. Prints the values to search for as JSON.
//!
//! The program is not part of berth, and refuses a database that contains rows. The store writes
//! one row of each kind as a template, so that all rows have the stored form. SQL statements copy
//! the templates, some thousand rows per statement.

mod chance;
mod rows;
mod target;
mod templates;

use std::io::{Write as _, stdout};

use serde_json::json;
use store_diesel::{Config, Database};

use crate::{rows::Rows, target::SeedDatabase};

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

/// Number of sessions in one statement.
const ROWS_PER_STATEMENT: usize = 4_000;

#[tokio::main]
async fn main() -> Result<()> {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let [url, sessions, organizations, largest] = arguments.as_slice() else {
        return Err("seed URL SESSIONS ORGANIZATIONS LARGEST".into());
    };
    let (sessions, organizations) = (sessions.parse()?, organizations.parse()?);
    let rows = Rows::new(sessions, organizations, largest.parse()?)?;
    // Creates the tables if necessary.
    let store = Database::connect(&Config::new(url.clone())).await?;
    let mut database = SeedDatabase::open(url).await?;
    database.must_be_empty().await?;
    templates::write(&store).await?;
    drop(store);
    database.take_templates().await?;
    let mut rows = rows.peekable();
    while rows.peek().is_some() {
        let some: Vec<_> = rows.by_ref().take(ROWS_PER_STATEMENT).collect();
        database.execute(&rows::sessions(&some)).await?;
        database.execute(&rows::events(&some)).await?;
    }
    database.checkpoint_or_vacuum().await?;
    let found = json!({
        "organization": rows::organization(0),
        "usual": { "status": "working", "label": rows::USUAL, "phoneNumber": rows::SHARED },
        "rare": { "status": "failed", "label": rows::RARE, "phoneNumber": rows::OLDEST },
    });
    writeln!(stdout(), "{found}")?;
    Ok(())
}
