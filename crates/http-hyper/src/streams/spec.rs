//! The request for a stream: filters, and the place where the stream begins.

use domain::{
    EventId, EventPattern, FeedFilter, MAX_EVENT_PATTERNS, MAX_FILTER_SESSIONS, OrganizationId,
    SessionId,
};
use hyper::{HeaderMap, header::HeaderName};

use super::{bookmark::Bookmarks, start::StreamStart};
use crate::request::query::Query;

const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");
/// Name of the header in faults.
const SHOWN_LAST_EVENT_ID: &str = "Last-Event-ID";
const NO_POSITION: &str = "must be the id of an event or a bookmark";

/// The filter and the start of a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct StreamSpec {
    pub(crate) filter: FeedFilter,
    pub(crate) start: StreamStart,
}

impl StreamSpec {
    /// Reads the query of a stream of an organization, and `Last-Event-ID`, which wins over
    /// `after`: a browser repeats the URL of its first request.
    pub(crate) fn read(
        query: &mut Query,
        headers: &HeaderMap,
        organization: &OrganizationId,
        bookmarks: &Bookmarks,
    ) -> Self {
        let filter =
            FeedFilter { sessions: sessions(query).into_iter().collect(), events: events(query) };
        let after = after(query, organization, bookmarks);
        let last = last_event_id(query, headers, organization, bookmarks);
        Self { filter, start: last.or(after).unwrap_or(StreamStart::Now) }
    }
}

/// Reads the sessions of the filter. A session id that cannot exist matches no event and is no
/// fault, as in every list.
fn sessions(query: &mut Query) -> Vec<SessionId> {
    let named = query.texts("session");
    if named.len() > MAX_FILTER_SESSIONS {
        query.fault("session", &format!("must be given at most {MAX_FILTER_SESSIONS} times"));
    }
    // No session has this id.
    let never = || SessionId::from_bits(0);
    named.iter().map(|id| SessionId::parse(id).unwrap_or_else(never)).collect()
}

fn events(query: &mut Query) -> Vec<EventPattern> {
    let named = query.texts("event");
    if named.len() > MAX_EVENT_PATTERNS {
        query.fault("event", &format!("must be given at most {MAX_EVENT_PATTERNS} times"));
    }
    let patterns: Option<Vec<_>> = named.iter().map(|text| EventPattern::parse(text)).collect();
    patterns.unwrap_or_else(|| {
        query.fault("event", "must be the name of an event, a beginning of names with .*, or *");
        Vec::new()
    })
}

fn after(
    query: &mut Query,
    organization: &OrganizationId,
    bookmarks: &Bookmarks,
) -> Option<StreamStart> {
    let text = query.text("after")?;
    if text == "earliest" {
        return Some(StreamStart::Oldest);
    }
    let start = position(&text, organization, bookmarks);
    if start.is_none() {
        query.fault("after", &format!("{NO_POSITION}, or earliest"));
    }
    start
}

fn last_event_id(
    query: &mut Query,
    headers: &HeaderMap,
    organization: &OrganizationId,
    bookmarks: &Bookmarks,
) -> Option<StreamStart> {
    let mut given = headers.get_all(LAST_EVENT_ID).iter();
    let (value, more) = (given.next()?, given.next());
    // A client without a position sends an empty value.
    if value.is_empty() && more.is_none() {
        return None;
    }
    let text = value.to_str().ok().filter(|_| more.is_none());
    let start = text.and_then(|text| position(text, organization, bookmarks));
    if start.is_none() {
        query.fault(SHOWN_LAST_EVENT_ID, NO_POSITION);
    }
    start
}

fn position(
    text: &str,
    organization: &OrganizationId,
    bookmarks: &Bookmarks,
) -> Option<StreamStart> {
    let event = || EventId::parse(text).map(StreamStart::Event);
    event().or_else(|| bookmarks.read(organization, text))
}

#[cfg(test)]
mod tests {
    use domain::{EventName, FeedPosition};
    use hyper::header::HeaderValue;

    use super::*;

    const EVENT: &str = "evt_01JGXS1DN00000000000000003";

    fn read(query: &str, last: Option<&str>) -> (StreamSpec, Vec<String>) {
        let mut headers = HeaderMap::new();
        if let Some(last) = last {
            headers.insert(LAST_EVENT_ID, HeaderValue::from_str(last).unwrap());
        }
        let mut query = Query::parse(query, &["session", "event", "after"]);
        let acme = OrganizationId::parse("acme").unwrap();
        let spec = StreamSpec::read(&mut query, &headers, &acme, &Bookmarks::new(&[7; 32]));
        (spec, query.finish().into_iter().map(|fault| fault.field).collect())
    }

    fn start(query: &str, last: Option<&str>) -> StreamStart {
        let (spec, faults) = read(query, last);
        assert!(faults.is_empty(), "{query} {faults:?}");
        spec.start
    }

    #[test]
    fn header_wins_over_the_parameter() {
        let acme = OrganizationId::parse("acme").unwrap();
        let place = FeedPosition::from_number(7);
        let bookmark = Bookmarks::new(&[7; 32]).seal(&acme, place).unwrap();
        let event = StreamStart::Event(EventId::parse(EVENT).unwrap());
        assert_eq!(start("", None), StreamStart::Now);
        assert_eq!(start("after=earliest", None), StreamStart::Oldest);
        assert_eq!(start(&format!("after={EVENT}"), None), event);
        assert_eq!(start(&format!("after={bookmark}"), None), StreamStart::Position(place));
        assert_eq!(start(&format!("after={bookmark}"), Some(EVENT)), event);
        assert_eq!(start("after=earliest", Some(&bookmark)), StreamStart::Position(place));
        assert_eq!(start("after=earliest", Some("")), StreamStart::Oldest);
    }

    #[test]
    fn malformed_positions_are_faults() {
        for text in
            ["", "0", "evt_1", "cur_1", "earliest+", "Earliest", "sess_01JGXS1DN00000000000000003"]
        {
            assert_eq!(read(&format!("after={text}"), None).1, ["after"], "{text}");
        }
        for text in ["earliest", "evt_1", "cur_", "1", &"x".repeat(10_000)] {
            assert_eq!(read("", Some(text)).1, ["Last-Event-ID"], "{text}");
        }
        assert_eq!(read("after=x", Some("y")).1, ["after", "Last-Event-ID"]);
    }

    #[test]
    fn filters_are_bounded_and_unknown_sessions_match_no_event() {
        let (spec, faults) = read("session=nobody&event=auth.*&event=session.status", None);
        assert!(faults.is_empty());
        assert!(spec.filter.matches(EventName::AuthQr, Some(&SessionId::from_bits(0))));
        assert!(!spec.filter.matches(EventName::AuthQr, Some(&SessionId::from_bits(1))));
        assert!(!spec.filter.matches(EventName::AuthQr, None));
        for (name, value, most) in [("session", "x", 100), ("event", "*", 32)] {
            let query = |count| vec![format!("{name}={value}"); count].join("&");
            assert!(read(&query(most), None).1.is_empty());
            assert_eq!(read(&query(most + 1), None).1, [name]);
        }
        for text in ["", "sess.*", "nothing", "auth.q*"] {
            assert_eq!(read(&format!("event={text}"), None).1, ["event"], "{text}");
        }
    }
}
