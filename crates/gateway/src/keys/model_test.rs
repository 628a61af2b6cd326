//! Tests the key store against the engine's store in memory as a model, and tests its own
//! guarantees: durability, isolation of sessions, and complete wipes.

use std::{
    cell::Cell,
    path::Path,
    sync::{Arc, Mutex, mpsc},
};

use futures_util::future::join_all;
use proptest::{collection::vec, prelude::*, test_runner::TestRunner};
use wacore::store::{
    InMemoryBackend,
    traits::{Backend, LidPnMappingEntry},
};

use super::{
    FILE_NAME, KeyStore, KeysState, LAYOUT, NewMappings,
    operations::{StoreOperation, apply},
    rows::{IndexColumns, Kind},
    session_keys::{self, SessionKeys},
};
use crate::{
    session_name::SessionName,
    sqlite::{Database, database_error, sqlite_error},
};

fn name(text: &str) -> SessionName {
    SessionName::parse(text).unwrap()
}

fn open(data: &Path) -> KeyStore {
    KeyStore::open(data).unwrap()
}

/// Random operations on sessions of one file; each answer must equal the answer of a store in
/// memory.
#[test]
fn file_store_answers_like_the_memory_store() {
    let data = tempfile::tempdir().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let (key_store, lives) = (open(data.path()), Cell::new(0));
    let mut runner = TestRunner::new(ProptestConfig {
        failure_persistence: None,
        max_shrink_iters: 200,
        ..ProptestConfig::default()
    });
    let outcome = runner.run(&vec(any::<StoreOperation>(), 1..60), |operations| {
        let session = name(&format!("life_{}", lives.replace(lives.get() + 1)));
        runtime.block_on(async {
            let ours = key_store.keys(&session, None).await.unwrap();
            let theirs = InMemoryBackend::new();
            for operation in &operations {
                let (ours, theirs) =
                    (apply(&*ours, operation).await, apply(&theirs, operation).await);
                prop_assert_eq!(ours, theirs, "{:?}", operation);
            }
            Ok(())
        })
    });
    outcome.unwrap();
}

#[tokio::test]
async fn written_keys_survive_reopening_the_file() {
    let data = tempfile::tempdir().unwrap();
    let key_store = open(data.path());
    let keys = key_store.keys(&name("one"), None).await.unwrap();
    keys.create().await.unwrap();
    let mut device = keys.load().await.unwrap().unwrap();
    device.pn = "15550001:7@s.whatsapp.net".parse().ok();
    device.push_name = "Jo".into();
    keys.save(&device).await.unwrap();
    keys.put_session("a@s.whatsapp.net", b"ratchet").await.unwrap();
    drop((keys, key_store));

    let key_store = open(data.path());
    assert_eq!(key_store.sessions().await.unwrap(), [name("one")]);
    let state = key_store.state(&name("one")).await.unwrap();
    let KeysState::Linked(identity) = state else { panic!("{state:?}") };
    assert_eq!((identity.phone.as_str(), identity.device), ("15550001", 7));
    let keys = key_store.keys(&name("one"), None).await.unwrap();
    let again = keys.load().await.unwrap().unwrap();
    assert_eq!(again.noise_key.private_key.serialize(), device.noise_key.private_key.serialize());
    assert_eq!(keys.get_session("a@s.whatsapp.net").await.unwrap().unwrap(), "ratchet");
}

#[tokio::test]
async fn sessions_are_isolated_and_wipe_removes_all_keys_of_one() {
    let data = tempfile::tempdir().unwrap();
    let key_store = open(data.path());
    let (goes, stays) =
        (key_store.keys(&name("goes"), None).await, key_store.keys(&name("stays"), None).await);
    let (goes, stays) = (goes.unwrap(), stays.unwrap());
    goes.put_session("a", b"of the wiped session").await.unwrap();
    assert_eq!(stays.get_session("a").await.unwrap(), None);
    fill(&*goes, 0xA5).await;
    fill(&*stays, 0x5A).await;
    assert_ne!(traces(data.path(), 0xA5), [false, false]);

    key_store.wipe(&name("goes")).await.unwrap();
    key_store.wipe(&name("goes")).await.unwrap();
    assert_eq!(key_store.sessions().await.unwrap(), [name("stays")]);
    assert!(goes.load_prekey(1).await.unwrap().is_none());
    assert_eq!(stays.load_prekey(812).await.unwrap().unwrap(), vec![0x5A; 64]);
    assert_eq!(traces(data.path(), 0xA5), [false, false]);

    // Old handles must not restore rows, neither of the wiped session nor of its successor.
    assert!(goes.put_session("a", b"late").await.is_err());
    let anew = key_store.keys(&name("goes"), None).await.unwrap();
    assert!(goes.put_session("a", b"late").await.is_err());
    assert!(anew.get_session("a").await.unwrap().is_none());
    assert!(!anew.exists().await.unwrap());
}

#[tokio::test]
async fn discarded_keys_are_not_linked_and_not_missing() {
    let data = tempfile::tempdir().unwrap();
    let key_store = open(data.path());
    assert_eq!(key_store.state(&name("one")).await.unwrap(), KeysState::Missing);
    fill(&*key_store.keys(&name("one"), None).await.unwrap(), 0xA5).await;
    key_store.discard(&name("one")).await.unwrap();
    assert_eq!(traces(data.path(), 0xA5), [false, false], "the disk has no trace");
    drop(key_store);
    let key_store = open(data.path());
    assert_eq!(key_store.state(&name("one")).await.unwrap(), KeysState::NotLinked);
    key_store.wipe(&name("one")).await.unwrap();
    assert_eq!(key_store.state(&name("one")).await.unwrap(), KeysState::Missing);
}

#[tokio::test]
async fn unreadable_device_is_an_error() {
    let data = tempfile::tempdir().unwrap();
    let key_store = open(data.path());
    key_store.keys(&name("one"), None).await.unwrap().create().await.unwrap();
    assert_eq!(key_store.state(&name("one")).await.unwrap(), KeysState::NotLinked);
    let database = key_store.file().unwrap().unwrap();
    let damage = "UPDATE entries SET value = x'7b' WHERE kind = 1";
    database
        .write(move |connection| connection.execute(damage, []).map(drop).map_err(sqlite_error))
        .await
        .unwrap();
    assert!(key_store.state(&name("one")).await.is_err());
}

#[tokio::test]
async fn interrupted_wipe_is_finished_at_the_next_start() {
    let (data, left) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let key_store = open(data.path());
    fill(&*key_store.keys(&name("goes"), None).await.unwrap(), 0xA5).await;
    // The delete is committed and the log is not cleared, as after a kill.
    let database = key_store.file().unwrap().unwrap();
    database.write(|connection| session_keys::delete(connection, "goes")).await.unwrap();
    for end in ["", "-wal"] {
        let file = format!("{FILE_NAME}{end}");
        std::fs::copy(data.path().join(&file), left.path().join(&file)).unwrap();
    }
    assert_ne!(traces(left.path(), 0xA5), [false, false]);

    let key_store = open(left.path());
    assert_eq!(key_store.sessions().await.unwrap(), []);
    assert_eq!(traces(left.path(), 0xA5), [false, false]);
}

/// Writes rows of all sizes, some with overflow pages, filled with this byte.
async fn fill(keys: &dyn Backend, byte: u8) {
    let prekeys: Vec<_> = (1..=812).map(|id| (id, vec![byte; 64].into())).collect();
    keys.store_prekeys_batch(&prekeys, true).await.unwrap();
    keys.remove_prekey(500).await.unwrap();
    for size in [20, 900, 5_000, 70_000] {
        keys.put_group_metadata(&format!("{size}@g.us"), &vec![byte; size]).await.unwrap();
    }
    keys.delete_group_metadata("5000@g.us").await.unwrap();
}

/// Returns whether 16 such bytes in a row are in the file and in its log.
fn traces(data: &Path, byte: u8) -> [bool; 2] {
    ["", "-wal"].map(|end| {
        let bytes = std::fs::read(data.join(format!("{FILE_NAME}{end}"))).unwrap();
        bytes.windows(16).any(|window| window.iter().all(|b| *b == byte))
    })
}

#[tokio::test]
async fn failed_write_does_not_fail_others_of_its_batch() {
    let data = tempfile::tempdir().unwrap();
    let database = Arc::new(Database::open(&data.path().join(FILE_NAME), LAYOUT).unwrap());
    let keys = SessionKeys::open(database, &name("one")).await.unwrap();
    let (go, wait) = mpsc::channel::<()>();
    let wait = Mutex::new(wait);
    // The first write blocks the writer, so that the others queue.
    let first = keys.write(move |_| {
        let _ = wait.lock().unwrap().recv();
        Ok(())
    });
    let others = join_all((0..10_u8).map(|n| {
        keys.write(move |rows| {
            rows.put(Kind::Session, &[n], b"x", IndexColumns::default())?;
            match n {
                3 => Err(database_error("requested")),
                6 => panic!("requested by a test"),
                _ => Ok(()),
            }
        })
    }));
    let (first, others, ()) = tokio::join!(first, others, async { drop(go) });
    first.unwrap();
    for (n, other) in (0_u8..).zip(others) {
        let failed = [3, 6].contains(&n);
        assert_eq!(other.is_err(), failed, "{n}");
        assert_eq!(keys.get(Kind::Session, [n]).await.unwrap().is_none(), failed, "{n}");
    }
}

#[tokio::test]
async fn newest_lid_mapping_of_a_number_wins() {
    let data = tempfile::tempdir().unwrap();
    let keys = open(data.path()).keys(&name("one"), None).await.unwrap();
    for (lid, updated_at) in [("1", 10), ("2", 30), ("3", 20)] {
        let entry = wacore::store::traits::LidPnMappingEntry {
            lid: lid.into(),
            phone_number: "555".into(),
            created_at: 0,
            updated_at,
            learning_source: "usync".into(),
        };
        keys.put_lid_mapping(&entry).await.unwrap();
    }
    assert_eq!(keys.get_pn_mapping("555").await.unwrap().unwrap().lid, "2");
    assert!(keys.get_pn_mapping("55").await.unwrap().is_none());
}

#[test]
fn newer_layout_is_rejected_and_foreign_file_is_unreadable() {
    let data = tempfile::tempdir().unwrap();
    let file = data.path().join(FILE_NAME);
    drop(open(data.path()));
    let connection = rusqlite::Connection::open(&file).unwrap();
    connection.pragma_update(None, "user_version", 2).unwrap();
    drop(connection);
    let refused = format!("{:#}", KeyStore::open(data.path()).err().unwrap());
    assert!(refused.contains("keys.db") && refused.contains("newer"), "{refused}");
    std::fs::write(&file, [7; 4096]).unwrap();
    let unreadable = open(data.path());
    assert!(!unreadable.is_readable());
    let Err(why) = unreadable.file() else { panic!("the file is not a database") };
    assert!(format!("{why:?}").contains("not a database"), "{why:?}");
}

#[cfg(unix)]
#[tokio::test]
async fn key_files_are_readable_by_their_owner_only() {
    use std::os::unix::fs::PermissionsExt as _;
    let data = tempfile::tempdir().unwrap();
    let key_store = open(data.path());
    key_store.keys(&name("one"), None).await.unwrap();
    for end in ["", "-wal", "-shm"] {
        let file = std::fs::metadata(data.path().join(format!("{FILE_NAME}{end}"))).unwrap();
        assert_eq!(file.permissions().mode() & 0o777, 0o600, "{end}");
    }
}

/// Records the mappings that a store calls new.
#[derive(Default)]
struct Observed(Mutex<Vec<(String, String)>>);

impl NewMappings for Observed {
    fn on_new_mappings(&self, mappings: Vec<(String, String)>) {
        self.0.lock().unwrap().extend(mappings);
    }
}

#[tokio::test]
async fn new_and_changed_mappings_are_told_once() {
    let data = tempfile::tempdir().unwrap();
    let key_store = open(data.path());
    let observed = Arc::new(Observed::default());
    let keys = key_store.keys(&name("one"), Some(observed.clone())).await.unwrap();
    let mapping = |lid: &str, phone: &str| LidPnMappingEntry {
        lid: lid.into(),
        phone_number: phone.into(),
        created_at: 1,
        updated_at: 1,
        learning_source: "usync".into(),
    };
    keys.put_lid_mapping(&mapping("9", "1")).await.unwrap();
    keys.put_lid_mappings(&[mapping("9", "1"), mapping("8", "2")]).await.unwrap();
    keys.put_lid_mapping(&mapping("9", "3")).await.unwrap();
    let pair = |lid: &str, phone: &str| (lid.to_owned(), phone.to_owned());
    assert_eq!(*observed.0.lock().unwrap(), [pair("9", "1"), pair("8", "2"), pair("9", "3")]);
}

#[tokio::test]
async fn copy_of_a_sent_message_is_known_until_it_is_taken() {
    let data = tempfile::tempdir().unwrap();
    let key_store = open(data.path());
    let keys = key_store.keys(&name("one"), None).await.unwrap();
    keys.store_sent_message("9@lid", "A", b"text").await.unwrap();
    let has = async |session, chat, id| {
        key_store.has_sent_message(&name(session), chat, id).await.unwrap()
    };
    assert!(has("one", "9@lid", "A").await);
    assert!(!has("one", "9@lid", "B").await && !has("one", "8@lid", "A").await);
    assert!(!has("two", "9@lid", "A").await);
    keys.take_sent_message("9@lid", "A").await.unwrap();
    assert!(!has("one", "9@lid", "A").await);
}
