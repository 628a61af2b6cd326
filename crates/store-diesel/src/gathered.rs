//! Look-ups of sessions on PostgreSQL: those that are asked for while others are under way are asked
//! together, in one statement.
//!
//! Decision: ADR 0020.

use std::{collections::HashMap, sync::Arc, time::Duration};

use domain::Session;
use tokio::{sync::oneshot, time::timeout};

use crate::{
    StoreError,
    desk::Desk,
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
    desk: Desk<Ask>,
}

struct Ask {
    owned: Owned,
    tell: oneshot::Sender<Answer>,
}

impl Gathered {
    pub(crate) fn new(look: Arc<Shared>, deadline: Duration) -> Self {
        Self { look, deadline, desk: Desk::new(FLIGHTS, MOST) }
    }

    /// The session, asked for together with others if there are any.
    pub(crate) async fn session(&self, owned: Owned) -> Answer {
        let (tell, told) = oneshot::channel();
        self.desk.leave(Ask { owned, tell }, || {
            let look = self.look.clone();
            move |asks| answer(look.clone(), asks)
        });
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

async fn answer(look: Arc<Shared>, asks: Vec<Ask>) {
    let found = load(&look, &asks).await;
    tell(asks, found);
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
