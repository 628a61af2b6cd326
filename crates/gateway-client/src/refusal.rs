//! Converts error responses of nodes to errors of the port.

use domain::ports::GatewayError;
use gateway_protocol::{Refusal, RefusalCode};
use hyper::StatusCode;

/// Returns the error for the status and body of a response that is not a success.
pub(crate) fn error(status: StatusCode, body: &[u8]) -> GatewayError {
    match serde_json::from_slice::<Refusal>(body) {
        Ok(refusal) => refused(refusal),
        // Not a refusal of the protocol: the response of a proxy, or of another program.
        Err(_) if status.is_server_error() => {
            GatewayError::Unavailable(format!("status {status} without a refusal").into())
        }
        Err(_) => GatewayError::Broken(format!("status {status} without a refusal").into()),
    }
}

fn refused(refusal: Refusal) -> GatewayError {
    let Refusal { code, message } = refusal;
    match code {
        RefusalCode::StaleEpoch => GatewayError::Stale,
        RefusalCode::UnknownSession => GatewayError::Unknown,
        RefusalCode::StillLinked => GatewayError::Linked,
        RefusalCode::AtCapacity => GatewayError::Full,
        // An operator can correct a token, and a node can recover, so a retry can succeed.
        RefusalCode::Unauthorized => {
            GatewayError::Unavailable(format!("the node rejects the token: {message}").into())
        }
        RefusalCode::Unavailable => GatewayError::Unavailable(message.into()),
        RefusalCode::Internal => {
            GatewayError::Unavailable(format!("the node failed: {message}").into())
        }
        // The two sides use different versions of the protocol.
        RefusalCode::NotRegistered | RefusalCode::Malformed | RefusalCode::UnknownCall => {
            GatewayError::Broken(format!("{code:?}: {message}").into())
        }
    }
}
