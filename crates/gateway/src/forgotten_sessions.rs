//! The sessions that left a node. Their records reject delayed commands that would restore a
//! session.

use std::{
    collections::{HashMap, VecDeque},
    time::Duration,
};

use tokio::time::Instant;

use crate::session_name::SessionName;

/// Bounds of the records: their number, and their age, after which no command of the session can
/// still be in flight.
const MAX_FORGOTTEN: usize = 16_384;
const FORGOTTEN_TTL: Duration = Duration::from_secs(600);

/// The smallest epoch with which each session that left may return, and whether its keys were
/// wiped.
#[derive(Default)]
pub(crate) struct ForgottenSessions {
    min_epochs: HashMap<SessionName, (u64, bool)>,
    order: VecDeque<(Instant, SessionName)>,
}

impl ForgottenSessions {
    pub(crate) fn record(&mut self, session: SessionName, epoch: u64, wiped: bool) {
        if self.min_epochs.insert(session.clone(), (epoch, wiped)).is_none() {
            self.order.push_back((Instant::now(), session));
        }
        while let Some((since, _)) = self.order.front()
            && (self.order.len() > MAX_FORGOTTEN || since.elapsed() > FORGOTTEN_TTL)
            && let Some((_, oldest)) = self.order.pop_front()
        {
            self.min_epochs.remove(&oldest);
        }
    }

    /// Returns the epoch at which the session left, and whether its keys were wiped; (0, false)
    /// without a record.
    pub(crate) fn min_epoch(&self, session: &SessionName) -> (u64, bool) {
        self.min_epochs.get(session).copied().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forgotten_sessions_are_bounded_and_the_oldest_is_evicted_first() {
        let mut forgotten = ForgottenSessions::default();
        let name = |n: usize| SessionName::parse(&format!("s{n}")).unwrap();
        for n in 0..=MAX_FORGOTTEN {
            forgotten.record(name(n), 7, true);
            forgotten.record(name(n), 8, true);
        }
        assert_eq!(forgotten.min_epoch(&name(0)), (0, false));
        assert_eq!(forgotten.min_epoch(&name(MAX_FORGOTTEN)), (8, true));
        assert_eq!(
            (forgotten.min_epochs.len(), forgotten.order.len()),
            (MAX_FORGOTTEN, MAX_FORGOTTEN)
        );
    }
}
