//! What the reconciler waits at.

use std::time::Duration;

use async_trait::async_trait;
use domain::ports::Notifier;
use tokio::sync::Notify;

/// One waits here. A ring while it does not is kept for when it will.
#[derive(Debug, Default)]
pub(crate) struct TokioNotifier(Notify);

#[async_trait]
impl Notifier for TokioNotifier {
    fn notify(&self) {
        self.0.notify_one();
    }

    async fn wait(&self, at_most: Duration) {
        // Which of the two it was does not matter.
        let _ = tokio::time::timeout(at_most, self.0.notified()).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_ring_while_its_waiter_looks_elsewhere_is_kept() {
        let notifier = TokioNotifier::default();
        for _ in 0..3 {
            notifier.notify();
            notifier.notify();
            let patience = Duration::from_secs(20);
            let heard = tokio::time::timeout(patience, notifier.wait(Duration::from_secs(3600)));
            heard.await.expect("the ring was lost");
        }
        notifier.wait(Duration::from_millis(5)).await;
    }
}
