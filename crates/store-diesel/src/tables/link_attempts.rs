//! Counts a link attempt in the transaction of the change that begins the attempt.
//!
//! Decision: ADR 0032.

/// Inserts a link attempt in the current transaction, and fails when a quota is exceeded. The
/// insert comes first: of two transactions for the last free attempt, the second waits at the
/// organization's usage row for the first to end, and then sees its attempt.
macro_rules! count_link_attempt {
    ($conn:expr, $params:expr, $attempt:expr) => {{
        let attempt: &$crate::rows::link_attempt::NewLinkAttempt = $attempt;
        diesel::insert_into($crate::schema::link_attempts::table)
            .values(&attempt.row)
            .execute($conn)
            .await?;
        macro_rules! admit_one {
            ($quota:expr, $earlier:expr) => {{
                let earliest: Option<i64> = $earlier
                    .select($crate::schema::link_attempts::at)
                    .offset(i64::from($quota.count))
                    .limit(1)
                    .get_result($conn)
                    .await
                    .optional()?;
                attempt.admit($quota, earliest)?;
            }};
        }
        let (since, until) = attempt.window(attempt.quota);
        let session = attempt.row.session.as_str();
        admit_one!(
            attempt.quota,
            $crate::scope::counts::attempts_of_session(&$params, session, since, until)
        );
        if let Some(phone) = &attempt.row.phone {
            admit_one!(
                attempt.quota,
                $crate::scope::counts::attempts_of_phone(&$params, phone, since, until)
            );
        }
        let (since, until) = attempt.window(attempt.organization_quota);
        admit_one!(
            attempt.organization_quota,
            $crate::scope::counts::attempts_of_organization(&$params, since, until)
        );
    }};
}

pub(crate) use count_link_attempt;
