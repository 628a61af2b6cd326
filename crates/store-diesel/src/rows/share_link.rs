//! The table `share_links`: immutable columns, and the columns that an update replaces.
//!
//! Decision: ADR 0056.

use std::collections::BTreeSet;

use diesel::prelude::*;
use domain::{
    LinkEnd, LinkId, LinkMethod, LinkOpening, LinkOutcome, OrganizationId, Phone, ReturnTarget,
    SessionId, ShareLink, ShareLinkChange, Timestamp,
};

use crate::{
    StoreError,
    rows::column::{actor, actor_columns, from_bigint, parse_optional, timestamp},
    schema::share_links,
    scope::ScopedSessionId,
};

/// A row of `share_links`.
#[derive(Queryable, Selectable, Insertable)]
#[diesel(table_name = share_links)]
pub(crate) struct ShareLinkRow {
    #[diesel(embed)]
    pub(crate) immutable: ImmutableLinkColumns,
    #[diesel(embed)]
    mutable: MutableLinkColumns,
}

/// The columns that never change.
#[derive(Queryable, Selectable, Insertable)]
#[diesel(table_name = share_links, treat_none_as_default_value = false)]
pub(crate) struct ImmutableLinkColumns {
    organization: String,
    session: String,
    pub(crate) id: String,
    digest: Vec<u8>,
    title: Option<String>,
    methods: String,
    phone: Option<String>,
    return_address: Option<String>,
    return_origin: Option<String>,
    created_by_kind: String,
    created_by_name: Option<String>,
    pub(crate) created_at: i64,
    expires_at: i64,
}

/// The columns that an update replaces.
#[derive(Queryable, Selectable, Insertable, AsChangeset)]
#[diesel(table_name = share_links, treat_none_as_default_value = false, treat_none_as_null = true)]
pub(crate) struct MutableLinkColumns {
    opened_at: Option<i64>,
    browser: Option<Vec<u8>>,
    attempts: i64,
    ended_at: Option<i64>,
    outcome: Option<String>,
    removed_at: i64,
}

/// A change of one row.
pub(crate) enum ShareLinkRowChange {
    /// Inserts the link, unless its id exists.
    Insert(Box<ShareLinkRow>),
    /// Replaces the mutable columns of a link that has not ended.
    Update(ScopedSessionId, String, Box<MutableLinkColumns>),
}

impl ShareLinkRowChange {
    /// Returns the change of a link in a scope, as parameters of its session. `None` without a change.
    pub(crate) fn of(change: &ShareLinkChange, scoped_id: ScopedSessionId) -> Option<Self> {
        match change {
            ShareLinkChange::Insert(link) => Some(Self::Insert(Box::new(ShareLinkRow::new(link)))),
            ShareLinkChange::Update(link) => Some(Self::update(link, scoped_id)),
            ShareLinkChange::Nothing => None,
        }
    }

    /// Returns the change that replaces a link.
    pub(crate) fn update(link: &ShareLink, scoped_id: ScopedSessionId) -> Self {
        Self::Update(scoped_id, link.id.to_string(), Box::new(MutableLinkColumns::new(link)))
    }
}

impl ShareLinkRow {
    pub(crate) fn new(link: &ShareLink) -> Self {
        let (kind, name) = actor_columns(&link.created_by);
        let methods: Vec<_> = link.methods.iter().map(|method| method.as_str()).collect();
        let target = link.return_target.as_ref();
        Self {
            immutable: ImmutableLinkColumns {
                organization: link.organization.to_string(),
                session: link.session.to_string(),
                id: link.id.to_string(),
                digest: link.digest.to_vec(),
                title: link.title.clone(),
                methods: methods.join(" "),
                phone: link.phone.as_ref().map(|phone| phone.as_str().to_owned()),
                return_address: target.map(|target| target.address.clone()),
                return_origin: target.map(|target| target.origin.clone()),
                created_by_kind: kind.to_owned(),
                created_by_name: name,
                created_at: link.created_at.millis(),
                expires_at: link.expires_at.millis(),
            },
            mutable: MutableLinkColumns::new(link),
        }
    }

    fn link(&self) -> Result<ShareLink, &'static str> {
        let (immutable, mutable) = (&self.immutable, &self.mutable);
        let target = immutable.return_address.clone().zip(immutable.return_origin.clone());
        Ok(ShareLink {
            id: LinkId::parse(&immutable.id).ok_or("share_links.id")?,
            organization: OrganizationId::parse(&immutable.organization)
                .ok_or("share_links.organization")?,
            session: SessionId::parse(&immutable.session).ok_or("share_links.session")?,
            digest: digest(&immutable.digest).ok_or("share_links.digest")?,
            title: immutable.title.clone(),
            methods: methods(&immutable.methods).ok_or("share_links.methods")?,
            phone: parse_optional(immutable.phone.as_deref(), Phone::parse)
                .ok_or("share_links.phone")?,
            return_target: target.map(|(address, origin)| ReturnTarget { address, origin }),
            created_by: actor(&immutable.created_by_kind, immutable.created_by_name.as_deref())
                .ok_or("share_links.created_by_kind")?,
            created_at: Timestamp::from_millis(immutable.created_at),
            expires_at: Timestamp::from_millis(immutable.expires_at),
            opening: mutable.opening()?,
            attempts: from_bigint(mutable.attempts).ok_or("share_links.attempts")?,
            end: mutable.end()?,
        })
    }
}

impl MutableLinkColumns {
    fn new(link: &ShareLink) -> Self {
        let (opening, end) = (link.opening.as_ref(), link.end.as_ref());
        Self {
            opened_at: opening.map(|opening| opening.at.millis()),
            browser: opening.map(|opening| opening.browser.to_vec()),
            attempts: link.attempts.into(),
            ended_at: end.map(|end| end.at.millis()),
            outcome: end.map(|end| end.outcome.as_str().to_owned()),
            removed_at: link.removed_at().millis(),
        }
    }

    fn opening(&self) -> Result<Option<LinkOpening>, &'static str> {
        let Some(at) = timestamp(self.opened_at) else { return Ok(None) };
        let browser = self.browser.as_deref().and_then(digest).ok_or("share_links.browser")?;
        Ok(Some(LinkOpening { at, browser }))
    }

    fn end(&self) -> Result<Option<LinkEnd>, &'static str> {
        let Some(at) = timestamp(self.ended_at) else { return Ok(None) };
        let outcome = self.outcome.as_deref().and_then(LinkOutcome::parse);
        Ok(Some(LinkEnd { at, outcome: outcome.ok_or("share_links.outcome")? }))
    }
}

fn digest(bytes: &[u8]) -> Option<[u8; 32]> {
    bytes.try_into().ok()
}

fn methods(text: &str) -> Option<BTreeSet<LinkMethod>> {
    text.split(' ').map(LinkMethod::parse).collect()
}

impl TryFrom<ShareLinkRow> for ShareLink {
    type Error = StoreError;

    fn try_from(row: ShareLinkRow) -> Result<Self, StoreError> {
        row.link().map_err(|column| StoreError::corrupt(column, &row.immutable.id))
    }
}
