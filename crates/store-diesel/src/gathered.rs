//! Look-ups of sessions on PostgreSQL: those that are asked for while others are under way are asked
//! together, in one statement.
//!
//! Most of what one row costs a server is not the row but the message, the snapshot, the wake-up; a
//! statement that finds thirty takes little longer than one that finds one. Nobody waits to be joined:
//! whoever asks while there is a free flight goes at once.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use domain::Session;
use tokio::{sync::oneshot, time::timeout};
use tracing::Instrument as _;

use crate::{
    StoreError,
    look::{Shared, ask},
    scope::{self, Owned, several::Several},
    session_row::SessionRow,
};

/// Statements under way at once: one that is being answered and one that is on its way.
const FLIGHTS: usize = 2;
/// Look-ups in one statement at most.
const MOST: usize = 256;

/// What a look-up found. A failure is told to all who asked together.
type Answer = Result<Option<Session>, Arc<StoreError>>;

/// Gathers look-ups.
pub(crate) struct Gathered {
    look: Arc<Shared>,
    deadline: Duration,
    desk: Arc<Mutex<Desk>>,
}

#[derive(Default)]
struct Desk {
    waiting: Vec<Ask>,
    flights: usize,
}

struct Ask {
    owned: Owned,
    tell: oneshot::Sender<Answer>,
}

impl Gathered {
    pub(crate) fn new(look: Arc<Shared>, deadline: Duration) -> Self {
        Self { look, deadline, desk: Arc::default() }
    }

    /// The session, asked for together with others if there are any.
    pub(crate) async fn session(&self, owned: Owned) -> Answer {
        let (tell, told) = oneshot::channel();
        let flight = {
            let mut desk = lock(&self.desk);
            desk.waiting.push(Ask { owned, tell });
            desk.take_off(&self.desk)
        };
        if let Some((flight, asks)) = flight {
            let look = self.look.clone();
            // In a task of its own: it serves others than the one who began it.
            tokio::spawn(flight.fly(look, asks).in_current_span());
        }
        match timeout(self.deadline, told).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(_)) => unavailable("the look-up died"),
            Err(_) => unavailable("the database did not answer in time"),
        }
    }
}

fn unavailable(why: &'static str) -> Answer {
    Err(Arc::new(StoreError::Unavailable(why.into())))
}

impl Desk {
    /// A new flight with those who wait, if there may be one more.
    fn take_off(&mut self, desk: &Arc<Mutex<Self>>) -> Option<(Flight, Vec<Ask>)> {
        if self.flights >= FLIGHTS {
            return None;
        }
        let asks = self.board()?;
        self.flights += 1;
        Some((Flight { desk: desk.clone(), landed: false }, asks))
    }

    /// Those who came during a flight, else the end of it.
    fn go_on(&mut self) -> Option<Vec<Ask>> {
        let asks = self.board();
        if asks.is_none() {
            self.flights -= 1;
        }
        asks
    }

    /// Those who wait, as many as fit.
    fn board(&mut self) -> Option<Vec<Ask>> {
        let rest = self.waiting.split_off(self.waiting.len().min(MOST));
        let asks = std::mem::replace(&mut self.waiting, rest);
        (!asks.is_empty()).then_some(asks)
    }
}

/// One of the statements under way.
struct Flight {
    desk: Arc<Mutex<Desk>>,
    landed: bool,
}

impl Flight {
    /// Asks for these, then for those who came meanwhile, until there are none.
    async fn fly(mut self, look: Arc<Shared>, mut asks: Vec<Ask>) {
        while !self.landed {
            let found = load(&look, &asks).await;
            tell(asks, found);
            let more = lock(&self.desk).go_on();
            self.landed = more.is_none();
            asks = more.unwrap_or_default();
        }
    }
}

impl Drop for Flight {
    /// One that was cut off makes room for another all the same.
    fn drop(&mut self) {
        if !self.landed {
            lock(&self.desk).flights -= 1;
        }
    }
}

async fn load(look: &Shared, asks: &[Ask]) -> Result<Vec<SessionRow>, StoreError> {
    let several: Several<'_> = asks.iter().map(|ask| &ask.owned).collect();
    ask!(look, |conn| {
        use diesel::{QueryDsl as _, SelectableHelper as _};
        let query = scope::several_sessions(&several).select(SessionRow::as_select());
        diesel_async::RunQueryDsl::load::<SessionRow>(query, conn).await
    })
}

/// Tells everybody what was found for them and nothing else.
fn tell(asks: Vec<Ask>, found: Result<Vec<SessionRow>, StoreError>) {
    let found = found.map_err(Arc::new).map(|rows| {
        let known = |row: SessionRow| {
            let owned = row.owned();
            (owned, Session::try_from(row).map_err(Arc::new))
        };
        rows.into_iter().map(known).collect::<HashMap<_, _>>()
    });
    for Ask { owned, tell } in asks {
        let answer = match &found {
            Ok(known) => known.get(&owned).cloned().transpose(),
            Err(error) => Err(error.clone()),
        };
        // Whoever no longer waits is not told.
        drop(tell.send(answer));
    }
}

fn lock(desk: &Mutex<Desk>) -> MutexGuard<'_, Desk> {
    desk.lock().unwrap_or_else(PoisonError::into_inner)
}
