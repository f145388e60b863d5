//! The audit log: whoever may write to the database changes it by hand only with much effort, and then it shows.

use crate::conformance::{NOW, act_at, new_app};
use crate::open;

const ENTRIES: i64 = 6;

#[tokio::test]
async fn the_log_itself_refuses_to_be_changed_and_what_was_changed_shows() {
    let (store, (_dir, pg)) = open().await;
    for number in 0..ENTRIES {
        store.create_app(&new_app(&format!("app{number}")), &act_at(NOW + number)).await.unwrap();
    }
    for sql in [
        "UPDATE audit SET who_name = 'bob' WHERE seq = 2",
        "DELETE FROM audit WHERE seq = 2",
        "DELETE FROM audit",
        "TRUNCATE audit",
        "INSERT INTO audit SELECT seq - 10, at, who_kind, who_name, came_from, action, app, target, outcome, hash FROM audit",
        "UPDATE audit_ends SET first_seq = 0",
        "UPDATE audit_ends SET last_seq = 2",
        "UPDATE audit_ends SET first_seq = 99",
        "DELETE FROM audit_ends",
    ] {
        let refused = pg.try_sql(sql).unwrap_err();
        assert!(refused.contains("only grows"), "{sql}: {refused}");
    }
    assert!(store.verify_audit().await.unwrap().intact);
    pg.sql(
        "ALTER TABLE audit DISABLE TRIGGER USER; UPDATE audit SET who_name = 'bob' WHERE seq = 2;
            ALTER TABLE audit ENABLE TRIGGER USER",
    );
    let verdict = store.verify_audit().await.unwrap();
    assert_eq!((verdict.intact, verdict.broken_at), (false, Some(2)), "{verdict:?}");
}

#[tokio::test]
async fn a_row_that_was_slipped_in_behind_the_end_shows_and_the_log_goes_on() {
    let (store, (_dir, pg)) = open().await;
    store.create_app(&new_app("kitchen"), &act_at(NOW)).await.unwrap();
    pg.sql(
        "INSERT INTO audit SELECT 2, at, who_kind, who_name, came_from, action, app, target, outcome, hash FROM audit",
    );
    store.create_app(&new_app("garden"), &act_at(NOW)).await.unwrap();
    assert_eq!(store.audit_last().await.unwrap(), 3);
    let verdict = store.verify_audit().await.unwrap();
    assert_eq!((verdict.intact, verdict.broken_at), (false, Some(2)), "{verdict:?}");
}
