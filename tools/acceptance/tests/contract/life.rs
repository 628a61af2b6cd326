//! The life of a session, from creation to the last trace of its deletion.

use acceptance::deployment::{Deployment, Organization};
use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use testbed::{
    phones::Phone,
    sessions::{Owned, PATIENCE, SESSIONS, list, path, path_of},
    wait,
};

use crate::each_database;

/// Every field of a session; all answers contain all fields.
const FIELDS: [&str; 23] = [
    "id",
    "organizationId",
    "createdByUserId",
    "gatewayId",
    "label",
    "status",
    "phoneNumber",
    "waJid",
    "waLid",
    "autoRead",
    "presenceTyping",
    "ratePerMin",
    "ratePerHour",
    "isAdminSession",
    "lastConnectedAt",
    "createdAt",
    "updatedAt",
    "pushName",
    "deviceId",
    "desired",
    "statusReason",
    "metadata",
    "version",
];

each_database!(
    shared: session_lives_from_creation_to_deletion,
    deletion_of_one_session_leaves_another_of_the_same_phone,
    unanswered_pairing_expires_with_a_reason,
);

fn deletion_of_one_session_leaves_another_of_the_same_phone(deployment: &Deployment) -> Result<()> {
    let stack = &deployment.stack;
    let (a, b) = (deployment.organization()?.api, deployment.organization()?.api);
    let phone = stack.phones.new_phone("Twice")?;
    let (first, second) = (Owned::create(&a, "1")?, Owned::create(&b, "2")?);
    first.link(&phone)?;
    phone.scan(&second.qr()?)?;
    let remaining = second.until_status("working")?["deviceId"].as_u64();
    first.delete()?;
    wait::until_true("only the other device is left", PATIENCE, || {
        Ok(phone.devices()?.iter().map(|device| Some(device.id)).eq([remaining]))
    })?;
    second.until_status("working")?;
    second.delete()?;
    first.must_be_gone(stack, Some(&phone))?;
    second.must_be_gone(stack, Some(&phone))
}

/// No phone scans the QR codes; the pairing ends after minutes.
fn unanswered_pairing_expires_with_a_reason(deployment: &Deployment) -> Result<()> {
    let api = deployment.organization()?.api;
    let reply = api.post(SESSIONS, &json!({ "label": "unanswered", "start": true }))?;
    let id = reply.expect(201)?.json()["id"].as_str().context("a session has an id")?.to_owned();
    let session = Owned { api, id };
    let ended = wait::until("pairing_expired", 4 * PATIENCE, || {
        let view = session.view()?;
        ensure!(view["statusReason"]["code"] == "pairing_expired", "{view}");
        Ok(Some(view))
    })?;
    ensure!(["stopped", "failed"].iter().any(|end| ended["status"] == *end), "{ended}");
    ensure!(ended["desired"] == "stopped", "the pairing continues: {ended}");
    session.delete()?;
    session.must_be_gone(&deployment.stack, None)
}

fn session_lives_from_creation_to_deletion(deployment: &Deployment) -> Result<()> {
    let (stack, organization) = (&deployment.stack, deployment.organization()?);
    let phone = stack.phones.new_phone("Ada's phone")?;
    let session = create(&organization).context("create")?;
    shows_codes(&session).context("QR")?;
    let device = link(&session, &phone).context("link")?;
    stop_and_start(&session, &phone, device).context("stop and start")?;
    phone.unlink(device)?;
    let out = session.until_reason("logged_out_by_phone").context("unlinked on the phone")?;
    ensure!(out["status"] != "working" && out["deviceId"].is_null(), "still linked: {out}");
    session.api.get(&path_of(&session.id, "/me"))?.expect_error(404, "not_found")?;
    link_by_code(&session, &phone).context("link by code")?;
    log_out(&session, &phone).context("log out")?;
    session.link(&phone).context("link again")?;
    let reply = session.api.delete(&path(&session.id))?.expect(204)?;
    ensure!(reply.body.is_empty(), "204 with a body");
    session.must_be_gone(stack, Some(&phone)).context("deleted")
}

fn create(organization: &Organization) -> Result<Owned> {
    let Organization { api, name } = organization;
    let spec = json!({
        "label": "Life", "autoRead": true, "ratePerMin": 10, "metadata": { "team": "blue" },
    });
    let reply = api.post(SESSIONS, &spec)?.expect(201)?;
    let view = reply.json();
    let id = view["id"].as_str().context("a session has an id")?.to_owned();
    ensure!(id.starts_with("sess_"), "the id is {id}");
    ensure!(
        reply.header("location") == Some(&path(&id)),
        "Location: {:?}",
        reply.header("location")
    );
    let missing: Vec<_> = FIELDS.iter().filter(|field| view.get(**field).is_none()).collect();
    ensure!(missing.is_empty(), "these fields are missing: {missing:?}");
    for (field, value) in [
        ("label", json!("Life")),
        ("autoRead", json!(true)),
        ("presenceTyping", json!(false)),
        ("ratePerMin", json!(10)),
        ("ratePerHour", Value::Null),
        ("metadata", json!({ "team": "blue" })),
        ("status", json!("stopped")),
        ("desired", json!("stopped")),
        ("organizationId", json!(name)),
        ("deviceId", Value::Null),
    ] {
        ensure!(view[field] == value, "{field} is {} instead of {value}", view[field]);
    }
    let session = Owned { api: api.clone(), id };
    ensure!(session.view()? == view, "the view differs from the answer to the creation");
    for action in [":start", ":restart"] {
        api.action(&path_of(&session.id, action))?.expect_error(409, "conflict")?;
    }
    api.action(&path_of(&session.id, ":stop"))?.expect(200)?;
    api.action(&path_of(&session.id, ":logout"))?.expect(200)?;
    api.get(&path_of(&session.id, "/me"))?.expect_error(404, "not_found")?;
    Ok(session)
}

fn shows_codes(session: &Owned) -> Result<()> {
    let qr = path_of(&session.id, "/qr?wait=20");
    let shown = session.api.get(&qr)?.expect(200)?.json();
    for field in ["expiresAt", "attempt", "attempts"] {
        ensure!(shown[field].as_u64().is_some_and(|n| n > 0), "{field} is {}", shown[field]);
    }
    let code = shown["code"].as_str().unwrap_or_default();
    ensure!(code.split(',').count() >= 5, "not a QR text: {code:?}");
    let view = session.view()?;
    ensure!(view["status"] == "scan_qr_code" && view["desired"] == "running", "it is {view}");
    for (kind, begins) in [("image/svg+xml", &b"<"[..]), ("image/png", b"\x89PNG\r\n\x1a\n")] {
        let drawn = session.api.send("GET", &qr, &[("Accept", kind)], None)?.expect(200)?;
        ensure!(drawn.header("content-type").is_some_and(|v| v.starts_with(kind)), "not {kind}");
        ensure!(drawn.body.starts_with(begins), "the body is not {kind}");
    }
    Ok(())
}

fn link(session: &Owned, phone: &Phone) -> Result<u64> {
    let view = session.link(phone)?;
    let number = phone.number.as_str();
    let device = view["deviceId"].as_u64().context("no device id")?;
    ensure!(view["waJid"] == format!("{number}:{device}@s.whatsapp.net"), "waJid: {view}");
    ensure!(view["waLid"].as_str().is_some_and(|lid| lid.ends_with("@lid")), "waLid: {view}");
    ensure!(view["gatewayId"].is_string(), "no gateway: {view}");
    ensure!(view["lastConnectedAt"].is_u64(), "never connected: {view}");
    ensure!(view["statusReason"].is_null(), "a working session has a reason: {view}");
    let me = wait::until("`/me` shows the push name", PATIENCE, || {
        let me = session.api.get(&path_of(&session.id, "/me"))?.expect(200)?.json();
        ensure!(me["pushName"] == phone.name.as_str() && me["connected"] == true, "{me}");
        Ok(Some(me))
    })?;
    for field in ["phoneNumber", "waJid", "waLid", "deviceId"] {
        ensure!(me[field] == view[field], "{field}: {} and {}", me[field], view[field]);
    }
    ensure!(me["sessionId"] == session.id.as_str() && me["status"] == "working", "{me}");
    session.until("the session shows the push name", |v| v["pushName"] == phone.name.as_str())?;
    session.api.get(&path_of(&session.id, "/qr"))?.expect_error(409, "conflict")?;
    let code = json!({ "phone": number });
    let refused = session.api.post(&path_of(&session.id, "/pairing-code"), &code)?;
    refused.expect_error(409, "conflict")?;
    Ok(device)
}

fn stop_and_start(session: &Owned, phone: &Phone, device: u64) -> Result<()> {
    let act = |action: &str| -> Result<Value> {
        Ok(session.api.action(&path_of(&session.id, action))?.expect(200)?.json())
    };
    let connected = |wanted: bool| {
        wait::until_true("the phone shows the connection", PATIENCE, || {
            Ok(phone.devices()?.iter().all(|d| d.id == device && d.connected == wanted))
        })
    };
    ensure!(act(":stop")?["desired"] == "stopped", "the desired state is not stopped");
    let stopped = session.until_status("stopped")?;
    ensure!(stopped["deviceId"] == device, "the stop unlinked the device: {stopped}");
    connected(false)?;
    let me = session.api.get(&path_of(&session.id, "/me"))?.expect(200)?.json();
    ensure!(me["connected"] == false && me["deviceId"] == device, "{me}");
    let again = act(":stop")?;
    ensure!(again["version"] == session.view()?["version"], "stopping twice changes something");
    act(":start")?;
    let started = session.until_status("working")?;
    connected(true)?;
    ensure!(act(":start")?["version"] == started["version"], "starting twice changes something");
    act(":restart")?;
    let before = started["lastConnectedAt"].as_u64();
    session.until("the session has a new connection", |view| {
        view["status"] == "working" && view["lastConnectedAt"].as_u64() > before
    })?;
    connected(true)
}

fn link_by_code(session: &Owned, phone: &Phone) -> Result<()> {
    let asked = json!({ "phone": phone.number });
    let shown = session.api.post(&path_of(&session.id, "/pairing-code"), &asked)?.expect(200)?;
    let shown = shown.json();
    let code = shown["code"].as_str().unwrap_or_default();
    let halves = code.split_once('-').context("a pairing code has a dash")?;
    ensure!(halves.0.len() == 4 && halves.1.len() == 4, "the code is {code:?}");
    ensure!(shown["expiresAt"].is_u64(), "the code has no expiry: {shown}");
    phone.enter_code(code)?;
    session.until_linked(phone).map(drop)
}

fn log_out(session: &Owned, phone: &Phone) -> Result<()> {
    let logout = path_of(&session.id, ":logout");
    let answer = session.api.action(&logout)?.expect(200)?.json();
    ensure!(answer["desired"] == "stopped", "the desired state is not stopped: {answer}");
    wait::until_true("the phone shows no device", PATIENCE, || Ok(phone.devices()?.is_empty()))?;
    let out = session.until_reason("logged_out_by_user")?;
    ensure!(out["deviceId"].is_null() && out["status"] == "stopped", "{out}");
    session.api.get(&path_of(&session.id, "/me"))?.expect_error(404, "not_found")?;
    session.api.action(&logout)?.expect(200)?;
    ensure!(
        list(&session.api)?.iter().any(|s| s["id"] == session.id.as_str()),
        "the session is not listed"
    );
    Ok(())
}
