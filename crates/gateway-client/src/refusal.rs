//! What a node's refusal means for the one who asked.

use domain::ports::GatewayError;
use gateway_protocol::{Refusal, RefusalCode};
use hyper::StatusCode;

/// An answer that is not a success, as the port has it.
pub(crate) fn error(status: StatusCode, body: &[u8]) -> GatewayError {
    match serde_json::from_slice::<Refusal>(body) {
        Ok(refusal) => refused(refusal),
        // Not a node's word: something between, or a node that is not one.
        Err(_) if status.is_server_error() => {
            GatewayError::Unavailable(format!("a bare {status}").into())
        }
        Err(_) => GatewayError::Broken(format!("a bare {status}").into()),
    }
}

fn refused(refusal: Refusal) -> GatewayError {
    let Refusal { code, message } = refusal;
    match code {
        RefusalCode::StaleEpoch => GatewayError::Stale,
        RefusalCode::UnknownSession => GatewayError::Unknown,
        RefusalCode::StillLinked => GatewayError::Linked,
        RefusalCode::AtCapacity => GatewayError::Full,
        // An operator can put a wrong token right, a node can recover: worth trying again.
        RefusalCode::Unauthorized => {
            GatewayError::Unavailable(format!("the node does not take our token: {message}").into())
        }
        RefusalCode::Unavailable => GatewayError::Unavailable(message.into()),
        RefusalCode::Internal => {
            GatewayError::Unavailable(format!("the node failed: {message}").into())
        }
        // One side does not speak the treaty as the other does.
        RefusalCode::NotEnlisted | RefusalCode::Malformed | RefusalCode::UnknownCall => {
            GatewayError::Broken(format!("{code:?}: {message}").into())
        }
    }
}
