//! Receipts in the memory store.

use async_trait::async_trait;

use super::{Memory, memory::State};
use crate::{
    LinkAttempt, Receipt, Scope, Slot, Stock, StockFull, Timestamp,
    ports::{PortResult, ReceiptStore, Written},
};

impl State {
    /// Whether a receipt is kept in the slot of this one.
    pub(super) fn is_taken(&self, scope: &Scope, receipt: &Receipt, now: Timestamp) -> bool {
        let place = (scope.organization().clone(), receipt.slot);
        self.receipts.get(&place).is_some_and(|kept| kept.expires_at > now)
    }

    /// Keeps the receipt and the attempt, those that there are.
    pub(super) fn file(
        &mut self,
        scope: &Scope,
        receipt: Option<&Receipt>,
        attempt: Option<&LinkAttempt>,
    ) {
        if let Some(receipt) = receipt {
            let place = (scope.organization().clone(), receipt.slot);
            self.receipts.insert(place, receipt.clone());
        }
        let attempt = attempt.map(|attempt| (scope.organization().clone(), attempt.clone()));
        self.attempts.extend(attempt);
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

    async fn full(&self, scope: &Scope) -> PortResult<Option<StockFull>> {
        let (state, stock) = (self.state()?, Stock::IdempotencyRecords);
        let used = state.used(scope.organization(), stock);
        let limits = state.quotas.of(scope.organization());
        Ok(limits.admit(stock, used.saturating_add(1), 1).err())
    }

    async fn keep(&self, scope: &Scope, receipt: &Receipt, now: Timestamp) -> PortResult<Written> {
        let mut state = self.state()?;
        if let Some(refused) = state.refused(scope, &[], Some(receipt), now, None) {
            return Ok(refused);
        }
        state.file(scope, Some(receipt), None);
        Ok(Written::Done)
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
