//! Responses with a JSON body.

use hyper::{
    StatusCode,
    header::{self, HeaderValue},
};
use serde::Serialize;

use super::{
    problem::{Problem, Result},
    reply::Reply,
};

/// Bytes that most bodies fit in, so that they are not moved while they grow.
const TYPICAL_BODY_BYTES: usize = 1024;

impl Reply {
    /// Returns a 200 response with this JSON.
    ///
    /// # Errors
    /// `view` cannot be serialized, a fault of the program; the same below.
    pub(crate) fn ok(view: &impl Serialize) -> Result<Self> {
        Self::json(StatusCode::OK, view)
    }

    /// Returns a 201 response with this JSON; `location` is the path of the new object.
    pub(crate) fn created(location: &str, view: &impl Serialize) -> Result<Self> {
        let location = HeaderValue::try_from(location).map_err(Problem::internal)?;
        Ok(Self::json(StatusCode::CREATED, view)?.with(header::LOCATION, location))
    }

    /// Returns a 202 response with this JSON.
    pub(crate) fn accepted(view: &impl Serialize) -> Result<Self> {
        Self::json(StatusCode::ACCEPTED, view)
    }

    /// Returns a response with this JSON.
    pub(crate) fn json(status: StatusCode, view: &impl Serialize) -> Result<Self> {
        let mut body = Vec::with_capacity(TYPICAL_BODY_BYTES);
        serde_json::to_writer(&mut body, view).map_err(Problem::internal)?;
        Ok(Self::of(status, "application/json", body))
    }
}
