//! Test: lookups by id use the same indexes in a table whose rows were deleted.

use crate::{
    scope::plan_tests::{assert_found_by_id, by_id_plans, filled_database},
    test_place::TestDatabase,
};

#[tokio::test(flavor = "multi_thread")]
async fn emptied_table_is_searched_by_id() {
    let test_db = TestDatabase::postgres().await;
    let database = filled_database(&test_db, "decode(md5(i::text), 'hex')", true).await;
    // All access paths cost the same then, and the indexes still contain the deleted rows.
    TestDatabase::execute(&test_db, "DELETE FROM sessions; ANALYZE sessions").await;
    for plan in by_id_plans(&database).await.iter().filter(|plan| plan.contains("sessions")) {
        assert_found_by_id(plan);
    }
}
