//! Shows the account as online only for as long as something needs it: while the account is online
//! on a linked device, the phone does not notify its owner of messages.

use std::{
    sync::{
        Arc, Weak,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use whatsapp_rust::Client;

use crate::engine_runtime::EngineRuntime;

/// The presence of the account on one connection.
#[derive(Clone)]
pub(crate) struct Presence {
    client: Weak<Client>,
    runtime: EngineRuntime,
    holds: Arc<AtomicUsize>,
}

/// Shows the account as online until dropped.
pub(super) struct OnlineHold(Presence);

impl Presence {
    pub(crate) fn new(client: Weak<Client>, runtime: EngineRuntime) -> Self {
        Self { client, runtime, holds: Arc::default() }
    }

    /// Shows the account as online.
    pub(super) async fn hold(&self) -> OnlineHold {
        let hold = OnlineHold(self.clone());
        if self.holds.fetch_add(1, Ordering::AcqRel) == 0
            && let Some(client) = self.client.upgrade()
            && let Err(error) = client.presence().set_available().await
        {
            tracing::debug!(%error, "cannot show the account as online");
        }
        hold
    }

    /// Shows the account as offline in the background after this time, unless something needs it
    /// online. The engine shows the account as online at each login.
    pub(super) fn hide_after(&self, delay: Duration) {
        let presence = self.clone();
        drop(self.runtime.spawn_cancellable(async move {
            tokio::time::sleep(delay).await;
            let Some(client) = presence.client.upgrade() else { return };
            if presence.holds.load(Ordering::Acquire) == 0
                && let Err(error) = client.presence().set_unavailable().await
            {
                tracing::debug!(%error, "cannot show the account as offline");
            }
        }));
    }
}

impl Drop for OnlineHold {
    fn drop(&mut self) {
        if self.0.holds.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.0.hide_after(Duration::ZERO);
        }
    }
}
