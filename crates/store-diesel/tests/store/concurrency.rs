//! Tests of concurrent callers: no two claim the same row, and a dropped caller leaves no partial
//! write.

use std::{collections::BTreeSet, time::Duration};

use domain::{
    GatewayId, Node, Quotas, ResourceLimits, Session, SessionId, Settings, Timestamp, Version,
    ports::{
        Claim, Environment, IdempotencyStore, NodeStore, Rejection, SessionStore, TicketDigest,
        TicketStore, WorkerStore, Written,
    },
    testing::{
        TestEnvironment, commit_parts, contract, contract::stored_events, insert_session,
        link_session, update_session,
    },
};

use crate::{
    both_databases::{done, on_both},
    outage::scope,
    test_database::TestDatabase,
};

fn session(environment: &dyn Environment) -> Session {
    Session::new(scope().organization().clone(), None, Settings::default(), environment)
}

async fn concurrent_claims_never_share_a_session(test_db: TestDatabase) {
    const ALL: usize = 60;
    let environment = TestEnvironment::new();
    // Two stores, like two processes.
    let stores = [test_db.open().await, test_db.open().await];
    for _ in 0..ALL {
        let mut session = session(&*environment);
        session.due = Some(environment.now());
        done(insert_session(&stores[0], &scope(), &session, &[], None).await);
    }
    let now = environment.now();
    let until = now.plus(Duration::from_secs(60));
    let claimers = (0..8).map(|n| {
        let store = stores[n % 2].clone();
        tokio::spawn(async move {
            let mut mine: Vec<SessionId> = Vec::new();
            // A claim that lost a race may be empty while due rows remain.
            while store.next_due().await.expect("next") == Some(now) {
                let taken = store.claim_sessions(&Claim::new(now, until, 7)).await.expect("claim");
                assert!(taken.len() <= 7);
                assert!(taken.iter().all(|session| session.due == Some(until)));
                mine.extend(taken.into_iter().map(|session| session.id));
            }
            mine
        })
    });
    let mut taken = Vec::new();
    for claimer in claimers.collect::<Vec<_>>() {
        taken.extend(claimer.await.expect("no panic"));
    }
    assert_eq!(taken.len(), ALL, "each was taken, and by one alone");
    assert_eq!(taken.into_iter().collect::<BTreeSet<_>>().len(), ALL);
}

async fn concurrent_updates_of_one_version_succeed_once(test_db: TestDatabase) {
    let environment = TestEnvironment::new();
    let stores = [test_db.open().await, test_db.open().await];
    let (made, expected, events) =
        commit_parts(session(&*environment).created(), scope().actor(), &*environment);
    assert_eq!(expected.version, Version(0));
    done(insert_session(&stores[0], &scope(), &made, &events, None).await);
    let writers = (0..8).map(|n| {
        let store = stores[n % 2].clone();
        let (next, expected, events) =
            commit_parts(made.clone().created(), scope().actor(), &*environment);
        tokio::spawn(async move {
            update_session(&store, &scope(), &next, expected, &events, None).await
        })
    });
    let mut done = 0;
    for writer in writers.collect::<Vec<_>>() {
        let written = writer.await.expect("no panic").expect("update");
        done += usize::from(written == Ok(Written::Done));
    }
    assert_eq!(done, 1);
    let log = stored_events(&stores[0], &scope()).await;
    let sequences: Vec<_> = log.iter().map(|event| event.sequence).collect();
    assert_eq!(sequences, [1, 2], "the losers left no event");
}

async fn concurrent_registrations_get_distinct_generations(test_db: TestDatabase) {
    let stores = [test_db.open().await, test_db.open().await];
    let starts = (0..8_usize).map(|n| {
        let store = stores[n % 2].clone();
        let node = Node {
            id: GatewayId::parse("gw-1").expect("a name"),
            address: "http://127.0.0.1:9".to_owned(),
            incarnation: format!("start-{n}"),
            generation: 0,
            version: "1".to_owned(),
            features: Vec::new(),
            capacity: 1,
            held: 0,
            heartbeat_at: Timestamp::from_millis(1),
            lost_at: None,
        };
        tokio::spawn(async move { store.register(&node).await })
    });
    let mut generations = BTreeSet::new();
    for start in starts.collect::<Vec<_>>() {
        generations.insert(start.await.expect("no panic").expect("enlist"));
    }
    assert_eq!(generations, (1..=8).collect());
}

async fn concurrent_secret_requests_get_one_value(test_db: TestDatabase) {
    let stores = [test_db.open().await, test_db.open().await];
    let queue_all = (0..8_u8).map(|n| {
        let store = stores[usize::from(n) % 2].clone();
        tokio::spawn(async move { store.secret("test", [n; 32]).await })
    });
    let mut secrets = BTreeSet::new();
    for secret in queue_all.collect::<Vec<_>>() {
        secrets.insert(secret.await.expect("no panic").expect("a secret"));
    }
    let later = test_db.open().await.secret("test", [99; 32]).await.expect("a secret");
    assert_eq!(secrets, [later].into());
    let other = stores[0].secret("other", [7; 32]).await.expect("a secret");
    assert_eq!(other, [7; 32]);
}

async fn concurrent_writers_and_readers_succeed(test_db: TestDatabase) {
    let environment = TestEnvironment::new();
    let store = test_db.open().await;
    let work = (0..100).map(|_| {
        let (store, environment) = (store.clone(), environment.clone());
        tokio::spawn(async move {
            let (made, _, events) =
                commit_parts(session(&*environment).created(), scope().actor(), &*environment);
            done(insert_session(&store, &scope(), &made, &events, None).await);
            let found = SessionStore::find(&store, &scope(), &made.id).await.expect("find");
            assert_eq!(found.as_ref(), Some(&made), "a write that was answered can be read");
            let (next, expected, events) =
                commit_parts(made.created(), scope().actor(), &*environment);
            let written = update_session(&store, &scope(), &next, expected, &events, None).await;
            assert_eq!(written.expect("update"), Ok(Written::Done));
        })
    });
    for one in work.collect::<Vec<_>>() {
        one.await.expect("it succeeds");
    }
    assert_eq!(stored_events(&store, &scope()).await.len(), 200);
}

async fn write_of_a_dropped_caller_completes(test_db: TestDatabase) {
    let environment = TestEnvironment::new();
    let store = test_db.open().await;
    let (made, _, events) =
        commit_parts(session(&*environment).created(), scope().actor(), &*environment);
    // Polled once, then dropped.
    let caller = scope();
    let insert = insert_session(&store, &caller, &made, &events, None);
    let gone = tokio::time::timeout(Duration::ZERO, insert).await;
    assert!(gone.is_err(), "the caller was gone before the answer");
    let look = async {
        while SessionStore::find(&store, &scope(), &made.id).await.expect("find").is_none() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), look).await.expect("it was written");
    assert_eq!(stored_events(&store, &scope()).await, events);
}

async fn wake_of_more_sessions_than_one_statement_takes_wakes_all(test_db: TestDatabase) {
    let environment = TestEnvironment::new();
    let store = test_db.open().await;
    let made = session(&*environment);
    done(insert_session(&store, &scope(), &made, &[], None).await);
    let mut names: Vec<_> = (0..40_000).map(|n| SessionId::from_bits(1 << 90 | n)).collect();
    names.push(made.id.clone());
    let now = environment.now();
    store.wake_sessions(&names, now).await.expect("wake");
    let woken = WorkerStore::find(&store, &made.id).await.expect("find").expect("there");
    assert_eq!((woken.due, woken.version), (Some(now), made.version));
}

/// Two routers insert sessions for one organization, concurrently and one at a time.
async fn concurrent_inserts_stay_within_the_quota(test_db: TestDatabase) {
    let environment = TestEnvironment::new();
    let limits = ResourceLimits { sessions: Some(7), ..ResourceLimits::default() };
    let quotas = Quotas { default: limits, overrides: [].into() };
    let stores =
        [test_db.open().await, test_db.open().await].map(|s| s.with_quotas(quotas.clone()));
    let (first, _, events) =
        commit_parts(session(&*environment).created(), scope().actor(), &*environment);
    done(insert_session(&stores[0], &scope(), &first, &events, None).await);
    for (left, there) in [(6, 6), (0, 7)] {
        let makers = (0..40).map(|n| {
            let (store, environment) = (stores[n % 2].clone(), environment.clone());
            tokio::spawn(async move {
                let new = session(&*environment).created();
                let (new, _, events) = commit_parts(new, scope().actor(), &*environment);
                insert_session(&store, &scope(), &new, &events, None).await.expect("an answer")
            })
        });
        let mut made = 0;
        for maker in makers.collect::<Vec<_>>() {
            match maker.await.expect("no panic") {
                Ok(Written::Done) => made += 1,
                Err(Rejection::Full(full)) => {
                    assert_eq!((full.limit, full.used), (7, 7));
                }
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(made, left, "of {there}");
    }
    assert_eq!(stored_events(&stores[0], &scope()).await.len(), 7);
    let full = stores[0].limit_reached(&scope()).await.expect("an answer");
    assert_eq!(full, None, "of records any number");
}

async fn concurrent_link_attempts_of_one_phone_stay_within_the_quota(test_db: TestDatabase) {
    let environment = TestEnvironment::new();
    let stores = [test_db.open().await, test_db.open().await];
    let now = environment.now();
    let attempts = (0..20).map(|n| {
        let store = stores[n % 2].clone();
        let new = session(&*environment).created();
        let (new, _, events) = commit_parts(new, scope().actor(), &*environment);
        tokio::spawn(async move {
            let attempt = contract::attempt(&new, Some("15551234567"), now);
            let begun = link_session(&store, &scope(), &new, None, &events, &attempt).await;
            begun.expect("an answer")
        })
    });
    let mut begun = 0;
    for attempt in attempts.collect::<Vec<_>>() {
        match attempt.await.expect("no panic") {
            Ok(Written::Done) => begun += 1,
            Err(Rejection::RateLimited { rate_quota, .. }) => {
                assert_eq!(rate_quota.name, "pairing");
            }
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(begun, 2);
}

async fn ticket_opens_one_of_many_concurrent_uses(test_db: TestDatabase) {
    let environment = TestEnvironment::new();
    // Two stores, like two routers.
    let stores = [test_db.open().await, test_db.open().await];
    for round in 0..10_u8 {
        let (ticket, until) = (TicketDigest([round; 32]), environment.now());
        let uses = (0..100).map(|n| {
            let store = stores[n % 2].clone();
            tokio::spawn(async move { store.spend(ticket, until).await.expect("an answer") })
        });
        let mut opened = 0;
        for one in uses.collect::<Vec<_>>() {
            opened += usize::from(one.await.expect("no panic"));
        }
        assert_eq!(opened, 1);
    }
}

on_both!(
    ticket_opens_one_of_many_concurrent_uses,
    concurrent_inserts_stay_within_the_quota,
    concurrent_link_attempts_of_one_phone_stay_within_the_quota,
    concurrent_claims_never_share_a_session,
    concurrent_updates_of_one_version_succeed_once,
    concurrent_registrations_get_distinct_generations,
    concurrent_secret_requests_get_one_value,
    concurrent_writers_and_readers_succeed,
    write_of_a_dropped_caller_completes,
    wake_of_more_sessions_than_one_statement_takes_wakes_all,
);
