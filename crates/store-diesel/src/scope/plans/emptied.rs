//! Look-ups by name in tables from which everything was deleted.

use super::{assert_found_by_name, by_name, filled};
use crate::test_place::Place;

#[tokio::test(flavor = "multi_thread")]
async fn what_was_emptied_is_looked_up_by_name_all_the_same() {
    let place = Place::postgres().await;
    let database = filled(&place, "decode(md5(i::text), 'hex')", true).await;
    // Whatever it is looked up by costs the same, and what was deleted is still in the indexes.
    Place::execute(&place, "DELETE FROM sessions; ANALYZE sessions").await;
    for plan in by_name(&database).await.iter().filter(|plan| plan.contains("sessions")) {
        assert_found_by_name(plan);
    }
}
