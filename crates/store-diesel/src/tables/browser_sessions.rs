//! Implements the store of browser sessions.
//!
//! Decision: ADR 0055.

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;
use diesel::{
    prelude::*,
    sql_types::{BigInt, Text},
};
use diesel_async::RunQueryDsl;
use domain::{
    BrowserSession, BrowserSessionDigest, OrganizationId, Timestamp,
    ports::{BrowserSessionStore, PortResult},
};

use crate::{
    Database, StoreError,
    database::statements::{point_lookup, with_conn, with_transaction},
    rows::browser_session::{BrowserSessionRow, OrganizationColumn, digest, organization},
    schema::browser_sessions,
    scope::{
        bound_query::bound_query,
        browser_sessions::{
            REMOVE_SURPLUS, any_browser_session, current_browser_session, current_browser_sessions,
            ended_browser_sessions,
        },
    },
    tables::remove_oldest::remove_oldest,
};

/// Maximum number of digests in a statement; both engines limit the number of parameters.
const MAX_DIGESTS: usize = 1_000;

#[async_trait]
impl BrowserSessionStore for Database {
    async fn insert(&self, session: &BrowserSession, most: u32) -> PortResult<()> {
        let row = BrowserSessionRow::new(session)?;
        self.run(move |database| async move {
            with_transaction!(database, |conn| {
                let holder = row.holder.clone();
                diesel::insert_into(browser_sessions::table).values(&row).execute(conn).await?;
                bound_query!(REMOVE_SURPLUS, Text: &holder, BigInt: i64::from(most))
                    .execute(conn)
                    .await?;
                Ok(())
            })
        })
        .await
    }

    async fn find(
        &self,
        digest: BrowserSessionDigest,
        now: Timestamp,
    ) -> PortResult<Option<BrowserSession>> {
        let row = point_lookup!(
            self,
            BrowserSessionRow,
            current_browser_session(&digest.0, now.millis())
        )?;
        Ok(row.map(BrowserSession::try_from).transpose()?)
    }

    async fn organizations(
        &self,
        digests: &BTreeSet<BrowserSessionDigest>,
        now: Timestamp,
    ) -> PortResult<BTreeMap<BrowserSessionDigest, Option<OrganizationId>>> {
        let digests: Vec<_> = digests.iter().map(|digest| digest.0.to_vec()).collect();
        let now = now.millis();
        self.run(move |database| async move {
            let mut current = BTreeMap::new();
            for some in digests.chunks(MAX_DIGESTS) {
                let found: Vec<(Vec<u8>, Option<String>)> = with_conn!(database, read, |conn| {
                    current_browser_sessions(some, now)
                        .select((browser_sessions::digest, browser_sessions::organization))
                        .load(conn)
                        .await
                })?;
                for (bytes, name) in found {
                    let corrupt = |column| StoreError::corrupt(column, "a browser session");
                    let digest = digest(&bytes);
                    let digest = digest.ok_or_else(|| corrupt("browser_sessions.digest"))?;
                    let organization = organization(name.as_deref())
                        .ok_or_else(|| corrupt("browser_sessions.organization"))?;
                    current.insert(digest, organization);
                }
            }
            Ok(current)
        })
        .await
    }

    async fn record_use(
        &self,
        digest: BrowserSessionDigest,
        at: Timestamp,
        expires_at: Timestamp,
    ) -> PortResult<()> {
        let columns = (
            browser_sessions::last_used_at.eq(at.millis()),
            browser_sessions::expires_at.eq(expires_at.millis()),
        );
        self.run(move |database| async move {
            with_conn!(database, write, |conn| {
                diesel::update(any_browser_session(&digest.0)).set(columns).execute(conn).await
            })?;
            Ok(())
        })
        .await
    }

    async fn set_organization(
        &self,
        digest: BrowserSessionDigest,
        organization: &OrganizationId,
    ) -> PortResult<()> {
        let chosen = OrganizationColumn { organization: organization.to_string() };
        self.run(move |database| async move {
            with_conn!(database, write, |conn| {
                diesel::update(any_browser_session(&digest.0)).set(chosen).execute(conn).await
            })?;
            Ok(())
        })
        .await
    }

    async fn remove(&self, digest: BrowserSessionDigest) -> PortResult<()> {
        self.run(move |database| async move {
            with_conn!(database, write, |conn| {
                diesel::delete(any_browser_session(&digest.0)).execute(conn).await
            })?;
            Ok(())
        })
        .await
    }
}

impl Database {
    /// Removes browser sessions that ended before a time; returns the number of removed rows.
    pub(crate) async fn remove_browser_sessions(
        &self,
        before: Timestamp,
        limit: u32,
    ) -> Result<u32, StoreError> {
        let last_moment = before.millis() - 1;
        let ended_at = browser_sessions::expires_at;
        Ok(remove_oldest!(self, limit, last_moment, ended_at, ended_browser_sessions))
    }
}
