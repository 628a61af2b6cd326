//! Test: statements of share links walk the rows of one session by index; the lookups by secret and the
//! removal walk the indexes over all organizations that are made for them.

use diesel::{dsl::count_star, prelude::*};
use diesel_async::RunQueryDsl;
use domain::{LinkId, SessionId, ports::Position};

use super::{
    accesses::{Access, PlannedDatabase, by, plan_faults},
    at, scope,
};
use crate::{
    rows::share_link::ShareLinkRow,
    schema::share_links,
    scope::{
        KeysetPosition, ScopedSessionId,
        share_links::{
            any_link_by_browser, any_link_by_secret, link, link_page, links_of_session,
            links_removed_until, unended_link,
        },
    },
};

const ONE: Access = by(["share_links_pkey", "PRIMARY KEY"], &["organization", "session", "id"]);
// A session has few links, so that no index has the order of their list.
const OF_SESSION: Access = by(["share_links_pkey", "PRIMARY KEY"], &["organization", "session"]);
const PAGE: Access = OF_SESSION.of_few_each();

/// Returns the faults of the plans of owners and holders.
async fn owner_faults(planned: &PlannedDatabase) -> Vec<String> {
    let session = ScopedSessionId::new(&scope(), &SessionId::from_bits(7));
    let after = |id: Option<LinkId>| {
        let position = id.map(|id| Position { created_at: at(6_000), id });
        KeysetPosition::of(position.as_ref())
    };
    let (first, second) = (after(None), after(Some(LinkId::from_bits(5))));
    plan_faults!(
        planned,
        ONE => link(&session, "lnk_1").select(ShareLinkRow::as_select()),
        ONE => diesel::update(unended_link(&session, "lnk_1")).set(share_links::attempts.eq(2)),
        PAGE => link_page(&session, &first).select(ShareLinkRow::as_select()).limit(50),
        PAGE => link_page(&session, &second).select(ShareLinkRow::as_select()).limit(50),
        OF_SESSION => links_of_session(&session)
            .filter(share_links::ended_at.is_null())
            .filter(share_links::expires_at.gt(5))
            .select(count_star()),
        OF_SESSION => links_of_session(&session)
            .filter(share_links::ended_at.is_null())
            .select(ShareLinkRow::as_select()),
    )
}

/// Returns the faults of the plans across organizations.
async fn directory_faults(planned: &PlannedDatabase) -> Vec<String> {
    let secret = by(["share_links_of_all", "share_links_of_all"], &["id"]);
    let browser = by(["share_links_by_browser", "share_links_by_browser"], &["browser"]);
    let removal = by(["share_links_by_removal", "share_links_by_removal"], &["removed_at"]);
    let digest = [7; 32];
    plan_faults!(
        planned,
        secret => any_link_by_secret("lnk_1", &digest, None, 5).select(ShareLinkRow::as_select()),
        secret => any_link_by_secret("lnk_1", &digest, Some(&digest), 5)
            .select(ShareLinkRow::as_select()),
        browser => any_link_by_browser(&digest, 5).select(ShareLinkRow::as_select()),
        removal => links_removed_until(9)
            .select(share_links::removed_at)
            .order(share_links::removed_at.asc())
            .offset(499)
            .limit(1),
        removal => diesel::delete(links_removed_until(9)),
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn statements_of_share_links_walk_indexes() {
    let mut faults = Vec::new();
    for planned in PlannedDatabase::of_each_kind().await {
        faults.extend(owner_faults(&planned).await);
        faults.extend(directory_faults(&planned).await);
    }
    assert!(faults.is_empty(), "{}", faults.join("\n\n"));
}
