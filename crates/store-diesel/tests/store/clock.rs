//! Tests of the server's clock. The test server is on this machine, so both clocks are the same.

use std::time::{Duration, UNIX_EPOCH};

use domain::Timestamp;

use crate::place::TestDatabase;

fn here() -> Timestamp {
    #[expect(clippy::disallowed_methods, reason = "compared with the clock of another process")]
    let since = std::time::SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    Timestamp::from_millis(i64::try_from(since.as_millis()).unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn clock_of_a_server_is_its_time_now_and_a_file_has_none() {
    let test_db = TestDatabase::postgres().await;
    let store = test_db.open().await;
    for _ in 0..2 {
        let before = here();
        let now = store.clock().await.unwrap().expect("a server has a clock");
        // Both times are in milliseconds; the server rounds.
        let (earliest, latest) = (before, here().plus(Duration::from_millis(1)));
        assert!((earliest..=latest).contains(&now), "{earliest:?} {now:?} {latest:?}");
    }
    let file = TestDatabase::sqlite();
    assert_eq!(file.open().await.clock().await.unwrap(), None);
}
