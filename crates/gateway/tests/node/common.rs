//! What all parts of the tests use: the token and the waits.

use std::{future::Future, time::Duration};

pub(crate) const TOKEN: &str = "a-token-for-this-test";
/// Far more than anything takes on a machine that is not busy.
pub(crate) const PATIENCE: Duration = Duration::from_secs(90);

/// Asks again and again until the answer is there.
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
    answer.unwrap_or_else(|_| panic!("never came to be: {what}"))
}
