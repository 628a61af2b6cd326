//! Changes of sessions on PostgreSQL: those that are asked for while others are under way are written
//! together, by one statement, and share its commit.
//!
//! Everybody is answered when that is on the disk. When the server refuses the statement, or it waits for
//! a row that somebody else has locked, nothing of it was written, and each is done by itself: no one's
//! failure is another's.
//!
//! Decision: ADR 0022.

use std::{collections::HashSet, mem, sync::Arc, time::Duration};

use diesel_async::{AsyncPgConnection, pooled_connection::deadpool::Pool};
use domain::{Resource, ResourceLimits};
use futures_util::future::join_all;
use tokio::{sync::oneshot, time::timeout};
use tracing::Instrument as _;

use crate::{
    StoreError,
    change::{Change, Deed},
    desk::Desk,
    events::EventRow,
    health::Health,
    pool::checkout,
    scope::together::Together,
    session_row::SessionRow,
    usage::{Growth, Need},
};

/// Statements under way at once. With more, each had fewer changes, and fewer were committed.
const FLIGHTS: usize = 1;
/// Connections for them: one that is overdue keeps its own.
pub(crate) const CONNECTIONS: u32 = 4;
/// Changes in one statement at most.
const MOST: usize = 64;

/// Gathers changes.
pub(crate) struct Commits {
    lines: Lines,
    desk: Desk<Ask>,
}

/// A change, and who is to be told whether it was made.
struct Ask {
    change: Write,
    tell: oneshot::Sender<Result<bool, StoreError>>,
}

/// What is asked for.
enum Write {
    /// A session that is to be.
    New(Box<NewSession>),
    /// A change of one that may be there.
    Change(Change),
}

/// A session that is to be where there is known to be room.
pub(crate) struct NewSession {
    row: SessionRow,
    events: Vec<EventRow>,
    needs: Vec<Need>,
}

impl NewSession {
    pub(crate) fn new(row: SessionRow, events: Vec<EventRow>, limits: &ResourceLimits) -> Self {
        let mut grown = Growth::default();
        grown.add(Resource::Sessions, 1);
        grown.add(Resource::Metadata, row.metadata_bytes());
        let needs = grown.needs(row.organization(), limits);
        Self { row, events, needs }
    }
}

impl Write {
    /// The session whose row it changes.
    fn session(&self) -> &str {
        match self {
            Self::New(new) => new.row.id(),
            Self::Change(change) => change.session(),
        }
    }
}

/// The connections.
#[derive(Clone)]
pub(crate) struct Lines {
    /// For a change by itself.
    pub(crate) alone: Pool<AsyncPgConnection>,
    /// For several together.
    pub(crate) together: Pool<AsyncPgConnection>,
    pub(crate) health: Arc<Health>,
    /// For how long a server may stay silent.
    pub(crate) patience: Duration,
}

impl Commits {
    pub(crate) fn new(lines: Lines) -> Self {
        Self { lines, desk: Desk::new(FLIGHTS, MOST) }
    }

    /// Changes a row, together with what others change if there are any; says whether there was one to
    /// change. Answers when that is on the disk.
    pub(crate) async fn change(&self, change: Change) -> Result<bool, StoreError> {
        if !change.is_gathered() {
            let lines = self.lines.clone();
            let alone = async move { lines.alone(&change).await };
            let task = tokio::spawn(alone.in_current_span());
            return task.await.unwrap_or_else(|panic| Err(StoreError::Died(panic)));
        }
        self.ask(Write::Change(change)).await
    }

    /// Makes a session, together with what others change if there is anything. `false` when it was not made:
    /// there is no room, nobody knows whether there is, or it has to be made by itself.
    pub(crate) async fn insert(&self, new: NewSession) -> Result<bool, StoreError> {
        self.ask(Write::New(Box::new(new))).await
    }

    async fn ask(&self, change: Write) -> Result<bool, StoreError> {
        let (tell, told) = oneshot::channel();
        self.desk.leave(Ask { change, tell }, || {
            let lines = self.lines.clone();
            move |asks| lines.clone().carry_out(asks)
        });
        told.await.unwrap_or_else(|_| Err(StoreError::Unavailable("the write died".into())))
    }
}

impl Lines {
    async fn carry_out(self, mut asks: Vec<Ask>) {
        // In the order of their sessions, so that two statements do not wait for each other.
        asks.sort_by(|a, b| a.change.session().cmp(b.change.session()));
        while !asks.is_empty() {
            let (those, later) = of_different_sessions(mem::take(&mut asks));
            self.carry_out_those(those).await;
            asks = later;
        }
    }

    async fn carry_out_those(&self, asks: Vec<Ask>) {
        let done = match asks.as_slice() {
            [Ask { change: Write::Change(_), .. }] => None,
            _ => self.in_time(self.together(&asks)).await.transpose(),
        };
        match done {
            Some(Ok(changed)) => {
                for ask in asks {
                    let was_there = changed.contains(ask.change.session());
                    ask.answer(Ok(was_there));
                }
            }
            Some(Err(error)) => {
                let error = Arc::new(error);
                for ask in asks {
                    ask.answer(Err(error.shared()));
                }
            }
            None => {
                let each = asks.into_iter().map(async |ask| {
                    let result = match &ask.change {
                        Write::New(_) => Ok(false),
                        Write::Change(change) => self.alone(change).await,
                    };
                    ask.answer(result);
                });
                join_all(each).await;
            }
        }
    }

    /// Does all of these by one statement and answers whose sessions were there; nothing where each is to
    /// be done by itself, for then none of them was.
    async fn together(&self, asks: &[Ask]) -> Result<Option<HashSet<String>>, StoreError> {
        let mut several = Together::default();
        for Ask { change, .. } in asks {
            let change = match change {
                Write::Change(change) => change,
                Write::New(new) => {
                    let NewSession { row, events, needs } = &**new;
                    several.insert(row, needs);
                    several.tell(events);
                    continue;
                }
            };
            match &change.deed {
                Deed::Update(owned, standing, state, metadata) => {
                    several.update(owned, *standing, state, *metadata);
                }
                Deed::Retire(owned, version, rest) => {
                    several.delete(owned, *version, rest.as_deref());
                }
                Deed::Postpone(..) | Deed::Finish(_) => return Ok(None),
            }
            several.tell(&change.events);
        }
        let mut object = checkout(&self.together).await?;
        let changed = several.send(&object).await;
        match self.health.judged(changed, &mut object).await {
            // The server's own word that it was not done. Of anything else nobody can say so.
            (Err(error), true) if error.is_refusal() => Ok(None),
            (changed, _) => changed.map(|ids| Some(ids.into_iter().collect())),
        }
    }

    async fn alone(&self, change: &Change) -> Result<bool, StoreError> {
        let sent = async {
            let mut object = checkout(&self.alone).await?;
            let count = change.send(&object).await;
            self.health.judged(count, &mut object).await.0
        };
        self.in_time(sent).await.map(|count| count > 0)
    }

    /// A server that stays silent must not keep its connections for good; the pool discards them then.
    async fn in_time<T>(
        &self,
        work: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        let silent = || Err(StoreError::Unavailable("the database stayed silent".into()));
        timeout(self.patience, work).await.unwrap_or_else(|_| silent())
    }
}

/// Those that one statement can carry out, and the rest: of each session it has but one, for it would see
/// nothing of what it does itself.
fn of_different_sessions(asks: Vec<Ask>) -> (Vec<Ask>, Vec<Ask>) {
    let (mut those, mut later) = (Vec::<Ask>::new(), Vec::new());
    for ask in asks {
        let same = those.last().is_some_and(|last| last.change.session() == ask.change.session());
        if same { later.push(ask) } else { those.push(ask) }
    }
    (those, later)
}

impl Ask {
    fn answer(self, result: Result<bool, StoreError>) {
        // Whoever no longer waits is not told.
        drop(self.tell.send(result));
    }
}
