//! Commits of share links for callers and for holders of links.

use crate::{
    access::Scope,
    caller::Actor,
    commit::{Commit, CommitTarget},
    error::Result,
    event::{Event, payload::EventPayload},
    idempotency::Recorder,
    ports::{
        environment::Environment,
        notify::{Notification, Notifier},
        store::{share_links::ShareLinkStore, written::Written},
    },
    session::change::Change,
    share_link::write::{ShareLinkChange, ShareLinkWrite},
};

/// The share links of a scope, as the destination of commits.
pub(crate) struct OwnedLinks<'a, T> {
    pub(crate) store: &'a dyn ShareLinkStore,
    pub(crate) scope: &'a Scope,
    pub(crate) notifier: &'a dyn Notifier,
    pub(crate) recorder: Recorder<'a, T>,
}

impl<T> CommitTarget for OwnedLinks<'_, T> {
    type Commit = Commit<ShareLinkWrite>;

    async fn write(&self, commit: &Commit<ShareLinkWrite>) -> Result<Written> {
        Ok(self.store.commit(self.scope, commit).await??)
    }

    fn notify(&self, commit: &Commit<ShareLinkWrite>) {
        if let Some(recorder) = self.recorder {
            recorder.committed();
        }
        let session = &commit.change.session.session;
        if session.due.is_some() {
            self.notifier.notify(Notification::WorkDue);
        }
        let (session, version) = (&session.id, Some(session.version));
        self.notifier.notify(Notification::SessionChanged { session, version });
    }
}

/// Returns the commit of a change of a link: the session gets the events and the next version.
pub(crate) fn link_commit(
    mut session: Change,
    link: ShareLinkChange,
    actor: &Actor,
    environment: &dyn Environment,
) -> Commit<ShareLinkWrite> {
    let attempt = session.attempt.take();
    let commit = session.into_commit(actor, environment);
    let mut commit = commit.map(|session| ShareLinkWrite { session, attempt, link });
    name_link_as_actor(&mut commit.events);
    commit.recorded(None)
}

/// Makes the link the actor of the events that the holder of the link causes, whoever reports the
/// effect.
pub(crate) fn name_link_as_actor(events: &mut [Event]) {
    for event in events {
        if let EventPayload::LinkOpened { link } | EventPayload::LinkUsed { link } = &event.payload
        {
            event.actor = Actor::Link(link.clone());
        }
    }
}
