//! [`TokioNotifier`]: wakes the worker.

use std::time::Duration;

use async_trait::async_trait;
use domain::ports::Notifier;
use tokio::sync::Notify;

/// A notifier for one waiter. A notification without a waiter wakes the next wait.
#[derive(Debug, Default)]
pub(crate) struct TokioNotifier(Notify);

#[async_trait]
impl Notifier for TokioNotifier {
    fn notify(&self) {
        self.0.notify_one();
    }

    async fn wait(&self, at_most: Duration) {
        // A timeout and a notification are handled alike.
        let _ = tokio::time::timeout(at_most, self.0.notified()).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn notification_before_the_wait_is_not_lost() {
        let notifier = TokioNotifier::default();
        for _ in 0..3 {
            notifier.notify();
            notifier.notify();
            let limit = Duration::from_secs(20);
            let woken = tokio::time::timeout(limit, notifier.wait(Duration::from_secs(3600)));
            woken.await.expect("the notification was lost");
        }
        notifier.wait(Duration::from_millis(5)).await;
    }
}
