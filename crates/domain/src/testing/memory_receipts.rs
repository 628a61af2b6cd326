//! Receipts in the memory store.

use async_trait::async_trait;

use super::{Memory, memory::State};
use crate::{
    Receipt, Scope, Slot, Timestamp,
    ports::{PortResult, ReceiptStore, Written},
};

impl State {
    /// Keeps the receipt, if there is one. `false` when one is kept in its slot already.
    pub(super) fn file(
        &mut self,
        scope: &Scope,
        receipt: Option<&Receipt>,
        now: Timestamp,
    ) -> bool {
        let Some(receipt) = receipt else { return true };
        let place = (scope.organization().clone(), receipt.slot);
        if self.receipts.get(&place).is_some_and(|kept| kept.expires_at > now) {
            return false;
        }
        self.receipts.insert(place, receipt.clone());
        true
    }
}

#[async_trait]
impl ReceiptStore for Memory {
    async fn find(
        &self,
        scope: &Scope,
        slot: &Slot,
        now: Timestamp,
    ) -> PortResult<Option<Receipt>> {
        let state = self.state()?;
        let kept = state.receipts.get(&(scope.organization().clone(), *slot));
        Ok(kept.filter(|kept| kept.expires_at > now).cloned())
    }

    async fn keep(&self, scope: &Scope, receipt: &Receipt, now: Timestamp) -> PortResult<Written> {
        let filed = self.state()?.file(scope, Some(receipt), now);
        Ok(if filed { Written::Done } else { Written::Repeated })
    }

    async fn amend(&self, scope: &Scope, receipt: &Receipt) -> PortResult<()> {
        let mut state = self.state()?;
        let kept = state.receipts.get_mut(&(scope.organization().clone(), receipt.slot));
        if let Some(kept) = kept.filter(|kept| kept.request == receipt.request) {
            kept.answer.clone_from(&receipt.answer);
        }
        Ok(())
    }
}
