//! The audit log: what somebody with the file in hand changes in it shows.

use crate::conformance::{NOW, act, act_at, make_app, new_app};
use crate::{open, open_in, open_with};
use picloud_model::audit::AuditVerdict;
use picloud_store::{OpenSettings, Store};
use rusqlite::Connection;
use std::path::Path;

const ENTRIES: i64 = 6;

async fn fill(store: &dyn Store) {
    for number in 0..ENTRIES {
        store.create_app(&new_app(&format!("app{number}")), &act_at(NOW + number)).await.unwrap();
    }
}

fn raw(data_dir: &Path) -> Connection {
    Connection::open(data_dir.join("picloud.db")).unwrap()
}

#[tokio::test]
async fn the_log_itself_refuses_to_be_changed() {
    let (store, dir) = open().await;
    fill(&*store).await;
    drop(store);
    let file = raw(&dir.path().join("data"));
    for sql in [
        "UPDATE audit SET who_name = 'bob' WHERE seq = 2",
        "DELETE FROM audit WHERE seq = 2",
        "DELETE FROM audit",
        "INSERT OR REPLACE INTO audit SELECT * FROM audit WHERE seq = 3",
        "UPDATE audit_ends SET first_seq = 0",
        "UPDATE audit_ends SET last_seq = 2",
        "UPDATE audit_ends SET first_seq = 99",
        "DELETE FROM audit_ends",
    ] {
        let refused = file.execute(sql, []).unwrap_err();
        assert!(refused.to_string().contains("only grows"), "{sql}: {refused}");
    }
    let kept: i64 = file.query_row("SELECT count(*) FROM audit", [], |row| row.get(0)).unwrap();
    assert_eq!(kept, ENTRIES);
}

/// What verifying says after `sql` was done to the file by somebody who took the triggers away first.
async fn verdict_after(sql: &str) -> AuditVerdict {
    let (store, dir) = open().await;
    fill(&*store).await;
    assert!(store.verify_audit().await.unwrap().intact);
    drop(store);
    let data_dir = dir.path().join("data");
    let file = raw(&data_dir);
    for trigger in ["is_not_changed", "is_not_overwritten", "is_kept", "ends_go_on", "ends_stay"]
        .map(|name| format!("audit_{name}"))
    {
        file.execute_batch(&format!("DROP TRIGGER {trigger}")).unwrap();
    }
    assert!(!sql.is_empty());
    file.execute_batch(sql).unwrap();
    drop(file);
    let store = open_in(&data_dir).await.unwrap();
    let verdict = store.verify_audit().await.unwrap();
    // The log goes on, and stays what it is.
    make_app(&*store, "later").await;
    assert_eq!(store.verify_audit().await.unwrap().intact, verdict.intact, "{sql}");
    verdict
}

#[tokio::test]
async fn each_change_by_hand_is_found_where_it_is() {
    for (sql, broken_at, reason) in [
        ("UPDATE audit SET who_name = 'bob' WHERE seq = 2", 2, "not what was written"),
        ("UPDATE audit SET at = at + 1 WHERE seq = 1", 1, "not what was written"),
        ("UPDATE audit SET outcome = 'refused' WHERE seq = 6", 6, "not what was written"),
        ("UPDATE audit SET outcome = 'rubbish' WHERE seq = 4", 4, "cannot be read"),
        ("UPDATE audit SET shown_after = '{' WHERE seq = 4", 4, "cannot be read"),
        ("UPDATE audit SET shown_before = '{}' WHERE seq = 3", 3, "not what was written"),
        ("UPDATE audit SET app = NULL WHERE seq = 3", 3, "not what was written"),
        ("UPDATE audit SET hash = zeroblob(32) WHERE seq = 5", 5, "not what was written"),
        ("DELETE FROM audit WHERE seq = 3", 4, "from 3 on are missing"),
        ("DELETE FROM audit WHERE seq <= 2", 3, "from 1 on are missing"),
        ("DELETE FROM audit WHERE seq > 4", 5, "up to 6 are missing"),
        ("DELETE FROM audit", 1, "up to 6 are missing"),
        (
            "UPDATE audit SET seq = 99 WHERE seq = 2; UPDATE audit SET seq = 2 WHERE seq = 3;
          UPDATE audit SET seq = 3 WHERE seq = 99",
            2,
            "not what was written",
        ),
        (
            "INSERT INTO audit SELECT 0, at, who_kind, who_name, came_from, action, app, target, outcome, hash,
          shown_before, shown_after FROM audit WHERE seq = 1",
            0,
            "before the beginning",
        ),
        (
            "INSERT INTO audit SELECT 50, at, who_kind, who_name, came_from, action, app, target, outcome, hash,
          shown_before, shown_after FROM audit WHERE seq = 6",
            50,
            "from 7 on are missing",
        ),
        ("UPDATE audit_ends SET last_hash = zeroblob(32)", 6, "written last"),
        ("UPDATE audit_ends SET first_seq = 2; DELETE FROM audit WHERE seq = 1", 2, "not what was written"),
    ] {
        let verdict = verdict_after(sql).await;
        assert!(!verdict.intact, "{sql}");
        assert_eq!(verdict.broken_at, Some(broken_at), "{sql}: {verdict:?}");
        assert!(verdict.reason.as_deref().unwrap().contains(reason), "{sql}: {verdict:?}");
    }
    assert!(verdict_after("ANALYZE").await.intact, "what touches no entry breaks nothing");
}

#[tokio::test]
async fn the_oldest_entries_go_above_the_bound_and_the_rest_still_verifies() {
    let dir = tempfile::tempdir().unwrap();
    let settings = OpenSettings { audit_entries_max: 400, ..OpenSettings::new(dir.path()) };
    let store = open_with(settings.clone()).await.unwrap();
    for number in 0..1_000 {
        store.audit_done(&act(), None, "backup.take", &number.to_string(), serde_json::Value::Null).await.unwrap();
    }
    let verdict = store.verify_audit().await.unwrap();
    assert!(verdict.intact, "{verdict:?}");
    assert_eq!((verdict.last_seq, store.audit_last().await.unwrap()), (Some(1_000), 1_000));
    assert!((395..=400).contains(&verdict.entries), "{verdict:?}");
    let (missed, oldest) = store.audit_after(10, 5).await.unwrap();
    assert_eq!((missed[0].seq, Some(oldest)), (oldest, verdict.first_seq), "who follows can tell what was missed");
    drop(store);
    raw(dir.path()).execute("DELETE FROM audit WHERE seq = ?1", [oldest]).unwrap_err();
    let store = open_with(settings).await.unwrap();
    assert_eq!(store.verify_audit().await.unwrap(), verdict);
}
