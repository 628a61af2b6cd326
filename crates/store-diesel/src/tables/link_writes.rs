//! The writes of share links within a transaction.

/// Writes changes of share links; returns the number of changed rows.
macro_rules! write_share_links {
    ($conn:expr, $links:expr) => {{
        use $crate::{
            rows::share_link::ShareLinkRowChange, schema::share_links, scope::share_links as scope,
        };
        let mut written = 0;
        for change in $links {
            written += match change {
                ShareLinkRowChange::Insert(row) => {
                    let insert = diesel::insert_into(share_links::table).values(&**row);
                    insert.on_conflict_do_nothing().execute($conn).await?
                }
                ShareLinkRowChange::Update(scoped_id, id, columns) => {
                    let row = scope::unended_link(scoped_id, id);
                    diesel::update(row).set(&**columns).execute($conn).await?
                }
            };
        }
        written
    }};
}

pub(crate) use write_share_links;
