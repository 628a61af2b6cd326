//! Faults and settings of the network over HTTP.

use super::{ControlError, ControlResult, bad_request, decoded, json, read};
use crate::control::routes::Route;
use crate::error::PhoneError;
use crate::faults::{Fault, FaultRule, FaultTarget};
use crate::simulator::Simulator;
use http_listener::RequestContext;
use hyper::{Method, StatusCode};
use matchit::Params;
use serde::{Deserialize, Serialize};
use serde_json::json as object;
use std::time::Duration;

#[derive(Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum On {
    Message,
    Receipt,
    Iq,
    Everything,
}

#[derive(Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Action {
    Error,
    Swallow,
    LoseAck,
    Delay,
    Garble,
}

/// A rule as JSON.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct RuleSpec {
    #[serde(skip_deserializing)]
    id: u64,
    on: On,
    action: Action,
    #[serde(default)]
    code: Option<u16>,
    #[serde(default)]
    delay_ms: Option<u64>,
    /// Once if absent; `null` until the rule is removed.
    #[serde(default = "once")]
    times: Option<u32>,
    #[serde(default)]
    from: Option<String>,
    #[serde(default)]
    device: Option<u32>,
    #[serde(default)]
    to: Option<String>,
    #[serde(default)]
    namespace: Option<String>,
    #[serde(default)]
    child: Option<String>,
    #[serde(default)]
    unless_token: bool,
}

#[expect(clippy::unnecessary_wraps, reason = "the default of an optional field")]
fn once() -> Option<u32> {
    Some(1)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SettingsSpec {
    deduplicate: bool,
}

pub(super) async fn respond(
    simulator: &Simulator,
    route: Route,
    params: &Params<'_, '_>,
    request: &mut RequestContext,
) -> ControlResult {
    let method = request.head.method.clone();
    match route {
        Route::Settings => {
            if method == Method::POST {
                let SettingsSpec { deduplicate } = read(request).await?;
                simulator.set_deduplication(deduplicate);
            }
            let settings = object!({ "deduplicate": simulator.deduplicates() });
            return Ok(json(StatusCode::OK, &settings));
        }
        Route::Faults if method == Method::POST => {
            let rule = rule(simulator, read(request).await?)?;
            let id = simulator.faults().add(rule);
            return Ok(json(StatusCode::CREATED, &object!({ "id": id })));
        }
        Route::Faults if method == Method::DELETE => {
            simulator.remove_fault(None);
        }
        Route::Fault => {
            let id = decoded(params, "id").parse().ok();
            if id.is_none() || !simulator.remove_fault(id) {
                let message = "no such fault".to_owned();
                return Err(ControlError::Plain(StatusCode::NOT_FOUND, "not_found", message));
            }
        }
        _ => {}
    }
    let rules: Vec<_> = simulator.faults().rules().into_iter().map(spec).collect();
    Ok(json(StatusCode::OK, &object!({ "faults": rules })))
}

fn rule(simulator: &Simulator, spec: RuleSpec) -> Result<FaultRule, ControlError> {
    let fault = match spec.action {
        Action::Error => Fault::Refuse(spec.code.ok_or_else(|| bad_request("error needs code"))?),
        Action::Swallow => Fault::Swallow,
        Action::LoseAck => Fault::LoseAnswer,
        Action::Delay => {
            let delay = spec.delay_ms.ok_or_else(|| bad_request("delay needs delayMs"))?;
            Fault::Delay(Duration::from_millis(delay))
        }
        Action::Garble => Fault::Garble,
    };
    let on = match (spec.on, spec.namespace, spec.child) {
        (On::Message, None, None) => FaultTarget::Message,
        _ if fault == Fault::Garble => return Err(bad_request("only messages can be garbled")),
        (On::Receipt, None, None) => FaultTarget::Receipt,
        (On::Everything, None, None) if fault == Fault::Swallow => FaultTarget::Everything,
        (On::Everything, ..) => return Err(bad_request("everything can only be swallowed")),
        (On::Iq, Some(namespace), child) => {
            FaultTarget::Query { namespace, child: child.unwrap_or_default() }
        }
        _ => return Err(bad_request("namespace and child belong to iq, which needs both")),
    };
    let number = |contact: Option<String>| {
        let resolve = |contact: String| simulator.number_of(&contact);
        contact.map(|contact| resolve(contact).ok_or(PhoneError::NoSuchContact)).transpose()
    };
    Ok(FaultRule {
        on,
        fault,
        times: spec.times,
        from: number(spec.from)?,
        device: spec.device,
        to: number(spec.to)?,
        unless_token: spec.unless_token,
    })
}

fn spec((id, rule): (u64, FaultRule)) -> RuleSpec {
    let (on, namespace, child) = match rule.on {
        FaultTarget::Message => (On::Message, None, None),
        FaultTarget::Receipt => (On::Receipt, None, None),
        FaultTarget::Everything => (On::Everything, None, None),
        FaultTarget::Query { namespace, child } => (On::Iq, Some(namespace), Some(child)),
    };
    let (action, code, delay) = match rule.fault {
        Fault::Refuse(code) => (Action::Error, Some(code), None),
        Fault::Swallow => (Action::Swallow, None, None),
        Fault::LoseAnswer => (Action::LoseAck, None, None),
        Fault::Delay(delay) => (Action::Delay, None, Some(delay)),
        Fault::Garble => (Action::Garble, None, None),
    };
    RuleSpec {
        id,
        on,
        action,
        code,
        delay_ms: delay.and_then(|delay| u64::try_from(delay.as_millis()).ok()),
        times: rule.times,
        from: rule.from,
        device: rule.device,
        to: rule.to,
        namespace,
        child,
        unless_token: rule.unless_token,
    }
}
