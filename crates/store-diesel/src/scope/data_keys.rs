//! Fragments of data keys, for the sealer alone. The sealer takes the organization of a scope or of
//! a webhook.

use diesel::{dsl::auto_type, prelude::*};

use crate::schema::data_keys;

/// Selects a data key of an organization.
#[auto_type(no_type_alias)]
pub(crate) fn data_key<'a>(organization: &'a str, number: i64) -> _ {
    data_keys::table
        .filter(data_keys::organization.eq(organization))
        .filter(data_keys::number.eq(number))
}

/// Selects the data keys that another seal key wraps, in the order of organizations.
#[auto_type(no_type_alias)]
pub(crate) fn wrapped_by_others<'a>(seal_key: &'a str, after: &'a str) -> _ {
    data_keys::table
        .filter(data_keys::organization.gt(after))
        .filter(data_keys::seal_key.ne(seal_key))
        .order((data_keys::organization.asc(), data_keys::number.asc()))
}

/// Selects all data keys.
pub(crate) fn all_data_keys() -> data_keys::table {
    data_keys::table
}
