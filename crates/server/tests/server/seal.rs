//! Seal keys and the command `berth seal`.

use std::{fs, os::unix::fs::PermissionsExt as _};

use serde_json::{Value, json};

use crate::berth::{Folder, text};

const KEY: &str = "2026=AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

fn status(folder: &Folder, flags: &[&str]) -> Value {
    let output = folder.run(&[&["seal", "status", "--json"], flags].concat());
    assert!(output.status.success(), "{}", text(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn sqlite_gets_a_key_file_that_its_owner_alone_can_read() {
    let folder = Folder::new();
    assert_eq!(status(&folder, &[]), json!([]));
    let output = folder.run(&["seal", "status"]);
    assert!(text(&output.stdout).contains("no seal key"));
    let serving = folder.serve();
    let file = folder.path("seal.key");
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    let local = json!([{
        "id": "local", "configured": true, "first": true, "organizations": 0, "removable": false,
    }]);
    assert_eq!(status(&folder, &[]), local);
    let lines = text(&folder.run(&["seal", "status"]).stdout);
    assert_eq!(lines, "local  0 organizations  seals\n");
    let before = fs::read(&file).unwrap();
    drop(serving);
    drop(folder.serve());
    assert_eq!(fs::read(&file).unwrap(), before);
}

#[test]
fn configured_key_replaces_the_file_and_is_never_shown() {
    let folder = Folder::new();
    let output = folder.run(&["seal", "status", "--seal-keys", KEY]);
    assert_eq!(text(&output.stdout), "2026  0 organizations  seals\n");
    for wrong in ["canary", "a=canary", "a=AAAA"] {
        let output = folder.run(&["seal", "status", "--seal-keys", wrong]);
        let error = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{error}");
        assert!(error.contains("seal_keys") && !error.contains("canary"), "{error}");
    }
}
