//! The handlers of event streams, each below its operation doc.

use std::{ops::Range, sync::Arc, time::Duration};

use domain::{Caller, Error, FeedRights};
use http_listener::ResponseBody;
use hyper::{
    HeaderMap, StatusCode,
    header::{self, HeaderName, HeaderValue},
};

use crate::{
    api::{OperationContext, OperationOutput},
    openapi::{
        failures::{GONE, TOO_MANY_STREAMS},
        operation_doc::{Content, DocTag, OperationDoc, ResponseDoc, Shape},
    },
    request::{negotiate::choose, query::Query},
    response::{
        problem::{Problem, Result},
        reply::Reply,
    },
    streams::{
        close_cause::CloseCause,
        follower::{FIRST_WAIT_MILLIS, Follower},
        open_streams::StreamKind,
        page::PageReader,
        server_sent,
        spec::StreamSpec,
        websocket::{self, Refusal},
    },
    wire::{EventFeedPageView, TicketView},
};

const EVENT_STREAM_TYPE: &str = "text/event-stream";
const JSON: &str = "application/json";
/// Stops nginx from collecting the parts of a stream.
const X_ACCEL_BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");
/// Maximum wait for an event of a page, in seconds.
const MAX_WAIT: u32 = 30;
/// Maximum and default number of events on a page.
const MAX_LIMIT: u32 = 200;
const DEFAULT_LIMIT: u32 = 50;
/// Milliseconds after which clients reconnect, drawn anew for each stream, so that clients do not
/// all return at one time after a restart.
const RETRY_MILLIS: Range<u32> = 1_000..3_000;

pub(crate) static EVENT_STREAM: OperationDoc = OperationDoc::new(
    DocTag::Events,
    "Follow the events",
    "Server-sent events, in the order of the commits, without gaps and without end. Without `after`, begins \
     with the next event. A bookmark, an `id` without data, comes at least every 15 seconds. A stream resumes after \
     the `Last-Event-ID` that a browser sends by itself, which wins over `after`.\n\n\
     With `Accept: application/json`, returns one page of at most `limit` events and waits up to `wait` \
     seconds for the first; `nextCursor` is the `after` of the next page.\n\n\
     Kinds of events that the caller may not see, and sessions out of its reach, leave no trace.",
    ResponseDoc::new(
        200,
        "The events.",
        &[
            Content::Text(EVENT_STREAM_TYPE, "retry: 1700\nid: cur_…\n\nid: evt_…\ndata: {\"schema\":\"v1\",…}\n\n"),
            Content::Json(Shape::of::<EventFeedPageView>()),
        ],
    )
    .varying()
    .streaming(),
)
.fails(&[&GONE, &TOO_MANY_STREAMS]);

pub(crate) async fn stream(mut cx: OperationContext) -> Result<OperationOutput> {
    let (caller, headers) = (cx.caller()?.clone(), std::mem::take(&mut cx.headers));
    let rights = FeedRights::of(&caller)?;
    let shape = choose(&headers, &[EVENT_STREAM_TYPE, JSON]);
    let resources = cx.resources.clone();
    let organization = rights.scope().organization().clone();
    let (spec, page) = cx.read(|input| {
        let bookmarks = &resources.streams.bookmarks;
        let spec = StreamSpec::read(&mut input.query, &headers, &organization, bookmarks);
        (spec, PageSpec::read(&mut input.query, shape == JSON))
    })?;
    if shape == JSON {
        return read_page(&cx, &caller, rights, spec, &page).await.map(OperationOutput::Reply);
    }
    let permit = cx.stream_permit()?;
    let follower = follow(&cx, &caller, rights, spec, StreamKind::ServerSent).await?;
    let retry = random_in(&cx, RETRY_MILLIS);
    let head = Reply::of(StatusCode::OK, EVENT_STREAM_TYPE, "")
        .with(header::VARY, HeaderValue::from_static("accept"))
        .with(X_ACCEL_BUFFERING, HeaderValue::from_static("no"));
    let body = ResponseBody::Stream(server_sent::body(follower, retry));
    Ok(OperationOutput::Stream { head, body, permit: Some(permit) })
}

/// The size of a page, and the wait for its first event.
struct PageSpec {
    limit: u32,
    wait: Duration,
}

impl PageSpec {
    /// Reads the parameters of a page, which a stream does not have.
    fn read(query: &mut Query, is_page: bool) -> Self {
        if !is_page {
            for name in ["limit", "wait"] {
                if query.text(name).is_some() {
                    query.fault(name, "needs Accept: application/json");
                }
            }
        }
        let limit = query.number("limit", 1..=MAX_LIMIT, DEFAULT_LIMIT);
        let wait = query.number("wait", 0..=MAX_WAIT, 0);
        Self { limit, wait: Duration::from_secs(wait.into()) }
    }
}

async fn read_page(
    cx: &OperationContext,
    caller: &Caller,
    rights: FeedRights,
    spec: StreamSpec,
    page: &PageSpec,
) -> Result<Reply> {
    let streams = &cx.resources.streams;
    let credential = streams.open.watch_credential(caller);
    let after = spec.start.resolve(&streams.feed, &rights).await?;
    let reader = PageReader {
        feed: &streams.feed,
        store: &streams.store,
        rights,
        filter: spec.filter,
        limit: usize::try_from(page.limit).unwrap_or(usize::MAX),
    };
    let page = tokio::select! {
        biased;
        page = reader.read(after, page.wait) => page?,
        () = cx.cancelled.cancelled() => {
            return Err(Error::unavailable("the service is stopping").into());
        }
        () = credential.ended() => return Err(Error::Unauthorized.into()),
    };
    let json = page.json(&streams.bookmarks, &reader.rights)?;
    Ok(Reply::of(StatusCode::OK, JSON, json).with(header::VARY, HeaderValue::from_static("accept")))
}

/// Returns the follower of a new stream.
///
/// # Errors
/// 410 when the stream cannot begin where the caller asks.
async fn follow(
    cx: &OperationContext,
    caller: &Caller,
    rights: FeedRights,
    spec: StreamSpec,
    kind: StreamKind,
) -> Result<Follower> {
    let streams = &cx.resources.streams;
    let after = spec.start.resolve(&streams.feed, &rights).await?;
    let (connection, stop) = (cx.connection.clone(), Arc::clone(&cx.cancelled));
    let stream = streams.open.open(caller, kind, connection, stop);
    let organization = rights.scope().organization().clone();
    let reader = streams.feed.subscribe(rights, spec.filter, after);
    let first_wait = Duration::from_millis(random_in(cx, FIRST_WAIT_MILLIS).into());
    Ok(Follower::new(reader, streams.bookmarks.clone(), organization, stream, first_wait))
}

fn random_in(cx: &OperationContext, range: Range<u32>) -> u32 {
    let size = range.end - range.start;
    let random = cx.resources.environment.ulid() % u128::from(size);
    range.start + u32::try_from(random).unwrap_or(0)
}

pub(crate) static REALTIME_TICKET: OperationDoc = OperationDoc::new(
    DocTag::Events,
    "Get a ticket for a WebSocket",
    "For browsers, which can send no header with a WebSocket. The ticket opens one WebSocket of any router \
     within 60 seconds, with the rights of the caller. `Idempotency-Key` is ignored.",
    ResponseDoc::new(200, "The ticket.", &[Content::Json(Shape::of::<TicketView>())]),
);

pub(crate) async fn ticket(cx: OperationContext) -> Result<Reply> {
    let (ticket, expires_at) = cx.resources.streams.tickets.issue(cx.caller()?)?;
    Reply::ok(&TicketView { ticket, expires_at: expires_at.millis() })
}

pub(crate) static REALTIME: OperationDoc = OperationDoc::new(
    DocTag::Events,
    "Follow the events over a WebSocket",
    "Each text frame is one event. With `bookmarks=true`, a frame with the event `stream.bookmark` and an \
     `id` comes at least every 15 seconds. Frames of the client are ignored. Close codes: 1001 the server stops, \
     1002 and 1009 a fault of the client, 4401 the credential has expired or was revoked, 4408 no answer to \
     pings, 4410 the position is gone (the reason is the oldest event), 4429 too many streams.",
    ResponseDoc::new(101, "The WebSocket.", &[]).upgrading(),
);

pub(crate) async fn websocket(mut cx: OperationContext) -> Result<OperationOutput> {
    let caller = cx.caller()?.clone();
    let rights = FeedRights::of(&caller)?;
    let (resources, organization) = (cx.resources.clone(), rights.scope().organization().clone());
    let handshake = websocket::handshake(&cx.headers).filter(|_| cx.can_upgrade);
    let (spec, bookmarks) = cx.read(|input| {
        // Read by the authentication.
        input.query.texts("ticket");
        if handshake.is_none() {
            input.query.fault("Upgrade", "must be a WebSocket handshake of version 13");
        }
        let bookmarks = &resources.streams.bookmarks;
        let no_headers = HeaderMap::new();
        let spec = StreamSpec::read(&mut input.query, &no_headers, &organization, bookmarks);
        (spec, input.query.flag("bookmarks").unwrap_or(false))
    })?;
    let permit = cx.stream_permit();
    let stream = match &permit {
        Ok(_) => match follow(&cx, &caller, rights, spec, StreamKind::WebSocket).await {
            Err(Problem::Domain(Error::Gone { oldest })) => Err::<_, Refusal>((
                CloseCause::Gone,
                oldest.map_or_else(String::new, |event| event.to_string()),
            )),
            other => Ok(other?),
        },
        Err(_) => Err((CloseCause::TooMany, String::new())),
    };
    resources.streams.tickets.spend(cx.ticket()?).await?; // 401
    let mut head = Reply::of(StatusCode::SWITCHING_PROTOCOLS, JSON, "");
    head.headers = handshake.unwrap_or_default();
    let body = ResponseBody::Upgrade(websocket::protocol(stream, bookmarks));
    Ok(OperationOutput::Stream { head, body, permit: permit.ok() })
}
