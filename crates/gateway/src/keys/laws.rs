//! What the engine is promised, held by the engine's own store in memory and by ours alike; and what
//! only ours promises: that it stays, that sessions are apart, and that a wipe leaves nothing.

use std::{
    cell::Cell,
    path::Path,
    sync::{Arc, Mutex, mpsc},
};

use futures_util::future::join_all;
use proptest::{collection::vec, prelude::*, test_runner::TestRunner};
use wacore::store::{InMemoryBackend, traits::Backend};

use super::{
    FILE, KeysState, SessionName, Vault,
    database::{Database, broke},
    rows::{Kind, Marks, failed},
    session::{self, SessionKeys},
    steps::{Step, take},
};

fn name(text: &str) -> SessionName {
    SessionName::parse(text).unwrap()
}

fn open(data: &Path) -> Vault {
    Vault::open(data).unwrap()
}

/// Random lives of sessions in one file, each beside one in memory that it must not differ from, one
/// answer after the other.
#[test]
fn the_engine_finds_what_it_would_find_in_memory() {
    let data = tempfile::tempdir().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let (vault, lives) = (open(data.path()), Cell::new(0));
    let mut runner = TestRunner::new(ProptestConfig {
        failure_persistence: None,
        max_shrink_iters: 200,
        ..ProptestConfig::default()
    });
    let outcome = runner.run(&vec(any::<Step>(), 1..60), |steps| {
        let session = name(&format!("life_{}", lives.replace(lives.get() + 1)));
        runtime.block_on(async {
            let ours = vault.keys(&session).await.unwrap();
            let theirs = InMemoryBackend::new();
            for step in &steps {
                let (ours, theirs) = (take(&*ours, step).await, take(&theirs, step).await);
                prop_assert_eq!(ours, theirs, "{:?}", step);
            }
            Ok(())
        })
    });
    outcome.unwrap();
}

#[tokio::test]
async fn what_was_written_is_there_after_the_file_was_closed() {
    let data = tempfile::tempdir().unwrap();
    let vault = open(data.path());
    let keys = vault.keys(&name("one")).await.unwrap();
    keys.create().await.unwrap();
    let mut device = keys.load().await.unwrap().unwrap();
    device.pn = "15550001:7@s.whatsapp.net".parse().ok();
    device.push_name = "Jo".into();
    keys.save(&device).await.unwrap();
    keys.put_session("a@s.whatsapp.net", b"ratchet").await.unwrap();
    drop((keys, vault));

    let vault = open(data.path());
    assert_eq!(vault.sessions().await.unwrap(), [name("one")]);
    let state = vault.state(&name("one")).await.unwrap();
    let KeysState::Linked(identity) = state else { panic!("{state:?}") };
    assert_eq!((identity.phone.as_str(), identity.device), ("15550001", 7));
    let keys = vault.keys(&name("one")).await.unwrap();
    let again = keys.load().await.unwrap().unwrap();
    assert_eq!(again.noise_key.private_key.serialize(), device.noise_key.private_key.serialize());
    assert_eq!(keys.get_session("a@s.whatsapp.net").await.unwrap().unwrap(), "ratchet");
}

#[tokio::test]
async fn sessions_never_see_each_others_keys_and_a_wipe_takes_one_sessions_all() {
    let data = tempfile::tempdir().unwrap();
    let vault = open(data.path());
    let (goes, stays) = (vault.keys(&name("goes")).await, vault.keys(&name("stays")).await);
    let (goes, stays) = (goes.unwrap(), stays.unwrap());
    goes.put_session("a", b"of the one that goes").await.unwrap();
    assert_eq!(stays.get_session("a").await.unwrap(), None);
    fill(&*goes, 0xA5).await;
    fill(&*stays, 0x5A).await;
    assert_ne!(traces(data.path(), 0xA5), [false, false]);

    vault.wipe(&name("goes")).await.unwrap();
    vault.wipe(&name("goes")).await.unwrap();
    assert_eq!(vault.sessions().await.unwrap(), [name("stays")]);
    assert!(goes.load_prekey(1).await.unwrap().is_none());
    assert_eq!(stays.load_prekey(812).await.unwrap().unwrap(), vec![0x5A; 64]);
    assert_eq!(traces(data.path(), 0xA5), [false, false]);

    // What still holds the old keys brings nothing back, neither there nor into what comes after.
    assert!(goes.put_session("a", b"late").await.is_err());
    let anew = vault.keys(&name("goes")).await.unwrap();
    assert!(goes.put_session("a", b"late").await.is_err());
    assert!(anew.get_session("a").await.unwrap().is_none());
    assert!(!anew.exists().await.unwrap());
}

#[tokio::test]
async fn keys_that_are_void_are_none_and_not_missing() {
    let data = tempfile::tempdir().unwrap();
    let vault = open(data.path());
    assert_eq!(vault.state(&name("one")).await.unwrap(), KeysState::Missing);
    fill(&*vault.keys(&name("one")).await.unwrap(), 0xA5).await;
    vault.void(&name("one")).await.unwrap();
    assert_eq!(traces(data.path(), 0xA5), [false, false], "nothing of them is on the disk");
    drop(vault);
    let vault = open(data.path());
    assert_eq!(vault.state(&name("one")).await.unwrap(), KeysState::NotLinked);
    vault.wipe(&name("one")).await.unwrap();
    assert_eq!(vault.state(&name("one")).await.unwrap(), KeysState::Missing);
}

#[tokio::test]
async fn a_device_that_cannot_be_read_is_neither_linked_nor_not() {
    let data = tempfile::tempdir().unwrap();
    let vault = open(data.path());
    vault.keys(&name("one")).await.unwrap().create().await.unwrap();
    assert_eq!(vault.state(&name("one")).await.unwrap(), KeysState::NotLinked);
    let database = vault.file().unwrap().unwrap();
    let damage = "UPDATE entries SET value = x'7b' WHERE kind = 1";
    database
        .write(move |connection| connection.execute(damage, []).map(drop).map_err(failed))
        .await
        .unwrap();
    assert!(vault.state(&name("one")).await.is_err());
}

#[tokio::test]
async fn a_wipe_that_was_cut_short_is_finished_at_the_next_start() {
    let (data, left) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let vault = open(data.path());
    fill(&*vault.keys(&name("goes")).await.unwrap(), 0xA5).await;
    // Committed, and then the node was killed: the log is as it was.
    let database = vault.file().unwrap().unwrap();
    database.write(|connection| session::delete(connection, "goes")).await.unwrap();
    for end in ["", "-wal"] {
        let file = format!("{FILE}{end}");
        std::fs::copy(data.path().join(&file), left.path().join(&file)).unwrap();
    }
    assert_ne!(traces(left.path(), 0xA5), [false, false]);

    let vault = open(left.path());
    assert_eq!(vault.sessions().await.unwrap(), []);
    assert_eq!(traces(left.path(), 0xA5), [false, false]);
}

/// Rows of every size, some in pages of their own, all of this byte.
async fn fill(keys: &dyn Backend, byte: u8) {
    let prekeys: Vec<_> = (1..=812).map(|id| (id, vec![byte; 64].into())).collect();
    keys.store_prekeys_batch(&prekeys, true).await.unwrap();
    keys.remove_prekey(500).await.unwrap();
    for size in [20, 900, 5_000, 70_000] {
        keys.put_group_metadata(&format!("{size}@g.us"), &vec![byte; size]).await.unwrap();
    }
    keys.delete_group_metadata("5000@g.us").await.unwrap();
}

/// Whether sixteen such bytes in a row are in the file, and in its log.
fn traces(data: &Path, byte: u8) -> [bool; 2] {
    ["", "-wal"].map(|end| {
        let bytes = std::fs::read(data.join(format!("{FILE}{end}"))).unwrap();
        bytes.windows(16).any(|window| window.iter().all(|b| *b == byte))
    })
}

#[tokio::test]
async fn a_write_that_fails_harms_none_of_those_it_shares_a_transaction_with() {
    let data = tempfile::tempdir().unwrap();
    let database = Arc::new(Database::open(&data.path().join(FILE)).unwrap());
    let keys = SessionKeys::open(database, &name("one")).await.unwrap();
    let (go, wait) = mpsc::channel::<()>();
    let wait = Mutex::new(wait);
    // While this one holds the writer up, the others queue behind it.
    let first = keys.write(move |_| {
        let _ = wait.lock().unwrap().recv();
        Ok(())
    });
    let others = join_all((0..10_u8).map(|n| {
        keys.write(move |rows| {
            rows.put(Kind::Session, &[n], b"x", Marks::default())?;
            match n {
                3 => Err(broke("as asked")),
                6 => panic!("asked for by a test"),
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
async fn the_later_of_two_numbers_lids_is_its_lid() {
    let data = tempfile::tempdir().unwrap();
    let keys = open(data.path()).keys(&name("one")).await.unwrap();
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
fn a_file_of_a_newer_program_is_refused_and_one_of_another_kind_is_unreadable() {
    let data = tempfile::tempdir().unwrap();
    let file = data.path().join(FILE);
    drop(open(data.path()));
    let connection = rusqlite::Connection::open(&file).unwrap();
    connection.pragma_update(None, "user_version", 2).unwrap();
    drop(connection);
    let refused = format!("{:#}", Vault::open(data.path()).err().unwrap());
    assert!(refused.contains("keys.db") && refused.contains("newer"), "{refused}");
    std::fs::write(&file, [7; 4096]).unwrap();
    let unreadable = open(data.path());
    assert!(!unreadable.is_readable());
    let Err(why) = unreadable.file() else { panic!("it is no database") };
    assert!(format!("{why:?}").contains("not a database"), "{why:?}");
}

#[cfg(unix)]
#[tokio::test]
async fn the_file_and_its_log_are_for_their_owner_alone() {
    use std::os::unix::fs::PermissionsExt as _;
    let data = tempfile::tempdir().unwrap();
    let vault = open(data.path());
    vault.keys(&name("one")).await.unwrap();
    for end in ["", "-wal", "-shm"] {
        let file = std::fs::metadata(data.path().join(format!("{FILE}{end}"))).unwrap();
        assert_eq!(file.permissions().mode() & 0o777, 0o600, "{end}");
    }
}
