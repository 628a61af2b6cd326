//! The state of a webhook's deliveries that the dispatcher reports in metrics.

use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU32, Ordering};

use bytes::Bytes;
use domain::{Deliveries, Timestamp};

/// The state of the deliveries of one webhook. A task writes it from time to time.
#[derive(Default)]
pub(crate) struct TaskState {
    /// Creation time of the oldest undelivered event, in milliseconds. 0 without one.
    oldest: AtomicI64,
    retry_queues: AtomicU32,
    failing: AtomicBool,
    sealed: AtomicBool,
}

/// The sum of the states.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct TaskTotals {
    pub(crate) oldest: Option<Timestamp>,
    pub(crate) retry_queues: u32,
    pub(crate) failing: u32,
    pub(crate) sealed: u32,
}

impl TaskState {
    /// Takes the state of the deliveries over. Events that wait because their owner stopped the
    /// deliveries do not count.
    pub(crate) fn update(&self, deliveries: &Deliveries<Bytes>) {
        let is_live = deliveries.webhook().is_live();
        let oldest = deliveries.oldest_undelivered().filter(|_| is_live);
        let oldest = oldest.map_or(0, Timestamp::millis);
        self.oldest.store(oldest, Ordering::Relaxed);
        let queues = u32::try_from(deliveries.retry_queues()).unwrap_or(u32::MAX);
        self.retry_queues.store(queues, Ordering::Relaxed);
        self.failing.store(is_live && deliveries.is_failing(), Ordering::Relaxed);
        self.sealed.store(is_live && deliveries.is_sealed(), Ordering::Relaxed);
    }
}

impl TaskTotals {
    pub(crate) fn add(&mut self, state: &TaskState) {
        let oldest = Some(state.oldest.load(Ordering::Relaxed)).filter(|millis| *millis > 0);
        let oldest = oldest.map(Timestamp::from_millis);
        self.oldest = self.oldest.into_iter().chain(oldest).min();
        self.retry_queues += state.retry_queues.load(Ordering::Relaxed);
        self.failing += u32::from(state.failing.load(Ordering::Relaxed));
        self.sealed += u32::from(state.sealed.load(Ordering::Relaxed));
    }
}
