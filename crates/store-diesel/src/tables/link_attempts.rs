//! Counts attempts at linking in the transaction of the change that begins one.

/// Counts an attempt, in the transaction that the connection is in, or undoes it by an error when it is one
/// too many. It is written first: of two that would be the last, the second waits for the first to end, by
/// the row of the organization's count, and sees it then.
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
