//! The lookup of a session for a caller of its messages.

use crate::{
    access::{Scope, or_not_found},
    error::Result,
    id::SessionId,
    messaging::state::SessionMessaging,
    ports::store::messages::MessageStore,
};

/// Returns the counters and marks of a session within a scope.
///
/// # Errors
/// [`Error::NotFound`](crate::Error::NotFound), and errors of the store.
pub(crate) async fn find_session(
    store: &dyn MessageStore,
    scope: &Scope,
    session: &str,
) -> Result<SessionMessaging> {
    let row = match SessionId::parse(session) {
        Some(session) => store.session_messaging(scope, &session).await?,
        None => None,
    };
    or_not_found("session", row)
}
