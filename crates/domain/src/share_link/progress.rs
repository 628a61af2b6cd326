//! The progress of a share link as its holder sees it.

use crate::{
    session::{model::Session, version::Version},
    share_link::model::ShareLink,
};

/// A link with the session that it links.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinkProgress {
    /// The link.
    pub link: ShareLink,
    /// The session.
    pub session: Session,
}

impl LinkProgress {
    /// Returns the version of the progress. Every change of the link and of the session raises it.
    pub fn version(&self) -> Version {
        self.session.version
    }
}
