//! The header `traceparent` of a request: logged, and passed on to nodes that berth calls for the
//! request. berth exports no spans, so that the value is passed on unchanged.

use futures_util::future::Either;
use gateway_protocol::{TRACE_PARENT, TraceParent};
use hyper::HeaderMap;

tokio::task_local! {
    static CURRENT: TraceParent;
}

/// Returns the `traceparent` of the request that the current task serves.
pub fn current_trace_parent() -> Option<String> {
    CURRENT.try_with(|trace| trace.as_str().to_owned()).ok()
}

/// Returns the trace of a request; `None` without exactly one valid header.
pub(crate) fn trace_of(headers: &HeaderMap) -> Option<TraceParent> {
    let mut values = headers.get_all(TRACE_PARENT).iter();
    let value = values.next()?.to_str().ok()?;
    TraceParent::parse(value).filter(|_| values.next().is_none())
}

/// Runs the work on a request as a part of its trace.
pub(crate) fn within_trace<T>(
    trace: Option<TraceParent>,
    work: impl Future<Output = T>,
) -> impl Future<Output = T> {
    match trace {
        Some(trace) => Either::Left(CURRENT.scope(trace, work)),
        None => Either::Right(work),
    }
}

#[cfg(test)]
mod tests {
    use hyper::header::HeaderValue;

    use super::*;

    const VALUE: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[tokio::test]
    async fn trace_is_known_within_the_work_only() {
        let mut headers = HeaderMap::new();
        assert_eq!(trace_of(&headers), None);
        headers.append(TRACE_PARENT, HeaderValue::from_static(VALUE));
        let trace = trace_of(&headers);
        let within = within_trace(trace, async { current_trace_parent() }).await;
        assert_eq!((within.as_deref(), current_trace_parent()), (Some(VALUE), None));
        headers.append(TRACE_PARENT, HeaderValue::from_static(VALUE));
        assert_eq!(trace_of(&headers), None, "two headers are ambiguous");
    }
}
