//! Makes each claim a test on SQLite and a test on PostgreSQL.

use domain::ports::{CommitOutcome, PortResult, Written};

/// Makes each function, which takes a `TestDatabase`, a test on either engine.
macro_rules! on_both {
    ($($claim:ident),+ $(,)?) => {
        mod on_sqlite {
            $(
                #[tokio::test(flavor = "multi_thread")]
                async fn $claim() {
                    super::$claim(crate::test_database::TestDatabase::sqlite()).await;
                }
            )+
        }
        mod on_postgres {
            $(
                #[tokio::test(flavor = "multi_thread")]
                async fn $claim() {
                    let test_db = crate::test_database::TestDatabase::postgres().await;
                    let Some(test_db) = test_db else { return };
                    super::$claim(test_db).await;
                }
            )+
        }
    };
}

pub(crate) use on_both;

/// Asserts that a write happened.
pub(crate) fn done(written: PortResult<CommitOutcome>) {
    assert_eq!(written.expect("the store is there"), Ok(Written::Done));
}
