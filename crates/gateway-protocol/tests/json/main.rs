//! The JSON text of every message. Nodes and routers of different versions exchange these texts, so a
//! change of one of them is a change of the protocol.
#![allow(clippy::unwrap_used, reason = "an unexpected result fails the test")]

mod messages;

use gateway_protocol::{
    Attempt, Declaration, Health, Heartbeat, HeartbeatAnswer, HeldSession, Identity, JournalStats,
    LiveIdentity, LoggedOut, Logout, LogoutOutcome, PairingCode, PairingSpec, QrCode, Reason,
    Refusal, RefusalCode, Register, Registered, Reported, Reports, Snapshot, Snapshots, Status,
    reason,
};
use serde::{Serialize, de::DeserializeOwned};

/// Asserts that `message` is written as `text`, and that `text` is read as `message`.
pub(crate) fn assert_json<T>(message: &T, text: &str)
where
    T: Serialize + DeserializeOwned + PartialEq + std::fmt::Debug,
{
    assert_eq!(serde_json::to_string(message).unwrap(), text);
    assert_eq!(serde_json::from_str::<T>(text).unwrap(), *message);
}

/// A stopped session in which every optional field is absent.
fn stopped() -> Snapshot {
    Snapshot {
        session: "sess_1".to_owned(),
        epoch: 2,
        generation: 3,
        seq: 4,
        at: 5,
        status: Status::Stopped,
        reason: None,
        identity: None,
        pairing: None,
    }
}

const STOPPED: &str = r#"{"session":"sess_1","epoch":2,"boot":3,"seq":4,"at":5,"status":"stopped","reason":null,"identity":null,"pairing":null}"#;

fn identity() -> Identity {
    Identity {
        phone: "15550001".to_owned(),
        jid: "15550001:7@s.whatsapp.net".to_owned(),
        lid: Some("99:7@lid".to_owned()),
        device: 7,
        push_name: Some("Ada".to_owned()),
    }
}

const IDENTITY: &str = r#"{"phone":"15550001","jid":"15550001:7@s.whatsapp.net","lid":"99:7@lid","device":7,"pushName":"Ada"}"#;

#[test]
fn declaration_is_camel_case() {
    let pairing = PairingSpec { attempt: 4, phone: Some("15550001".to_owned()), request: 5 };
    let declaration = Declaration {
        epoch: 2,
        running: true,
        restarts: 3,
        pairing: Some(pairing),
        linked: true,
        group: Some("tag".to_owned()),
    };
    assert_json(
        &declaration,
        r#"{"epoch":2,"running":true,"restarts":3,"pairing":{"attempt":4,"phone":"15550001","request":5},"linked":true,"group":"tag"}"#,
    );
}

#[test]
fn declaration_of_an_older_router_has_neither_linked_nor_group() {
    let text = r#"{"epoch":2,"running":false,"restarts":0,"pairing":null}"#;
    let declaration: Declaration = serde_json::from_str(text).unwrap();
    assert_eq!((declaration.linked, declaration.group), (false, None));
}

#[test]
fn snapshot_is_camel_case_and_absent_fields_are_null() {
    assert_json(&stopped(), STOPPED);
    let snapshot = Snapshot {
        status: Status::ScanQrCode,
        reason: Some(Reason {
            code: reason::WAITING_TO_LINK.to_owned(),
            message: "wait".to_owned(),
            retry_at: Some(6),
        }),
        identity: Some(identity()),
        pairing: Some(Attempt {
            attempt: 4,
            qr: Some(QrCode { text: "2@ref".to_owned(), expires_at: 7, number: 1, of: 6 }),
            code: Some(PairingCode {
                code: "ABCD1234".to_owned(),
                request: 5,
                phone: "15550001".to_owned(),
                expires_at: 8,
            }),
        }),
        ..stopped()
    };
    let text = [
        r#"{"session":"sess_1","epoch":2,"boot":3,"seq":4,"at":5,"status":"scan_qr_code","#,
        r#""reason":{"code":"waiting_to_link","message":"wait","retryAt":6},"#,
        r#""identity":"#,
        IDENTITY,
        r#","pairing":{"attempt":4,"qr":{"text":"2@ref","expiresAt":7,"number":1,"of":6},"#,
        r#""code":{"code":"ABCD1234","request":5,"phone":"15550001","expiresAt":8}}}"#,
    ];
    assert_json(&snapshot, &text.concat());
    let snapshots = Snapshots { sessions: vec![stopped()] };
    assert_json(&snapshots, &format!(r#"{{"sessions":[{STOPPED}]}}"#));
}

#[test]
fn status_is_snake_case() {
    for (status, text) in [
        (Status::Stopped, r#""stopped""#),
        (Status::Starting, r#""starting""#),
        (Status::ScanQrCode, r#""scan_qr_code""#),
        (Status::Working, r#""working""#),
        (Status::Failed, r#""failed""#),
    ] {
        assert_json(&status, text);
    }
}

#[test]
fn reason_codes_are_fixed() {
    let codes = [
        (reason::PAIRING_EXPIRED, "pairing_expired"),
        (reason::PAIRING_FAILED, "pairing_failed"),
        (reason::PASSKEY_REQUIRED, "passkey_required"),
        (reason::LOGGED_OUT_BY_USER, "logged_out_by_user"),
        (reason::LOGGED_OUT_BY_PHONE, "logged_out_by_phone"),
        (reason::REPLACED, "replaced"),
        (reason::BANNED, "banned"),
        (reason::CLIENT_OUTDATED, "client_outdated"),
        (reason::CONNECT_FAILED, "connect_failed"),
        (reason::KEYS_UNAVAILABLE, "keys_unavailable"),
        (reason::WAITING_TO_LINK, "waiting_to_link"),
        (reason::CRASHED, "crashed"),
    ];
    for (code, text) in codes {
        assert_eq!(code, text);
    }
}

#[test]
fn logout_and_its_answer_are_camel_case() {
    let logout = Logout { epoch: 2, linked: true, deadline_ms: 10_000 };
    assert_json(&logout, r#"{"epoch":2,"linked":true,"deadlineMs":10000}"#);
    let of_an_older_router = r#"{"epoch":2,"deadlineMs":10000}"#;
    assert!(!serde_json::from_str::<Logout>(of_an_older_router).unwrap().linked);
    for (outcome, text) in [
        (LogoutOutcome::Confirmed, "confirmed"),
        (LogoutOutcome::Unconfirmed, "unconfirmed"),
        (LogoutOutcome::NotLinked, "not_linked"),
    ] {
        let answer = LoggedOut { outcome, snapshot: stopped() };
        assert_json(&answer, &format!(r#"{{"outcome":"{text}","snapshot":{STOPPED}}}"#));
    }
}

#[test]
fn live_identity_is_camel_case() {
    let live =
        LiveIdentity { connected: true, identity: Some(identity()), snapshot: Some(stopped()) };
    let text = [r#"{"connected":true,"identity":"#, IDENTITY, r#","snapshot":"#, STOPPED, "}"];
    assert_json(&live, &text.concat());
    let of_an_older_node = r#"{"connected":false,"identity":null}"#;
    let live = LiveIdentity { connected: false, identity: None, snapshot: None };
    assert_eq!(serde_json::from_str::<LiveIdentity>(of_an_older_node).unwrap(), live);
}

#[test]
fn registration_and_its_answer_are_camel_case() {
    let registration = Register {
        incarnation: "inc".to_owned(),
        address: "http://127.0.0.1:1".to_owned(),
        version: "berth-gateway 0.1.0".to_owned(),
        features: vec!["identity".to_owned()],
        capacity: 500,
    };
    assert_json(
        &registration,
        r#"{"incarnation":"inc","address":"http://127.0.0.1:1","version":"berth-gateway 0.1.0","features":["identity"],"capacity":500}"#,
    );
    let registered = Registered { generation: 3, lease_ms: 30_000, heartbeat_ms: 5_000 };
    assert_json(&registered, r#"{"boot":3,"leaseMs":30000,"beatMs":5000}"#);
}

#[test]
fn heartbeat_and_its_answer_are_camel_case() {
    let heartbeat = Heartbeat {
        incarnation: "inc".to_owned(),
        held: vec![HeldSession { session: "sess_1".to_owned(), epoch: 2 }],
        answered_ago_ms: Some(9),
        journal: Some(JournalStats {
            items: 1,
            bytes: 2,
            oldest_ms: Some(3),
            ..JournalStats::default()
        }),
    };
    assert_json(
        &heartbeat,
        r#"{"incarnation":"inc","held":[{"session":"sess_1","epoch":2}],"heardAgoMs":9,"journal":{"items":1,"bytes":2,"oldestMs":3,"delivered":0,"retried":0,"refused":0,"droppedReceipts":0}}"#,
    );
    let first = Heartbeat {
        incarnation: "inc".to_owned(),
        held: Vec::new(),
        answered_ago_ms: None,
        journal: None,
    };
    assert_json(&first, r#"{"incarnation":"inc","held":[],"heardAgoMs":null}"#);
    let of_an_older_node = r#"{"incarnation":"inc","held":[]}"#;
    assert_eq!(serde_json::from_str::<Heartbeat>(of_an_older_node).unwrap(), first);
    let answer = HeartbeatAnswer { lease_ms: 30_000, lost: vec!["sess_1".to_owned()] };
    assert_json(&answer, r#"{"leaseMs":30000,"lost":["sess_1"]}"#);
}

#[test]
fn reports_and_their_answer_are_camel_case() {
    let reports = Reports { incarnation: "inc".to_owned(), reports: vec![stopped()] };
    assert_json(&reports, &format!(r#"{{"incarnation":"inc","reports":[{STOPPED}]}}"#));
    let answer = Reported { refused: vec!["sess_1".to_owned()] };
    assert_json(&answer, r#"{"refused":["sess_1"]}"#);
}

#[test]
fn health_is_camel_case() {
    let health = Health {
        gateway: "gw-1".to_owned(),
        version: "berth-gateway 0.1.0".to_owned(),
        features: vec!["identity".to_owned()],
        capacity: 500,
        sessions: 2,
        working: 1,
        resident_bytes: 4_096,
        journal: None,
    };
    assert_json(
        &health,
        r#"{"gateway":"gw-1","version":"berth-gateway 0.1.0","features":["identity"],"capacity":500,"sessions":2,"working":1,"residentBytes":4096}"#,
    );
}

#[test]
fn refusal_codes_are_snake_case() {
    for (code, text) in [
        (RefusalCode::StaleEpoch, "stale_epoch"),
        (RefusalCode::UnknownSession, "unknown_session"),
        (RefusalCode::StillLinked, "still_linked"),
        (RefusalCode::AtCapacity, "at_capacity"),
        (RefusalCode::NotRegistered, "not_enlisted"),
        (RefusalCode::Unauthorized, "unauthorized"),
        (RefusalCode::Malformed, "malformed"),
        (RefusalCode::UnknownCall, "unknown_call"),
        (RefusalCode::Unavailable, "unavailable"),
        (RefusalCode::Internal, "internal"),
    ] {
        let refusal = Refusal { code, message: "why".to_owned() };
        assert_json(&refusal, &format!(r#"{{"code":"{text}","message":"why"}}"#));
    }
}
