//! What a node may report, from its JSON to what it makes of a session.

use domain::{
    Deadlines, OrganizationId, Session, SessionId, Settings, Snapshot, ports::Environment as _,
    testing::TestEnvironment,
};
use gateway_protocol::Reports;

/// Reports are read or refused; what is read is written alike, and what can be is taken in once.
pub fn report(data: &[u8]) {
    let Ok(reports) = serde_json::from_slice::<Reports>(data) else { return };
    let written = serde_json::to_vec(&reports).expect("what was read can be written");
    let again: Reports = serde_json::from_slice(&written).expect("and read again");
    assert_eq!(again, reports);
    for report in reports.reports {
        let sound = SessionId::parse(&report.session).is_some()
            && [report.epoch, report.generation, report.seq]
                .iter()
                .all(|n| i64::try_from(*n).is_ok());
        let converted: Result<(SessionId, Snapshot), _> = report.clone().try_into();
        assert_eq!(converted.is_ok(), sound, "{report:?}");
        if let Ok((_, snapshot)) = converted {
            take_in(&snapshot);
        }
    }
}

/// News is taken in, and is news once; old news is none.
fn take_in(told: &Snapshot) {
    let (environment, deadlines) = (TestEnvironment::new(), Deadlines::default());
    let acme = OrganizationId::parse("acme").expect("a name");
    let now = environment.now();
    let fresh = || Session::new(acme.clone(), None, Settings::default(), &*environment);
    let mut session = fresh();
    session.spec.epoch = told.epoch;
    let before = session.clone();
    let Some(change) = session.observe(told.clone(), now, &deadlines) else {
        assert_eq!(
            (told.epoch, told.generation, told.seq),
            (0, 0, 0),
            "only this is no news: {told:?}"
        );
        return;
    };
    let after = &change.session;
    assert_eq!(after.is_paired(), told.identity.is_some());
    assert_eq!((after.spec.epoch, after.spec.desired), (told.epoch, before.spec.desired));
    assert!(after.clone().observe(told.clone(), now, &deadlines).is_none(), "{told:?}");
    let mut newer = fresh();
    newer.spec.epoch = told.epoch + 1;
    assert!(newer.observe(told.clone(), now, &deadlines).is_none(), "made under an older wish");
}
