//! Back-ups of a node's folder: sessions that go on from an older copy, and refusals.

use std::{
    fs,
    path::{Path, PathBuf},
};

use gateway::{
    BackupFlags, DataFolderFlags, RestoreFlags, RestoredSession,
    operate::{back_up, restore},
};
use gateway_protocol::Declaration;
use tempfile::TempDir;
use whatsapp_sim::{OutgoingMessage, Phone};

use crate::{
    fixture::{NodeFixture, reason_code, running},
    outbound::text_to,
    wait::{PATIENCE, until},
};

const ANN: &str = "15550000001";
const BOB: &str = "15550000002";
const KEY: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
const OTHER_KEY: &str = "AQECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

fn place(data: &Path, key: Option<&str>) -> DataFolderFlags {
    DataFolderFlags { data: data.to_owned(), backup_key: key.map(|key| key.to_owned().into()) }
}

/// A folder outside the node's data, with a back-up of it.
struct Copy {
    folder: TempDir,
    file: PathBuf,
}

fn copy_of(data: &Path) -> Copy {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("back-up");
    back_up(&BackupFlags { to: file.clone(), place: place(data, Some(KEY)) }).unwrap();
    let names = fs::read_dir(data).unwrap().map(|entry| entry.unwrap().file_name());
    let left = names.filter(|name| name.to_str().unwrap().starts_with("backup-copy")).count();
    assert_eq!(left, 0, "an unsealed copy remains");
    Copy { folder, file }
}

impl Copy {
    fn restore(&self, data: &Path) -> anyhow::Result<Vec<RestoredSession>> {
        let flags = RestoreFlags { from: self.file.clone(), place: place(data, Some(KEY)) };
        restore(&flags).map(|(_, sessions)| sessions)
    }
}

/// Stops the node, restores the copy into another folder, and starts a node there.
async fn restart_from(fixture: &mut NodeFixture, copy: &Copy) -> Vec<RestoredSession> {
    fixture.node.take().unwrap().stop().await;
    let parent = TempDir::new().unwrap();
    // The folder of the fixture is the parent's child, which the restore creates.
    let sessions = copy.restore(&parent.path().join("data")).unwrap();
    let inner = TempDir::new().unwrap();
    fs::remove_dir(inner.path()).unwrap();
    fs::rename(parent.path().join("data"), inner.path()).unwrap();
    fixture.data = inner;
    fixture.restart().await;
    sessions
}

async fn linked() -> (NodeFixture, Phone, Phone) {
    let fixture = NodeFixture::new().await;
    let ann = fixture.whatsapp.add_phone(ANN, "Ann").unwrap();
    let bob = fixture.whatsapp.add_phone(BOB, "Bob").unwrap();
    fixture.linked("s1", &ann).await;
    (fixture, ann, bob)
}

fn write_text(phone: &Phone, to: &str, text: &str) {
    phone.send(to, &OutgoingMessage::text(text)).unwrap();
}

/// Sends `count` messages in each direction and waits for all of them.
async fn exchange(fixture: &NodeFixture, bob: &Phone, name: &str, count: usize, epoch: u64) {
    for number in 0..count {
        let (to_ann, outbox) = (format!("{name} to ann {number}"), format!("{name}_{number}"));
        write_text(bob, ANN, &to_ann);
        fixture.router.message("s1", &to_ann).await;
        fixture.api.send("s1", &text_to(&[(&outbox, 1, BOB)], epoch)).await.unwrap();
        let is_there =
            bob.wait_message(PATIENCE, |message| message.text.as_deref() == Some(&outbox));
        assert!(is_there.await.is_some(), "{outbox}");
    }
}

fn linked_declaration(epoch: u64) -> Declaration {
    Declaration { linked: true, ..running(epoch) }
}

#[tokio::test(flavor = "multi_thread")]
async fn restored_session_goes_on_in_both_directions_without_a_new_link() {
    for before_and_after in [[0, 0], [1, 1], [3, 70]] {
        let [before, after] = before_and_after;
        let (mut fixture, ann, bob) = linked().await;
        exchange(&fixture, &bob, "before", before, 1).await;
        let copy = copy_of(fixture.data.path());
        exchange(&fixture, &bob, "after", after, 1).await;
        let sessions = restart_from(&mut fixture, &copy).await;
        assert_eq!(sessions, [RestoredSession { name: "s1".into(), linked: true }]);
        let device = ann.devices()[0].id;
        fixture.api.declare("s1", &linked_declaration(1_000_001)).await.unwrap();
        fixture.api.working("s1").await;
        exchange(&fixture, &bob, "restored", 3, 1_000_001).await;
        write_text(&ann, BOB, "typed on the phone");
        fixture.router.message("s1", "typed on the phone").await;
        assert_eq!((ann.devices().len(), ann.devices()[0].id), (1, device), "the same device");
        let texts = bob.texts();
        for number in 0..3 {
            let id = format!("restored_{number}");
            assert_eq!(texts.iter().filter(|text| **text == id).count(), 1, "{before_and_after:?}");
        }
        fixture.end().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_in_the_journal_of_the_copy_are_delivered_after_the_restore() {
    let (mut fixture, _, bob) = linked().await;
    write_text(&bob, ANN, "stored");
    fixture.router.message("s1", "stored").await;
    fixture.router.state().away = true;
    write_text(&bob, ANN, "acknowledged and not stored");
    until("the message is in the journal", || async {
        fixture.api.health().await.journal.filter(|journal| journal.items > 0)
    })
    .await;
    let copy = copy_of(fixture.data.path());
    // The router takes these items from the old folder; the restored one must not reuse their numbers.
    fixture.router.state().away = false;
    for number in 0..5 {
        write_text(&bob, ANN, &format!("later {number}"));
    }
    fixture.router.message("s1", "later 4").await;
    restart_from(&mut fixture, &copy).await;
    let count = |fixture: &NodeFixture, text: &str| {
        let all = fixture.router.messages_of("s1");
        all.iter().filter(|message| message.body.as_deref() == Some(text)).count()
    };
    until("the item of the copy is delivered again", || async {
        (count(&fixture, "acknowledged and not stored") == 2).then_some(())
    })
    .await;
    fixture.api.declare("s1", &linked_declaration(9)).await.unwrap();
    fixture.api.working("s1").await;
    write_text(&bob, ANN, "new");
    fixture.router.message("s1", "new").await;
    fixture.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn session_that_was_unlinked_after_the_copy_must_be_linked_anew() {
    let (mut fixture, ann, _) = linked().await;
    let copy = copy_of(fixture.data.path());
    ann.unlink(ann.devices()[0].id).unwrap();
    restart_from(&mut fixture, &copy).await;
    fixture.api.declare("s1", &linked_declaration(9)).await.unwrap();
    fixture
        .api
        .until("s1", "is unlinked", |snapshot| reason_code(snapshot) == "logged_out_by_phone")
        .await;
    fixture.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn session_that_was_deleted_after_the_copy_never_connects_by_itself() {
    let (mut fixture, ann, _) = linked().await;
    let copy = copy_of(fixture.data.path());
    // The delete ends without WhatsApp's confirmation: the phone still has the device.
    restart_from(&mut fixture, &copy).await;
    let holds = |heartbeat: &gateway_protocol::Heartbeat| {
        heartbeat.held.iter().any(|held| format!("{held:?}").contains("s1"))
    };
    fixture.router.until("keys are reported", |state| state.heartbeats.iter().any(holds)).await;
    let beats = fixture.router.state().heartbeats.len();
    fixture.router.until("three more heartbeats", |state| state.heartbeats.len() > beats + 3).await;
    assert!(!ann.devices()[0].connected);
    fixture.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn unusable_back_up_is_refused_and_changes_nothing() {
    let (fixture, _, _) = linked().await;
    let copy = copy_of(fixture.data.path());
    let whole = fs::read(&copy.file).unwrap();
    let target = copy.folder.path().join("data");
    let variant = |name: &str, bytes: &[u8]| {
        let path = copy.folder.path().join(name);
        fs::write(&path, bytes).unwrap();
        path
    };
    let mut altered = whole.clone();
    altered[whole.len() / 2] ^= 1;
    let replaced = |from: &str, to: &str| {
        let at = whole.windows(from.len()).position(|part| part == from.as_bytes()).unwrap();
        [&whole[..at], to.as_bytes(), &whole[at + to.len()..]].concat()
    };
    let cases = [
        (variant("cut", &whole[..whole.len() - 9]), Some(KEY), "is cut"),
        (variant("altered", &altered), Some(KEY), "was altered"),
        (variant("other", b"x"), Some(KEY), "is not a back-up"),
        (variant("format", &replaced("\"format\":1", "\"format\":2")), Some(KEY), "newer program"),
        (
            variant("layout", &replaced("\"keys.db\":\"1\"", "\"keys.db\":\"9\"")),
            Some(KEY),
            "newer program",
        ),
        (copy.file.clone(), Some(OTHER_KEY), "sealed by the key"),
        (copy.file.clone(), Some("canary"), "BERTH_BACKUP_KEY is not a key"),
        (copy.file.clone(), None, "BERTH_BACKUP_KEY_FILE"),
    ];
    for (from, key, word) in cases {
        let refused = restore(&RestoreFlags { from, place: place(&target, key) }).unwrap_err();
        assert!(format!("{refused:#}").contains(word), "{word}: {refused:#}");
        assert!(!target.exists(), "{word}");
    }
    let names = |folder: &Path| {
        let names = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name());
        let mut names: Vec<_> = names.collect();
        names.sort();
        names
    };
    let before = names(fixture.data.path());
    let refused = copy.restore(fixture.data.path()).unwrap_err().to_string();
    assert!(refused.contains("is not empty"), "{refused}");
    assert_eq!(names(fixture.data.path()), before);
    let again = back_up(&BackupFlags {
        to: copy.file.clone(),
        place: place(fixture.data.path(), Some(KEY)),
    });
    assert!(again.unwrap_err().to_string().contains("exists already"));
    let none = copy.folder.path().join("none");
    let missing =
        back_up(&BackupFlags { to: copy.folder.path().join("x"), place: place(&none, Some(KEY)) });
    assert!(missing.unwrap_err().to_string().contains("has no keys"));
    fixture.end().await;
}
