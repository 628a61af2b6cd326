//! What a caller reads of the deliveries to a webhook.

use domain::{
    AttemptOutcome, AttemptRecord, DeadLetter, OutcomeClass, Replay, ReplaySpec, Timestamp,
    WebhookCondition, WebhookState,
};
use serde::Serialize;
use serde_json::{Value, json};
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{RefOr, schema::Schema},
};

use super::{example::example_is_sample, list::ListView};
use crate::{
    request::fields::{Fields, MAX_TIMESTAMP_MILLIS},
    wire::schema::{self, flag, moment_or_null, object, text_or_null},
};

/// The state of the deliveries to a webhook.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = WebhookState)]
pub struct WebhookStateView {
    /// The id of the webhook.
    pub webhook_id: String,
    /// The condition of the deliveries. `failing`: the receiver does not work, and single attempts
    /// test it. `sealed`: a secret cannot be opened, because the operator's key is missing.
    #[schema(schema_with = condition)]
    pub state: &'static str,
    /// Whether requests are signed. Requests of a webhook without a secret are not.
    pub signed: bool,
    /// The number of events that wait for their first attempt; 1,000 stands for 1,000 or more.
    pub lag: u32,
    /// The time of the oldest event that is neither delivered nor a dead letter; null without one.
    pub oldest_undelivered: Option<i64>,
    /// The number of sessions whose events wait until the delivery of one event succeeds.
    pub blocked_sessions: u32,
    /// The time of the last success; null before the first.
    pub last_success_at: Option<i64>,
    /// The class of the last failure since the last success, or `sealed`; null without one.
    pub last_error: Option<String>,
    /// The time of the next attempt at a failed delivery; null without one.
    pub next_attempt_at: Option<i64>,
    /// The replay in progress; null without one.
    pub replay: Option<ReplayView>,
    /// The number of delivered events.
    pub delivered: u64,
    /// The number of failed attempts.
    pub failed: u64,
    /// The number of events that became dead letters.
    pub dead: u64,
    /// The number of times at which events were removed before their delivery, because they became
    /// too old.
    pub gaps: u64,
}

/// A replay of earlier events.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = WebhookReplay)]
pub struct ReplayView {
    /// The time at which the replay was requested.
    pub started_at: i64,
    /// Only events from this time on; null for all.
    pub since: Option<i64>,
    /// Only events before this time; null for all up to the request.
    pub until: Option<i64>,
    /// Whether only dead letters are replayed.
    pub dead_only: bool,
}

/// The request to replay earlier events.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReplayRequestSpec(pub ReplaySpec);

/// The outcome of a test request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = WebhookPing)]
pub struct PingView {
    /// The class of the outcome; `2xx` alone is a success.
    #[schema(schema_with = outcome)]
    pub outcome: &'static str,
    /// The status of the response; null without a valid response.
    pub status: Option<u16>,
    /// The time until the response or the failure, in milliseconds.
    pub duration_ms: u64,
}

/// An attempt at a delivery.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = WebhookAttempt)]
pub struct AttemptView {
    /// The id of the attempt.
    pub id: String,
    /// The id of the event.
    pub event: String,
    /// The number of the attempt of the event, from 1.
    pub attempt: u32,
    /// Whether a replay caused the attempt.
    pub replay: bool,
    /// The start of the attempt.
    pub timestamp: i64,
    /// The time until the response or the failure, in milliseconds.
    pub duration_ms: u64,
    /// The class of the outcome; `2xx` alone is a success.
    #[schema(schema_with = outcome)]
    pub outcome: &'static str,
    /// The status of the response; null without a valid response.
    pub status: Option<u16>,
    /// The beginning of the response body of a failure; null for receivers on private addresses.
    pub response: Option<String>,
}

/// An event that the receiver did not take within the attempts of the retry policy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = DeadLetter)]
pub struct DeadLetterView {
    /// The id of the event.
    pub event: String,
    /// The id of the event's session; null without a session.
    pub session: Option<String>,
    /// The number of attempts.
    pub attempts: u32,
    /// The time of the first failure.
    pub first_failed_at: i64,
    /// The time at which the event became a dead letter.
    pub died_at: i64,
    /// The class of the last outcome.
    #[schema(schema_with = outcome)]
    pub outcome: &'static str,
    /// The status of the last response; null without a valid response.
    pub status: Option<u16>,
    /// The time at which a replay delivered the event; null before.
    pub replayed_at: Option<i64>,
}

example_is_sample!(
    WebhookStateView,
    ReplayView,
    ReplayRequestSpec,
    PingView,
    ListView<AttemptView>,
    ListView<DeadLetterView>
);

fn condition() -> Schema {
    let known = WebhookCondition::ALL.map(WebhookCondition::as_str);
    schema::enumeration("The condition of the deliveries.", &known)
}

fn outcome() -> Schema {
    schema::enumeration("The class of the outcome.", &OutcomeClass::ALL.map(OutcomeClass::as_str))
}

impl WebhookStateView {
    /// Returns an example.
    pub fn sample() -> Self {
        Self {
            webhook_id: "wh_01JGXS1DN00000000000000004".to_owned(),
            state: WebhookCondition::Retrying.as_str(),
            signed: true,
            lag: 3,
            oldest_undelivered: Some(1_767_254_400_000),
            blocked_sessions: 1,
            last_success_at: Some(1_767_254_390_000),
            last_error: Some(OutcomeClass::ServerError.as_str().to_owned()),
            next_attempt_at: Some(1_767_254_408_000),
            replay: None,
            delivered: 1_024,
            failed: 3,
            dead: 0,
            gaps: 0,
        }
    }

    pub(crate) fn of(state: &WebhookState) -> Self {
        let WebhookState { webhook, condition, report, lag, oldest_undelivered } = state;
        let progress = &report.progress;
        let next = report.retries.next_due.max(progress.breaker.open_until);
        Self {
            webhook_id: webhook.id.to_string(),
            state: condition.as_str(),
            signed: webhook.secrets.current.is_some(),
            lag: *lag,
            oldest_undelivered: oldest_undelivered.map(Timestamp::millis),
            blocked_sessions: report.retries.queues,
            last_success_at: progress.succeeded_at.map(Timestamp::millis),
            last_error: progress.last_error.clone(),
            next_attempt_at: next.filter(|_| webhook.is_live()).map(Timestamp::millis),
            replay: progress.replay.as_ref().map(ReplayView::of),
            delivered: progress.delivered,
            failed: progress.failed,
            dead: progress.dead,
            gaps: progress.gaps,
        }
    }
}

impl ReplayView {
    /// Returns an example.
    pub fn sample() -> Self {
        Self {
            started_at: 1_767_254_500_000,
            since: Some(1_767_254_400_000),
            until: None,
            dead_only: false,
        }
    }

    pub(crate) fn of(replay: &Replay) -> Self {
        Self {
            started_at: replay.started_at.millis(),
            since: replay.from.map(Timestamp::millis),
            until: replay.before.map(Timestamp::millis),
            dead_only: replay.dead_only,
        }
    }
}

impl PartialSchema for ReplayRequestSpec {
    fn schema() -> RefOr<Schema> {
        let moment = |about| moment_or_null(about, 0, MAX_TIMESTAMP_MILLIS);
        let after = "The `id` of an event: only events after it.";
        let spec = object("The request to replay earlier events, from `since` or `after` on.")
            .property("since", moment("Only events from this time on."))
            .property(
                "after",
                text_or_null(after).pattern(Some("^evt_[0-7][0-9A-HJKMNP-TV-Z]{25}$")),
            )
            .property("until", moment("Only events before this time; null for all up to now."))
            .property("deadOnly", flag("Whether only dead letters are replayed."))
            .min_properties(Some(1));
        RefOr::T(spec.build().into())
    }
}

impl ToSchema for ReplayRequestSpec {}

impl ReplayRequestSpec {
    /// Returns an example.
    pub fn sample() -> Value {
        json!({ "since": 1_767_254_400_000_i64, "after": null, "until": null, "deadOnly": false })
    }

    pub(crate) fn read(fields: &mut Fields) -> Self {
        let spec = ReplaySpec {
            since: fields.timestamp("since"),
            after: fields.text("after"),
            until: fields.timestamp("until"),
            dead_only: fields.flag("deadOnly").unwrap_or_default(),
        };
        fields.add_faults_of_valid_fields(spec.violations());
        Self(spec)
    }
}

impl PingView {
    /// Returns an example.
    pub fn sample() -> Self {
        Self { outcome: OutcomeClass::Success.as_str(), status: Some(204), duration_ms: 37 }
    }

    pub(crate) fn of(outcome: &AttemptOutcome) -> Self {
        Self {
            outcome: outcome.class.as_str(),
            status: outcome.status,
            duration_ms: millis(outcome.duration),
        }
    }
}

impl AttemptView {
    fn sample() -> Self {
        Self {
            id: "att_01JGXS1DN00000000000000005".to_owned(),
            event: "evt_01JGXS1DN00000000000000003".to_owned(),
            attempt: 2,
            replay: false,
            timestamp: 1_767_254_402_000,
            duration_ms: 41,
            outcome: OutcomeClass::ServerError.as_str(),
            status: Some(500),
            response: Some("out of disk".to_owned()),
        }
    }

    pub(crate) fn of(record: &AttemptRecord) -> Self {
        Self {
            id: record.id.to_string(),
            event: record.event.to_string(),
            attempt: record.number,
            replay: record.replay,
            timestamp: record.at.millis(),
            duration_ms: millis(record.duration),
            outcome: record.class.as_str(),
            status: record.status,
            response: record.excerpt.clone(),
        }
    }
}

impl DeadLetterView {
    fn sample() -> Self {
        Self {
            event: "evt_01JGXS1DN00000000000000003".to_owned(),
            session: Some("sess_01JGXS1DN00000000000000001".to_owned()),
            attempts: 15,
            first_failed_at: 1_767_254_400_000,
            died_at: 1_767_287_000_000,
            outcome: OutcomeClass::ClientError.as_str(),
            status: Some(422),
            replayed_at: None,
        }
    }

    pub(crate) fn of(dead: &DeadLetter) -> Self {
        Self {
            event: dead.event.to_string(),
            session: dead.session.as_ref().map(ToString::to_string),
            attempts: dead.attempts,
            first_failed_at: dead.first_failed_at.millis(),
            died_at: dead.died_at.millis(),
            outcome: dead.class.as_str(),
            status: dead.status,
            replayed_at: dead.replayed_at.map(Timestamp::millis),
        }
    }
}

impl ListView<AttemptView> {
    /// Returns an example.
    pub fn sample() -> Self {
        Self { data: vec![AttemptView::sample()], next_cursor: None }
    }
}

impl ListView<DeadLetterView> {
    /// Returns an example.
    pub fn sample() -> Self {
        Self { data: vec![DeadLetterView::sample()], next_cursor: None }
    }
}

fn millis(duration: std::time::Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
