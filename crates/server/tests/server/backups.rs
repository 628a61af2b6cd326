//! `berth backup` and `berth restore`.

use std::{fs, process::Output};

use serde_json::Value;

use crate::berth::{Folder, shown, text};

const KEY: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
const OTHER_KEY: &str = "AQECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

fn back_up(folder: &Folder, name: &str) -> Output {
    let key = shown(&folder.write("backup.key", &format!("{KEY}\n")));
    let to = shown(&folder.path(name));
    folder.command(&["backup", "--to", &to]).env("BERTH_BACKUP_KEY_FILE", key).output().unwrap()
}

fn restore(to: &Folder, from: &str, key: &str) -> Output {
    to.command(&["restore", "--from", from]).env("BERTH_BACKUP_KEY", key).output().unwrap()
}

#[track_caller]
fn assert_refused(ended: &Output, word: &str) {
    let message = text(&ended.stderr);
    assert!(!ended.status.success() && message.contains(word), "{word}: {message}");
    assert_eq!(message.lines().count(), 1, "{message}");
}

#[test]
fn back_up_of_a_serving_berth_restores_into_another_folder() {
    let (old, new) = (Folder::new(), Folder::new());
    let key = old.key("acme", &[]);
    let berth = old.serve();
    let made = back_up(&old, "back-up");
    assert!(made.status.success(), "{}", text(&made.stderr));
    let expected = [
        "back-up",
        "backup.key",
        "berth.db",
        "berth.db-server.lock",
        "berth.db-shm",
        "berth.db-wal",
        "seal.key",
    ];
    assert_eq!(old.names(), expected, "no unsealed copy remains");
    drop(berth);
    let ended = restore(&new, &shown(&old.path("back-up")), KEY);
    assert!(ended.status.success(), "{}", text(&ended.stderr));
    assert!(text(&ended.stdout).contains("API keys that were revoked after"));
    assert_eq!(new.names(), ["berth.db"]);
    let berth = new.serve();
    assert_eq!(berth.get("listen", "/api/v1/sessions", Some(&key)).status, 200);
}

#[test]
fn unusable_back_up_is_refused_and_changes_nothing() {
    let (old, new) = (Folder::new(), Folder::new());
    old.key("acme", &[]);
    assert!(back_up(&old, "whole").status.success());
    let whole = fs::read(old.path("whole")).unwrap();
    let variant = |name: &str, bytes: &[u8]| {
        fs::write(old.path(name), bytes).unwrap();
        shown(&old.path(name))
    };
    let mut altered = whole.clone();
    let last = altered.len() - 1;
    altered[last] ^= 1;
    let newer = text(&whole[14 + 4..14 + 4 + 12]).replace("\"format\":1", "\"format\":9");
    let newer = [&whole[..18], newer.as_bytes(), &whole[18 + newer.len()..]].concat();
    for (file, key, word) in [
        (variant("cut", &whole[..whole.len() - 100]), KEY, "is cut"),
        (variant("altered", &altered), KEY, "was altered"),
        (variant("other", b"no back-up"), KEY, "is not a back-up"),
        (variant("newer", &newer), KEY, "newer program"),
        (shown(&old.path("whole")), OTHER_KEY, "sealed by the key"),
        (shown(&old.path("whole")), "canary", "BERTH_BACKUP_KEY is not a key"),
    ] {
        assert_refused(&restore(&new, &file, key), word);
        assert_eq!(new.names(), Vec::<String>::new(), "{word}");
    }
    let without = new.command(&["restore", "--from", &shown(&old.path("whole"))]).output().unwrap();
    assert_refused(&without, "BERTH_BACKUP_KEY_FILE");
    let before = fs::read(old.path("berth.db")).unwrap();
    assert_refused(&restore(&old, &shown(&old.path("whole")), KEY), "exists already");
    assert_eq!(fs::read(old.path("berth.db")).unwrap(), before);
    assert_refused(&back_up(&old, "whole"), "exists already");
    assert_eq!(fs::read(old.path("whole")).unwrap(), whole);
}

#[test]
fn restore_without_the_seal_keys_is_refused_by_their_ids() {
    let (old, new) = (Folder::new(), Folder::new());
    let key = old.key("acme", &[]);
    let berth = old.serve();
    // A webhook has a secret, which the seal key of the folder protects.
    let secret = "a-secret-of-at-least-24-characters";
    let body = format!(r#"{{"url":"https://receiver.example/hook","secret":"{secret}"}}"#);
    let made = berth.post("listen", "/api/v1/webhooks", &key, &body);
    assert_eq!(made.status, 201, "{}", made.body);
    let ended = back_up(&old, "back-up");
    assert!(text(&ended.stdout).contains("Keep them elsewhere: local"), "{}", text(&ended.stdout));
    drop(berth);
    let file = shown(&old.path("back-up"));
    assert_refused(&restore(&new, &file, KEY), "local");
    assert_eq!(new.names(), Vec::<String>::new());
    new.write("seal.key", &format!("local={OTHER_KEY}"));
    assert_refused(&restore(&new, &file, KEY), "do not open");
    assert_eq!(new.names(), ["seal.key"]);
    fs::copy(old.path("seal.key"), new.path("seal.key")).unwrap();
    let ended = restore(&new, &file, KEY);
    assert!(ended.status.success(), "{}", text(&ended.stderr));
    let list = new.run(&["seal", "status", "--json"]);
    let list: Value = serde_json::from_slice(&list.stdout).unwrap();
    assert_eq!((&list[0]["id"], &list[0]["organizations"]), (&"local".into(), &1.into()));
}

#[test]
fn restored_sessions_have_numbers_that_were_never_given_out() {
    let (old, new) = (Folder::new(), Folder::new());
    let key = old.key("acme", &[]);
    let berth = old.serve();
    let made = berth.post("listen", "/api/v1/sessions", &key, r#"{"label":"shop"}"#);
    assert_eq!(made.status, 201, "{}", made.body);
    assert!(back_up(&old, "back-up").status.success());
    drop(berth);
    assert!(restore(&new, &shown(&old.path("back-up")), KEY).status.success());
    let berth = new.serve();
    let listed = berth.get("listen", "/api/v1/sessions", Some(&key)).json();
    assert!(listed["data"][0]["version"].as_u64().unwrap() > 1_000_000, "{listed}");
    let id = listed["data"][0]["id"].as_str().unwrap();
    let deleted = berth.ask("listen", "DELETE", &format!("/api/v1/sessions/{id}"), Some(&key));
    assert_eq!(deleted.status, 204, "{}", deleted.body);
    let events = berth.get("listen", &format!("/api/v1/audit?sessionId={id}"), Some(&key)).json();
    assert!(events["data"][0]["sequence"].as_u64().unwrap() > 1_000_000, "{events}");
}
