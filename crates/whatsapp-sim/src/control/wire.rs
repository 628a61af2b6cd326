//! The stanzas between the server and a device over HTTP.

use super::{ControlError, ControlResult, bad_request, json, query};
use crate::address;
use crate::simulator::Simulator;
use crate::wire_log::{Direction, WireRecord};
use http_listener::RequestContext;
use hyper::{Method, StatusCode};

pub(super) fn respond(simulator: &Simulator, request: &RequestContext) -> ControlResult {
    if request.head.method == Method::DELETE {
        simulator.clear_wire();
        return Ok(json(StatusCode::OK, &serde_json::json!({})));
    }
    let mut query = query(request);
    let device = query.remove("device").ok_or_else(|| bad_request("give device=NUMBER:ID"))?;
    let number = simulator.number_of(&device).unwrap_or_default();
    let mut wire = simulator.wire(&number, address::device(&device));
    let direction = query.remove("direction").as_deref().map(direction).transpose()?;
    let (kind, id) = (query.remove("kind"), query.remove("id"));
    if let Some(name) = query.into_keys().next() {
        return Err(bad_request(format!("unknown parameter {name}")));
    }
    let is_asked = |record: &WireRecord| {
        direction.is_none_or(|direction| record.direction == direction)
            && kind.as_ref().is_none_or(|kind| record.kind == *kind)
            && id.as_ref().is_none_or(|id| record.id.as_ref() == Some(id))
    };
    wire.stanzas.retain(is_asked);
    let body = serde_json::json!({ "counts": wire.counts, "stanzas": wire.stanzas });
    Ok(json(StatusCode::OK, &body))
}

fn direction(text: &str) -> Result<Direction, ControlError> {
    match text {
        "in" => Ok(Direction::In),
        "out" => Ok(Direction::Out),
        _ => Err(bad_request("direction is in or out")),
    }
}
