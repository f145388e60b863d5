//! Two appliances on one database: what one does the other sees at once, and nothing is done twice.

use crate::conformance::triggers::{claimed, on_kv};
use crate::conformance::{NOW, act, deploy_of, endpoint, make_app, new_app};
use crate::temp_pg::TempPg;
use crate::{conformance, open_on};
use picloud_store::{Slot, Store, StoreError};
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;
use tokio::sync::watch;
use tokio::time::timeout;

/// What comes from the other is there long before this.
const SOON: Duration = Duration::from_secs(20);

struct Two {
    one: Arc<dyn Store>,
    other: Arc<dyn Store>,
    _dir: TempDir,
    _pg: TempPg,
}

async fn two() -> Two {
    let (dir, pg) = (tempfile::tempdir().unwrap(), TempPg::new());
    let one = open_on(&pg, &dir.path().join("one")).await.unwrap();
    let other = open_on(&pg, &dir.path().join("other")).await.unwrap();
    Two { one, other, _dir: dir, _pg: pg }
}

async fn changed<T>(signal: &mut watch::Receiver<T>) {
    timeout(SOON, signal.changed()).await.expect("the news comes").unwrap();
}

#[tokio::test]
async fn what_one_changes_the_other_is_told_of_and_nobody_of_what_is_his_own() {
    let Two { one, other, .. } = &two().await;
    let mut own = one.others_signal();
    own.mark_unchanged();
    let mut told = other.others_signal();
    told.mark_unchanged();
    let mut told_of_audit = other.audit_signal();

    let app = one.deploy(deploy_of("kitchen"), &act()).await.unwrap();
    changed(&mut told).await;
    assert_eq!(other.app("kitchen").await.unwrap(), Some(app.clone()));
    timeout(SOON, told_of_audit.wait_for(|seq| *seq == 1)).await.expect("the news comes").unwrap();

    one.create_key(&conformance::keys::key("ci", &["script:read"]), &act()).await.unwrap();
    changed(&mut told).await;
    one.put_secret(app.id, "token", Some(b"sealed".to_vec()), None, None, &act()).await.unwrap();
    changed(&mut told).await;

    // What the other does comes after whatever would have come of one's own.
    other.create_app(&new_app("garden"), &act()).await.unwrap();
    changed(&mut own).await;
    assert_eq!(*own.borrow_and_update(), 2, "once at the start, and once of the other's");
}

#[tokio::test]
async fn a_delivery_that_one_makes_wakes_the_other_which_claims_it_once() {
    let Two { one, other, .. } = &two().await;
    let app = make_app(&**one, "kitchen").await.id;
    one.save_script(app, &endpoint("hello", "1"), None, &act()).await.unwrap();
    one.put_trigger(app, &on_kv("on-c", "hello"), None, &act()).await.unwrap();
    let mut woken = other.delivery_signal();
    woken.mark_unchanged();
    one.kv(app, conformance::kv::set("a", "1"), NOW).await.unwrap();
    changed(&mut woken).await;
    let (mine, yours) = tokio::join!(claimed(&**one, NOW), claimed(&**other, NOW));
    assert_eq!(mine.len() + yours.len(), 1);
}

#[tokio::test]
async fn a_time_of_a_schedule_is_delivered_once_though_both_see_it() {
    let Two { one, other, .. } = &two().await;
    let app = make_app(&**one, "kitchen").await.id;
    one.save_script(app, &endpoint("hello", "1"), None, &act()).await.unwrap();
    let mut woken = other.schedule_signal();
    woken.mark_unchanged();
    let trigger = conformance::triggers::on_schedule("nightly", "@daily", NOW);
    one.put_trigger(app, &trigger, None, &act()).await.unwrap();
    changed(&mut woken).await;
    let schedule = other.schedules().await.unwrap().remove(0);
    let slot = Slot { due_at: NOW, deliver: vec![(NOW, 0)], next_at: Some(NOW + 86_400_000) };
    let (mine, yours) =
        tokio::join!(one.end_slot(schedule.trigger, &slot, NOW), other.end_slot(schedule.trigger, &slot, NOW));
    let ended: Vec<_> = [mine.unwrap(), yours.unwrap()].into_iter().flatten().collect();
    assert_eq!(ended.iter().map(|ended| ended.delivered).collect::<Vec<_>>(), [1]);
    assert_eq!(other.queued(app).await.unwrap().deliveries, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn changes_of_both_are_one_chain_and_one_name_is_taken_once() {
    const APPS: usize = 20;
    let Two { one, other, _dir, _pg } = two().await;
    let makers: Vec<_> = (0..8)
        .map(|maker| {
            let store = if maker % 2 == 0 { one.clone() } else { other.clone() };
            tokio::spawn(async move {
                let mut made = 0;
                for number in 0..APPS {
                    match store.create_app(&new_app(&format!("app{number}")), &act()).await {
                        Ok(_app) => made += 1,
                        Err(StoreError::Conflict { .. }) => {}
                        Err(error) => panic!("{error:?}"),
                    }
                }
                made
            })
        })
        .collect();
    let mut made = 0;
    for maker in makers {
        made += maker.await.unwrap();
    }
    assert_eq!(made, APPS);
    let verdict = one.verify_audit().await.unwrap();
    assert_eq!((verdict.intact, verdict.entries), (true, APPS as u64), "{verdict:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn deploys_of_one_app_by_both_come_one_after_the_other_and_share_what_is_the_same() {
    const DEPLOYS: i64 = 12;
    let Two { one, other, _dir, _pg } = two().await;
    let app = one.deploy(deploy_of("kitchen"), &act()).await.unwrap();
    let deployers: Vec<_> = [one.clone(), other.clone(), one.clone(), other.clone()]
        .into_iter()
        .map(|store| {
            tokio::spawn(async move {
                loop {
                    let revision = store.app("kitchen").await.unwrap().unwrap().revision;
                    if revision > DEPLOYS {
                        break;
                    }
                    let mut deploy = deploy_of("kitchen");
                    deploy.expected = Some(revision);
                    deploy.scripts = vec![endpoint("hello", &format!("{}", revision % 3))];
                    let bytes = vec![b'x'; 100 + (revision % 2) as usize];
                    deploy.static_files = vec![picloud_store::StaticWrite { path: "a.txt".to_owned(), bytes }];
                    match store.deploy(deploy, &act()).await {
                        Ok(_) | Err(StoreError::Stale { .. }) => {}
                        Err(error) => panic!("{error:?}"),
                    }
                }
            })
        })
        .collect();
    for deployer in deployers {
        deployer.await.unwrap();
    }
    let state = one.app_state(app.id).await.unwrap().unwrap();
    let (hello, source) = &state.scripts[0];
    assert_eq!(hello.version, DEPLOYS, "each deploy changed the script");
    assert_eq!(**source, format!("{}", DEPLOYS % 3));
    assert_eq!(state.static_files.len(), 1);
    assert!(other.verify_audit().await.unwrap().intact);
}
