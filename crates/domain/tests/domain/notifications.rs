//! Notifications of the worker: only for sessions that are due.

use domain::{Settings, SettingsPatch, testing::World};

#[tokio::test]
async fn worker_is_notified_for_due_sessions_only() {
    let world = World::new().await;
    let (sessions, caller) = (&world.sessions, World::acme());
    let before = world.notifier.work_notifications();
    let resting = world.acme_session().await;
    let id = resting.id.as_str();
    let renamed = SettingsPatch { label: Some(Some("x".to_owned())), ..SettingsPatch::default() };
    sessions.update(&caller, id, None, renamed).await.expect("renamed");
    sessions.delete(&caller, id, None).await.expect("deleted");
    assert_eq!(
        world.notifier.work_notifications(),
        before,
        "a session without a due time does not wake the worker"
    );
    let started = sessions.create(&caller, Settings::default(), true, None).await.expect("made");
    assert_eq!(world.notifier.work_notifications(), before + 1);
    sessions.stop(&caller, started.id.as_str(), None).await.expect("stopped");
    assert_eq!(world.notifier.work_notifications(), before + 2);
}
