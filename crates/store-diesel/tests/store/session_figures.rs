//! Tests of the counters of pairing attempts and of ends of sessions: a commit is counted once, and one that
//! lost the race for its row is not counted.

use std::{sync::Arc, time::Duration};

use domain::{
    Actor, Change, Deadlines, GatewayId, Identity, LogoutOutcome, ReasonCode, Session, Settings,
    Snapshot, SnapshotReason, Status,
    ports::{Environment as _, Written},
    testing::{TestEnvironment, commit_parts, insert_session, update_by_system, update_session},
};
use metrics_exporter_prometheus::PrometheusBuilder;
use store_diesel::Database;

use crate::{
    both_databases::{done, on_both},
    outage::scope,
    test_database::TestDatabase,
};

/// A stored session, and the environment of its changes.
struct Stored {
    database: Database,
    environment: Arc<TestEnvironment>,
    deadlines: Deadlines,
    session: Session,
}

impl Stored {
    /// Stores a session that pairs on a node.
    async fn pairing(database: &Database, environment: &Arc<TestEnvironment>) -> Self {
        let (environment, deadlines) = (environment.clone(), Deadlines::default());
        let organization = scope().organization().clone();
        let session = Session::new(organization, None, Settings::default(), &*environment);
        let now = environment.now();
        let change = session.pair(None, now, &deadlines).expect("pairs").expect("a change");
        let (session, _, events) = commit_parts(change, scope().actor(), &*environment);
        done(insert_session(database, &scope(), &session, &events, None).await);
        let mut stored = Self { database: database.clone(), environment, deadlines, session };
        let gateway = GatewayId::parse("gw-1").expect("a valid id");
        let assigned = stored.session.clone().assign_node(gateway, now);
        assert_eq!(stored.apply(assigned).await, Written::Done);
        stored
    }

    /// Stores a change by berth itself; returns whether the change was stored.
    async fn apply(&mut self, change: Change) -> Written {
        let (session, expected, events) = commit_parts(change, &Actor::System, &*self.environment);
        let written = update_by_system(&self.database, &session, expected, &events).await;
        let written = written.expect("the store is there");
        if written == Written::Done {
            self.session = session;
        }
        written
    }

    fn reported(&self, status: Status, reason: Option<ReasonCode>, linked: bool) -> Change {
        let identity = linked.then(|| Identity {
            phone: "15550000001".to_owned(),
            jid: "15550000001:1@s.whatsapp.net".to_owned(),
            lid: None,
            device: 1,
            push_name: None,
        });
        let reason =
            reason.map(|code| SnapshotReason { code, message: "why".to_owned(), retry_at: None });
        let snapshot = Snapshot {
            epoch: self.session.spec.epoch,
            generation: 1,
            seq: self.session.observed.seq + 1,
            status,
            reason,
            identity,
            pairing: None,
        };
        let now = self.environment.now();
        self.session.clone().observe(snapshot, now, &self.deadlines).expect("a newer report")
    }

    async fn report(&mut self, status: Status, reason: Option<ReasonCode>, linked: bool) {
        let change = self.reported(status, reason, linked);
        assert_eq!(self.apply(change).await, Written::Done);
    }
}

async fn ends_and_pairings_are_counted_once(test_db: TestDatabase) {
    let (database, environment) = (test_db.open().await, TestEnvironment::new());
    let recorder = PrometheusBuilder::new().build_recorder();
    let handle = recorder.handle();
    let counted = metrics::set_default_local_recorder(&recorder);

    let mut linked = Stored::pairing(&database, &environment).await;
    linked.report(Status::Starting, None, true).await;
    linked.report(Status::Working, None, true).await;
    let stale = linked.reported(Status::Failed, Some(ReasonCode::Banned), true);
    linked.report(Status::Failed, Some(ReasonCode::LoggedOutByPhone), false).await;
    assert_eq!(linked.apply(stale).await, Written::Raced);

    let mut unanswered = Stored::pairing(&database, &environment).await;
    unanswered.report(Status::ScanQrCode, None, false).await;
    unanswered.environment.advance(Duration::from_secs(300));
    let expired = unanswered.session.clone().expire(unanswered.environment.now());
    assert_eq!(unanswered.apply(expired).await, Written::Done);
    for reason in [ReasonCode::PairingFailed, ReasonCode::PasskeyRequired] {
        let mut rejected = Stored::pairing(&database, &environment).await;
        rejected.report(Status::Failed, Some(reason), false).await;
    }

    let mut banned = Stored::pairing(&database, &environment).await;
    banned.report(Status::Working, None, true).await;
    banned.report(Status::Failed, Some(ReasonCode::Banned), true).await;
    let now = banned.environment.now();
    let stop = banned.session.clone().stop(now).expect("a change");
    let (session, expected, events) = commit_parts(stop, scope().actor(), &*banned.environment);
    done(update_session(&database, &scope(), &session, expected, &events, None).await);
    banned.session = session;
    banned.report(Status::Stopped, None, true).await;
    let logout = banned.session.clone().logout(now, &banned.deadlines).expect("a change");
    assert_eq!(banned.apply(logout).await, Written::Done);
    let unlinked = banned.session.clone().complete_unlink(LogoutOutcome::Confirmed, None, now);
    assert_eq!(banned.apply(unlinked.expect("an unlink")).await, Written::Done);
    drop(counted);

    let text = handle.render();
    let mut lines: Vec<_> = text.lines().filter(|line| is_counter(line)).collect();
    lines.sort_unstable();
    let expected = [
        "berth_pairings_total{outcome=\"expired\"} 1",
        "berth_pairings_total{outcome=\"failed\"} 1",
        "berth_pairings_total{outcome=\"paired\"} 2",
        "berth_pairings_total{outcome=\"passkey_required\"} 1",
        "berth_session_ends_total{reason=\"banned\"} 1",
        "berth_session_ends_total{reason=\"logged_out_by_phone\"} 1",
        "berth_session_ends_total{reason=\"logged_out_by_user\"} 1",
        "berth_session_ends_total{reason=\"requested\"} 1",
    ];
    assert_eq!(lines, expected, "{text}");
}

fn is_counter(line: &str) -> bool {
    line.starts_with("berth_pairings") || line.starts_with("berth_session_ends")
}

async fn sessions_are_counted_by_the_state_that_owners_ask_for(test_db: TestDatabase) {
    let (database, environment) = (test_db.open().await, TestEnvironment::new());
    assert_eq!(database.sessions_by_desired().await.unwrap(), []);
    for _ in 0..2 {
        Stored::pairing(&database, &environment).await;
    }
    let mut unanswered = Stored::pairing(&database, &environment).await;
    let expired = ReasonCode::PairingExpired;
    unanswered.report(Status::Stopped, Some(expired), false).await;
    let mut counts = database.sessions_by_desired().await.unwrap();
    counts.sort();
    assert_eq!(counts, [("running".to_owned(), 2), ("stopped".to_owned(), 1)]);
}

on_both!(ends_and_pairings_are_counted_once, sessions_are_counted_by_the_state_that_owners_ask_for);
