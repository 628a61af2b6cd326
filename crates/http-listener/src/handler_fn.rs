//! A handler from an async function of a whole request, for servers with few needs.

use async_trait::async_trait;
use bytes::Bytes;
use hyper::{Request, Response, StatusCode, header, header::HeaderValue};

use crate::{
    handler::{Handler, RequestContext},
    rejection::Rejection,
    request_body::BodyError,
    response_body::ResponseBody,
    shared_permits::{NoPermit, PermitHolder},
};

/// A handler made by [`handler_fn`].
pub struct HandlerFn<F>(F);

/// Makes a handler from an async function. The handler reads the whole body before it calls the
/// function, shares permits by connection, and writes no access log. Errors and rejections have
/// plain text bodies.
pub fn handler_fn<F, R>(function: F) -> HandlerFn<F>
where
    F: Fn(Request<Bytes>) -> R + Send + Sync + 'static,
    R: Future<Output = Response<Bytes>> + Send,
{
    HandlerFn(function)
}

#[async_trait]
impl<F, R> Handler for HandlerFn<F>
where
    F: Fn(Request<Bytes>) -> R + Send + Sync + 'static,
    R: Future<Output = Response<Bytes>> + Send,
{
    type Log = ();

    fn start_log(&self) {}

    async fn handle(&self, request: &mut RequestContext) -> Response<ResponseBody> {
        self.respond(request).await.map(ResponseBody::Whole)
    }

    fn reject(&self, rejection: &Rejection) -> Response<Bytes> {
        let status = rejection.status();
        let reason = match rejection {
            Rejection::InvalidHost { reason } => reason,
            _ => status.canonical_reason().unwrap_or_default(),
        };
        plain(status, reason)
    }
}

impl<F, R> HandlerFn<F>
where
    F: Fn(Request<Bytes>) -> R,
    R: Future<Output = Response<Bytes>>,
{
    async fn respond(&self, request: &mut RequestContext) -> Response<Bytes> {
        let holder = request.connection.permit_holder();
        let body = match receive(request, holder).await {
            Ok(body) => body,
            Err(error) => return plain(status_of(error), &error.to_string()),
        };
        match request.permits.work(holder) {
            Ok(permit) => {
                request.hold(permit);
                (self.0)(Request::from_parts(request.take_head(), body)).await
            }
            Err(error) => plain(StatusCode::SERVICE_UNAVAILABLE, &error.to_string()),
        }
    }
}

async fn receive(request: &mut RequestContext, holder: PermitHolder) -> Result<Bytes, BodyError> {
    let permits = request.permits.clone();
    request.body.read(|| permits.waiting(holder)).await
}

fn status_of(error: BodyError) -> StatusCode {
    match error {
        BodyError::TooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
        BodyError::TooSlow => StatusCode::REQUEST_TIMEOUT,
        BodyError::Incomplete => StatusCode::BAD_REQUEST,
        BodyError::NoPermit(NoPermit::ShareTaken | NoPermit::AllTaken) => {
            StatusCode::SERVICE_UNAVAILABLE
        }
    }
}

fn plain(status: StatusCode, text: &str) -> Response<Bytes> {
    let mut response = Response::new(Bytes::copy_from_slice(text.as_bytes()));
    *response.status_mut() = status;
    let kind = HeaderValue::from_static("text/plain; charset=utf-8");
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    response
}
