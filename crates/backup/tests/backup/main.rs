//! Back-ups that are whole, cut, altered, of another key and of a newer program.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    fs,
    path::{Path, PathBuf},
};

use backup::{Archive, BackupError, Manifest, NewFolder, sqlite};
use rusqlite::Connection;
use sealing::FileKey;
use tempfile::TempDir;

fn key(number: usize) -> FileKey {
    let texts = [
        "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=",
        "AQECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=",
    ];
    texts[number].parse().unwrap()
}

struct Fixture {
    folder: TempDir,
    back_up: PathBuf,
}

/// Writes a back-up of files with these lengths.
fn fixture(lengths: &[usize]) -> Fixture {
    let folder = tempfile::tempdir().unwrap();
    let names = ["a.db", "b.db", "c.db"];
    let sources: Vec<_> = names
        .iter()
        .zip(lengths)
        .map(|(name, length)| {
            let path = folder.path().join(format!("source-{name}"));
            let content: Vec<u8> = (0..*length).map(|at| u8::try_from(at % 251).unwrap()).collect();
            fs::write(&path, content).unwrap();
            (*name, path)
        })
        .collect();
    let back_up = folder.path().join("back-up");
    let sources: Vec<_> = sources.iter().map(|(name, path)| (*name, path.as_path())).collect();
    let mut manifest = Manifest::new("berth", "1.0.0", 1_801_387_800_007);
    manifest.seal_keys = vec!["2026a".to_owned()];
    manifest.layouts.insert("a.db".to_owned(), "3".to_owned());
    backup::write(&back_up, manifest, &sources, &key(0)).unwrap();
    Fixture { folder, back_up }
}

fn extract(back_up: &Path, key: &FileKey) -> Result<TempDir, BackupError> {
    let target = tempfile::tempdir().unwrap();
    Archive::open(back_up)?.extract(key, target.path())?;
    Ok(target)
}

#[test]
fn files_of_every_length_are_restored() {
    const CHUNK: usize = 1 << 20;
    for lengths in
        [&[0][..], &[5], &[CHUNK], &[CHUNK - 1, 1], &[3, 2 * CHUNK, 0], &[2 * CHUNK + 7, 9]]
    {
        let Fixture { folder, back_up } = fixture(lengths);
        let target = extract(&back_up, &key(0)).unwrap();
        for (name, _) in ["a.db", "b.db", "c.db"].iter().zip(lengths) {
            let source = fs::read(folder.path().join(format!("source-{name}"))).unwrap();
            assert!(fs::read(target.path().join(name)).unwrap() == source, "{lengths:?} {name}");
        }
    }
}

#[test]
fn cut_and_altered_files_are_refused() {
    let Fixture { folder, back_up } = fixture(&[3000, 40]);
    let whole = fs::read(&back_up).unwrap();
    let damaged = folder.path().join("damaged");
    for length in (0..whole.len()).step_by(37).chain([whole.len() - 1]) {
        fs::write(&damaged, &whole[..length]).unwrap();
        let error = extract(&damaged, &key(0)).unwrap_err();
        let is_named = matches!(error, BackupError::Cut(_) | BackupError::NotABackup(_));
        assert!(is_named, "{length}: {error}");
    }
    for at in (0..whole.len()).step_by(11) {
        let mut altered = whole.clone();
        altered[at] ^= 1;
        fs::write(&damaged, &altered).unwrap();
        assert!(extract(&damaged, &key(0)).is_err(), "{at}");
    }
    fs::write(&damaged, [whole.as_slice(), b"x"].concat()).unwrap();
    assert!(matches!(extract(&damaged, &key(0)), Err(BackupError::Altered(_))));
}

#[test]
fn other_key_is_refused_by_its_id() {
    let fixture = fixture(&[10]);
    let error = extract(&fixture.back_up, &key(1)).unwrap_err().to_string();
    assert!(error.contains(key(0).id()) && error.contains(key(1).id()), "{error}");
}

#[test]
fn newer_format_and_layout_are_refused() {
    let Fixture { folder, back_up } = fixture(&[10]);
    let archive = Archive::open(&back_up).unwrap();
    let manifest = archive.manifest();
    assert_eq!(manifest.time(), "2027-01-31 09:30:00Z");
    assert!(
        manifest.expect_layout("a.db", "3").is_ok() && manifest.expect_layout("a.db", "10").is_ok()
    );
    assert!(matches!(manifest.expect_layout("a.db", "2"), Err(BackupError::Newer { .. })));
    assert!(matches!(
        manifest.expect_program("berth-gateway"),
        Err(BackupError::OtherProgram { .. })
    ));
    let whole = fs::read(&back_up).unwrap();
    let newer = String::from_utf8_lossy(&whole[..60]).find("\"format\":1").unwrap() + 9;
    let mut altered = whole;
    altered[newer] = b'9';
    let path = folder.path().join("newer");
    fs::write(&path, altered).unwrap();
    assert!(matches!(Archive::open(&path), Err(BackupError::Newer { .. })));
}

#[test]
fn existing_file_is_not_replaced() {
    let Fixture { folder, back_up } = fixture(&[10]);
    let before = fs::read(&back_up).unwrap();
    let source = folder.path().join("source-a.db");
    let again = backup::write(
        &back_up,
        Manifest::new("berth", "1", 1),
        &[("a.db", source.as_path())],
        &key(0),
    );
    assert!(matches!(again, Err(BackupError::Exists(_))));
    assert_eq!(fs::read(&back_up).unwrap(), before);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2, "no unfinished file remains");
}

#[test]
fn database_in_use_is_copied_in_one_state() {
    let folder = tempfile::tempdir().unwrap();
    let (source, copy) = (folder.path().join("a.db"), folder.path().join("copy.db"));
    let mut writer = Connection::open(&source).unwrap();
    writer.pragma_update(None, "journal_mode", "WAL").unwrap();
    writer.execute_batch("CREATE TABLE sessions (name TEXT); PRAGMA user_version = 4;").unwrap();
    writer.execute("INSERT INTO sessions VALUES ('committed')", []).unwrap();
    let transaction = writer.transaction().unwrap();
    transaction.execute("INSERT INTO sessions VALUES ('open')", []).unwrap();
    sqlite::copy(&source, &copy).unwrap();
    transaction.commit().unwrap();
    assert_eq!(sqlite::count_sessions(&copy).unwrap(), 1);
    assert_eq!(sqlite::layout(&copy).unwrap(), 4);
    sqlite::check(&copy).unwrap();
    assert!(sqlite::copy(&source, &copy).is_err(), "the copy exists");
    assert!(sqlite::copy(&folder.path().join("none.db"), &folder.path().join("x")).is_err());
    fs::write(&copy, vec![7; 8192]).unwrap();
    assert!(sqlite::check(&copy).is_err(), "no database");
}

#[test]
fn restore_that_fails_leaves_nothing() {
    let parent = tempfile::tempdir().unwrap();
    let target = parent.path().join("data");
    drop(NewFolder::create(&target).unwrap());
    assert!(!target.exists());
    fs::create_dir(&target).unwrap();
    let new = NewFolder::create(&target).unwrap();
    fs::write(new.unfinished().join("a.db"), "x").unwrap();
    drop(new);
    assert_eq!(fs::read_dir(&target).unwrap().count(), 0);
    let new = NewFolder::create(&target).unwrap();
    fs::write(new.unfinished().join("a.db"), "x").unwrap();
    new.finish(&["a.db"]).unwrap();
    let names: Vec<_> =
        fs::read_dir(&target).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names, ["a.db"]);
    assert!(matches!(NewFolder::create(&target), Err(BackupError::NotEmpty(_))));
}
