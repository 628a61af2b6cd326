//! The table `data_keys`.

use diesel::prelude::*;
use domain::{OrganizationId, Timestamp, ports::DataKey};

use crate::{StoreError, rows::column::from_bigint, schema::data_keys};

/// A row of `data_keys`.
#[derive(Queryable, Selectable, Insertable)]
#[diesel(table_name = data_keys, treat_none_as_default_value = false)]
pub(crate) struct DataKeyRow {
    organization: String,
    number: i64,
    seal_key: String,
    wrapped: Vec<u8>,
    created_at: i64,
}

impl From<&DataKey> for DataKeyRow {
    fn from(key: &DataKey) -> Self {
        Self {
            organization: key.organization.to_string(),
            number: i64::from(key.number),
            seal_key: key.seal_key.clone(),
            wrapped: key.wrapped.clone(),
            created_at: key.created_at.millis(),
        }
    }
}

impl TryFrom<DataKeyRow> for DataKey {
    type Error = StoreError;

    fn try_from(row: DataKeyRow) -> Result<Self, StoreError> {
        let corrupt = |column| StoreError::corrupt(column, &row.organization);
        Ok(Self {
            organization: OrganizationId::parse(&row.organization)
                .ok_or_else(|| corrupt("data_keys.organization"))?,
            number: from_bigint(row.number).ok_or_else(|| corrupt("data_keys.number"))?,
            created_at: Timestamp::from_millis(row.created_at),
            seal_key: row.seal_key,
            wrapped: row.wrapped,
        })
    }
}
