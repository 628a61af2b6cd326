//! The reconciler is called when there is something for it to do, and not for every write.

use domain::{Settings, SettingsPatch, testing::World};

#[tokio::test]
async fn it_is_called_for_what_is_due_and_for_nothing_else() {
    let world = World::new().await;
    let (sessions, caller) = (&world.sessions, World::acme());
    let before = world.work.notifications();
    let resting = world.acme_session().await;
    let id = resting.id.as_str();
    let renamed = SettingsPatch { label: Some(Some("x".to_owned())), ..SettingsPatch::default() };
    sessions.update(&caller, id, None, renamed).await.expect("renamed");
    sessions.delete(&caller, id, None).await.expect("deleted");
    assert_eq!(world.work.notifications(), before, "a session that rests asks nothing of it");
    let started = sessions.create(&caller, Settings::default(), true).await.expect("made");
    assert_eq!(world.work.notifications(), before + 1);
    sessions.stop(&caller, started.id.as_str()).await.expect("stopped");
    assert_eq!(world.work.notifications(), before + 2);
}
