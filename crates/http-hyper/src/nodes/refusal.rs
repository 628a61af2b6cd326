//! Refusals: the errors of the node protocol, in place of the errors of the API.

use domain::Error;
use gateway_protocol as protocol;
use hyper::{StatusCode, header};

use crate::response::{problem::Problem, reply::Reply};

/// Returns the response that reports a problem to a node.
pub(super) fn reply(problem: &Problem) -> Reply {
    let (status, code) = status_and_code(problem);
    let public = problem.reply();
    let message = match problem {
        Problem::Invalid(faults) => {
            faults.first().map_or_else(|| problem.to_string(), |fault| fault.reason.clone())
        }
        _ => problem.to_string(),
    };
    let refusal = protocol::Refusal { code, message };
    let mut reply = Reply::json(status, &refusal).unwrap_or_else(|_| public.clone());
    for (name, value) in &public.headers {
        if name != header::CONTENT_TYPE {
            reply.headers.insert(name, value.clone());
        }
    }
    reply
}

/// Maps every problem to its status and code. There is no wildcard arm, so that each new variant is
/// mapped deliberately.
fn status_and_code(problem: &Problem) -> (StatusCode, protocol::RefusalCode) {
    use protocol::RefusalCode as Code;
    let status = problem.reply().status;
    let code = match problem {
        Problem::NoRoute | Problem::MethodNotAllowed { .. } => Code::UnknownCall,
        Problem::Invalid(_)
        | Problem::BodyTooSlow
        | Problem::PayloadTooLarge { .. }
        | Problem::UnsupportedMediaType { .. }
        | Problem::Unreadable { .. } => Code::Malformed,
        // A node retries in both cases.
        Problem::PermitShareTaken => return (StatusCode::SERVICE_UNAVAILABLE, Code::Unavailable),
        Problem::DeadlineExceeded | Problem::Overloaded => Code::Unavailable,
        // Nodes have no event streams, and send no messages.
        Problem::TooManyStreams | Problem::NotSent { .. } => {
            return (StatusCode::INTERNAL_SERVER_ERROR, Code::Internal);
        }
        Problem::Panicked(_) => Code::Internal,
        Problem::Domain(error) => match error {
            Error::Validation(_) => Code::Malformed,
            Error::Unauthorized => Code::Unauthorized,
            Error::Unavailable { .. } | Error::RateLimited { .. } => Code::Unavailable,
            // The use cases of nodes return none of these errors.
            Error::Forbidden
            | Error::NotFound { .. }
            | Error::NotYet { .. }
            | Error::Conflict { .. }
            | Error::NotPaired
            | Error::PairingEnded
            | Error::NoPairingCode
            | Error::Full(_)
            | Error::Gone { .. }
            | Error::PreconditionFailed
            | Error::Undeliverable(_)
            | Error::NotImplemented
            | Error::Internal(_) => return (StatusCode::INTERNAL_SERVER_ERROR, Code::Internal),
        },
    };
    (status, code)
}
