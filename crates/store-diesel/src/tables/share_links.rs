//! Implements the stores of share links: for owners and holders, and the lookup by secret.
//!
//! Decision: ADR 0056.

use async_trait::async_trait;
use diesel::{dsl::count_star, prelude::*};
use diesel_async::RunQueryDsl;
use domain::{
    Commit, LinkId, Scope, Session, SessionId, ShareLink, ShareLinkWrite, Timestamp,
    ports::{
        CommitOutcome, PortResult, PresentedLink, ShareLinkDirectory, ShareLinkPage, ShareLinkStore,
    },
};

use crate::{
    Database, StoreError,
    batch::mutation::Mutation,
    database::statements::{point_lookup, with_conn},
    rows::{
        column::from_bigint,
        event::EventRow,
        link_attempt::NewLinkAttempt,
        readable::{fill_page, readable},
        session::MutableColumns,
        share_link::{ShareLinkRow, ShareLinkRowChange},
    },
    schema::share_links,
    scope::{
        ExpectedRowVersion, KeysetPosition, ScopeParams, ScopedSessionId, share_links as scope,
    },
    tables::{
        idempotency_insert::NewIdempotencyRecord,
        remove_oldest::remove_oldest,
        session_figures::count_outcome,
        transaction::{CallerRows, RowChange, Transaction, belongs_to_scope},
    },
};

#[async_trait]
impl ShareLinkStore for Database {
    async fn commit(
        &self,
        scope: &Scope,
        commit: &Commit<ShareLinkWrite>,
    ) -> PortResult<CommitOutcome> {
        let ShareLinkWrite { session: update, attempt, link } = &commit.change;
        let session = &update.session;
        let organization = match link {
            domain::ShareLinkChange::Insert(link) => &link.organization,
            _ => scope.organization(),
        };
        let scoped_id = || ScopedSessionId::new(scope, &session.id);
        let mutation = Mutation::Update(
            scoped_id(),
            ExpectedRowVersion::of(update.expected)?,
            Box::new(MutableColumns::new(session)?),
            None,
        );
        let links = ShareLinkRowChange::of(link, scoped_id()).into_iter().collect();
        let attempt = attempt.as_ref().map(|attempt| NewLinkAttempt::new(scope, attempt));
        let caller = CallerRows {
            params: ScopeParams::of(scope),
            limits: self.limits(scope),
            is_own: belongs_to_scope(scope, organization, &commit.events),
            record: NewIdempotencyRecord::of(
                scope,
                commit.idempotency.as_ref(),
                session.updated_at,
            ),
            attempt: attempt.transpose()?,
        };
        let (change, events) =
            (RowChange::ShareLinks(mutation, links), EventRow::all(&commit.events)?);
        let transaction = Transaction { change, events, caller: Some(caller) };
        let outcome = self.run_transaction(transaction).await?;
        count_outcome(&outcome, &commit.events);
        Ok(outcome)
    }

    async fn find(
        &self,
        scope: &Scope,
        session: &SessionId,
        id: &LinkId,
    ) -> PortResult<Option<ShareLink>> {
        let (scoped_id, id) = (ScopedSessionId::new(scope, session), id.to_string());
        let row = point_lookup!(self, ShareLinkRow, scope::link(&scoped_id, &id))?;
        Ok(row.map(ShareLink::try_from).transpose()?)
    }

    async fn list(
        &self,
        scope: &Scope,
        session: &SessionId,
        page: &ShareLinkPage,
    ) -> PortResult<Vec<ShareLink>> {
        let (scoped_id, limit) = (ScopedSessionId::new(scope, session), page.limit);
        let after = KeysetPosition::of(page.after.as_ref());
        self.run(|database| async move {
            let page = fill_page!(
                limit,
                after,
                |after, row_limit| {
                    let rows: Vec<ShareLinkRow> = with_conn!(database, read, |conn| {
                        scope::link_page(&scoped_id, &after)
                            .select(ShareLinkRow::as_select())
                            .limit(row_limit)
                            .load(conn)
                            .await
                    })?;
                    rows
                },
                |row: &ShareLinkRow| {
                    KeysetPosition::at(row.immutable.created_at, &row.immutable.id)
                }
            );
            Ok(page)
        })
        .await
    }

    async fn live_count(
        &self,
        scope: &Scope,
        session: &SessionId,
        now: Timestamp,
    ) -> PortResult<u64> {
        let (scoped_id, now) = (ScopedSessionId::new(scope, session), now.millis());
        self.run(|database| async move {
            let count: i64 = with_conn!(database, read, |conn| {
                scope::links_of_session(&scoped_id)
                    .filter(share_links::ended_at.is_null())
                    .filter(share_links::expires_at.gt(now))
                    .select(count_star())
                    .get_result(conn)
                    .await
            })?;
            from_bigint(count).ok_or_else(|| StoreError::corrupt("share_links", scoped_id.id()))
        })
        .await
    }
}

#[async_trait]
impl ShareLinkDirectory for Database {
    async fn find_by_secret(
        &self,
        presented: &PresentedLink,
        browser: Option<&[u8; 32]>,
        now: Timestamp,
    ) -> PortResult<Option<ShareLink>> {
        let (id, digest, now) = (presented.id.to_string(), presented.digest, now.millis());
        let browser = browser.map(|digest| digest.to_vec());
        let row = point_lookup!(
            self,
            ShareLinkRow,
            scope::any_link_by_secret(&id, &digest, browser.as_deref(), now)
        )?;
        Ok(row.map(ShareLink::try_from).transpose()?)
    }

    async fn find_by_browser(
        &self,
        browser: &[u8; 32],
        now: Timestamp,
    ) -> PortResult<Option<ShareLink>> {
        let (browser, now) = (browser.to_vec(), now.millis());
        let row = point_lookup!(self, ShareLinkRow, scope::any_link_by_browser(&browser, now))?;
        Ok(row.map(ShareLink::try_from).transpose()?)
    }
}

impl Database {
    /// Returns the links of a session that have not ended.
    pub(crate) async fn unended_links_of(
        &self,
        session: &Session,
    ) -> Result<Vec<ShareLink>, StoreError> {
        let scoped_id = ScopedSessionId::of_row(session.organization.as_str(), session.id.as_str());
        let rows: Vec<ShareLinkRow> = with_conn!(self, read, |conn| {
            scope::links_of_session(&scoped_id)
                .filter(share_links::ended_at.is_null())
                .select(ShareLinkRow::as_select())
                .load(conn)
                .await
        })?;
        Ok(readable(rows))
    }

    /// Removes links whose removal time is before a time; returns the number of removed rows.
    pub(crate) async fn remove_share_links(
        &self,
        before: Timestamp,
        limit: u32,
    ) -> Result<u32, StoreError> {
        let (last_moment, removed_at) = (before.millis() - 1, share_links::removed_at);
        Ok(remove_oldest!(self, limit, last_moment, removed_at, scope::links_removed_until))
    }
}
