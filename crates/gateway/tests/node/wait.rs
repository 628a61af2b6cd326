//! The token and the waiting function of all tests.

use std::{future::Future, time::Duration};

pub(crate) const TOKEN: &str = "a-token-for-this-test";
/// Far longer than any step takes on an idle computer.
pub(crate) const PATIENCE: Duration = Duration::from_secs(90);

/// Calls `ask` until it returns a value.
pub(crate) async fn until<T, F: Future<Output = Option<T>>>(
    what: &str,
    mut ask: impl FnMut() -> F,
) -> T {
    let asking = async {
        loop {
            if let Some(answer) = ask().await {
                return answer;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    let answer = tokio::time::timeout(PATIENCE, asking).await;
    answer.unwrap_or_else(|_| panic!("timed out waiting for: {what}"))
}
