//! The description of an error response. Its example is the response that a [`Problem`] renders, so
//! that the two cannot differ.

use serde_json::Value;

use crate::response::problem::Problem;

/// An error response of an operation.
pub(crate) struct Failure {
    /// The name among the document's components and examples.
    pub(crate) name: &'static str,
    pub(crate) about: &'static str,
    problem: fn() -> Problem,
}

impl Failure {
    pub(crate) const fn new(
        name: &'static str,
        about: &'static str,
        problem: fn() -> Problem,
    ) -> Self {
        Self { name, about, problem }
    }

    pub(crate) fn status(&self) -> u16 {
        (self.problem)().reply().status.as_u16()
    }

    /// Returns the body of the response.
    pub(crate) fn example(&self) -> Value {
        serde_json::from_slice(&(self.problem)().reply().body).unwrap_or_default()
    }

    /// Returns the names of the headers of the response, except `Content-Type`.
    pub(crate) fn headers(&self) -> Vec<String> {
        let reply = (self.problem)().reply();
        let names = reply.headers.keys().filter(|name| *name != "content-type");
        names.map(ToString::to_string).collect()
    }
}
