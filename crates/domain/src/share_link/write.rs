//! Changes of share links, as stores write them.

use crate::{
    link_attempt::LinkAttempt, session::write::SessionUpdate, share_link::model::ShareLink,
};

/// A change of one share link, with the change of its session: the session numbers the events of
/// its links, and its version orders their changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShareLinkWrite {
    /// The next state of the session.
    pub session: SessionUpdate,
    /// The pairing attempt that the change begins, to be counted.
    pub attempt: Option<LinkAttempt>,
    /// The change of the link.
    pub link: ShareLinkChange,
}

/// A change of the row of a share link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ShareLinkChange {
    /// Inserts the link.
    Insert(ShareLink),
    /// Replaces a link that has not ended. Only opening, attempts and end are written.
    Update(ShareLink),
    /// Changes no link.
    Nothing,
}
