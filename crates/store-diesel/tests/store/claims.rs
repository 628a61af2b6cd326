//! Makes each claim a test on SQLite and a test on PostgreSQL.

/// Makes each function, which takes a `TestDatabase`, a test on either engine.
macro_rules! on_both {
    ($($claim:ident),+ $(,)?) => {
        mod on_sqlite {
            $(
                #[tokio::test(flavor = "multi_thread")]
                async fn $claim() {
                    super::$claim(crate::place::TestDatabase::sqlite()).await;
                }
            )+
        }
        mod on_postgres {
            $(
                #[tokio::test(flavor = "multi_thread")]
                async fn $claim() {
                    super::$claim(crate::place::TestDatabase::postgres().await).await;
                }
            )+
        }
    };
}

pub(crate) use on_both;

/// Asserts that a write happened.
pub(crate) fn done(written: domain::ports::PortResult<domain::ports::Written>) {
    assert_eq!(written.expect("the store is there"), domain::ports::Written::Done);
}
