//! Phones over HTTP: linking, devices, settings, and what their owners do besides messages.

use super::{ControlError, ControlResult, decoded, json, phone, read, stanzas};
use crate::account::LinkedDevice;
use crate::control::routes::Route;
use crate::error::PhoneError;
use crate::kick::Kick;
use crate::messaging::presence::Typing;
use crate::phone::{Phone, PhoneChanges, PhoneState};
use crate::simulator::Simulator;
use bytes::Bytes;
use http_listener::RequestContext;
use hyper::{Response, StatusCode};
use matchit::Params;
use serde::{Deserialize, Serialize};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PhoneSpec {
    number: String,
    name: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Scan {
    qr: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct EnterCode {
    code: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct KickSpec {
    kind: Kick,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TypingSpec {
    to: String,
    state: Typing,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PresenceSpec {
    state: Availability,
}

#[derive(Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
enum Availability {
    Available,
    Unavailable,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TrustSpec {
    to: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct PhoneView {
    number: String,
    name: String,
    lid: String,
    code_awaited: bool,
    devices: Vec<LinkedDevice>,
    #[serde(flatten)]
    state: PhoneState,
}

impl From<Phone> for PhoneView {
    fn from(phone: Phone) -> Self {
        Self {
            number: phone.number().to_owned(),
            name: phone.name(),
            lid: phone.lid(),
            code_awaited: phone.is_code_awaited(),
            devices: phone.devices(),
            state: phone.state(),
        }
    }
}

pub(super) async fn respond(
    simulator: &Simulator,
    route: Route,
    params: &Params<'_, '_>,
    request: &mut RequestContext,
) -> ControlResult {
    if route == Route::Phones {
        return add(simulator, &read(request).await?);
    }
    let phone = phone(simulator, params)?;
    match route {
        Route::Scan => {
            let device = phone.scan(&read::<Scan>(request).await?.qr).await?;
            return Ok(json(StatusCode::OK, &device));
        }
        Route::EnterCode => {
            let device = phone.enter_code(&read::<EnterCode>(request).await?.code).await?;
            return Ok(json(StatusCode::OK, &device));
        }
        Route::Observations => {
            let body = serde_json::json!({ "observations": phone.observations() });
            return Ok(json(StatusCode::OK, &body));
        }
        Route::Unlink => phone.unlink(device(params)?)?,
        Route::Kick => {
            let kick = read::<KickSpec>(request).await?.kind;
            phone.kick(device(params)?, kick)?;
        }
        Route::SendStanza => {
            let stanza = stanzas::node(&read(request).await?)?;
            phone.send_stanza(device(params)?, stanza)?;
        }
        Route::Online | Route::Offline => phone.set_online(route == Route::Online),
        Route::ForgetSessions => phone.forget_sessions(),
        Route::Configure => phone.configure(&read::<PhoneChanges>(request).await?)?,
        Route::Typing => {
            let TypingSpec { to, state } = read(request).await?;
            phone.type_to(&to, state)?;
        }
        Route::Presence => {
            phone.announce(read::<PresenceSpec>(request).await?.state == Availability::Available);
        }
        Route::Trust => phone.trust(&read::<TrustSpec>(request).await?.to)?,
        _ => {}
    }
    Ok(phone_response(phone))
}

fn add(simulator: &Simulator, spec: &PhoneSpec) -> ControlResult {
    let (phone, new) = simulator.insert_phone(&spec.number, &spec.name)?;
    let status = if new { StatusCode::CREATED } else { StatusCode::OK };
    Ok(json(status, &PhoneView::from(phone)))
}

fn phone_response(phone: Phone) -> Response<Bytes> {
    json(StatusCode::OK, &PhoneView::from(phone))
}

fn device(params: &Params<'_, '_>) -> Result<u32, ControlError> {
    let id = decoded(params, "id").parse().map_err(|_| PhoneError::NoSuchDevice);
    Ok(id?)
}
