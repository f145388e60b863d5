//! Cases of `Secrets`.

use super::*;
use picloud_model::ids::AppId;
use picloud_model::page::PageRequest;
use std::sync::Arc;

fn sealed(text: &str) -> Option<Vec<u8>> {
    Some(text.as_bytes().to_vec())
}

fn scripts(names: &[&str]) -> Option<Vec<String>> {
    Some(names.iter().map(|&name| name.to_owned()).collect())
}

pub(crate) async fn a_secret_counts_its_changes_and_keeps_what_is_not_named(store: Arc<dyn Store>) {
    let app = make_app(&*store, "kitchen").await.id;
    let put = |value, granted, at: i64| {
        let store = store.clone();
        async move { store.put_secret(app, "token", value, granted, None, &act_at(NOW + at)).await.unwrap() }
    };
    let made = put(sealed("one"), None, 1).await;
    assert_eq!((made.name.as_str(), made.version, made.scripts.join(" ")), ("token", 1, "*".to_owned()));
    assert_eq!((made.created_at, made.updated_at), (NOW + 1, NOW + 1));
    let granted = put(None, scripts(&["hello", "to_come"]), 2).await;
    assert_eq!((granted.version, granted.scripts.join(" ")), (2, "hello to_come".to_owned()));
    assert_eq!((granted.created_at, granted.updated_at), (NOW + 1, NOW + 2));
    assert_eq!(put(None, None, 3).await, granted, "nothing changes");
    assert_eq!(put(None, scripts(&["hello", "to_come"]), 3).await, granted, "nor here");
    assert_eq!(put(sealed("one"), None, 3).await, granted, "nor here");
    let changed = put(sealed("two"), None, 4).await;
    assert_eq!((changed.version, &changed.scripts), (3, &granted.scripts));
    assert_eq!(store.secret(app, "token").await.unwrap(), Some(changed.clone()));
    assert_eq!(store.sealed_secrets(app).await.unwrap(), [(changed, b"two".to_vec())]);
}

pub(crate) async fn a_secret_is_at_the_version_that_is_expected_or_nothing_changes(store: Arc<dyn Store>) {
    let app = make_app(&*store, "kitchen").await.id;
    let put = |value, expected| {
        let store = store.clone();
        async move { store.put_secret(app, "token", value, None, expected, &act()).await }
    };
    assert_eq!(in_the_way(put(None, None).await), ["secret `token`"], "there is nothing to grant");
    assert_eq!(stale(put(sealed("a"), Some(1)).await), (1, 0));
    put(sealed("a"), Some(0)).await.unwrap();
    assert_eq!(stale(put(sealed("b"), Some(0)).await), (0, 1));
    put(sealed("b"), Some(1)).await.unwrap();
    assert_eq!(stale(store.delete_secret(app, "token", Some(1), &act()).await), (1, 2));
    assert_eq!(store.sealed_secrets(app).await.unwrap()[0].1, b"b");
    assert!(store.delete_secret(app, "token", Some(2), &act()).await.unwrap());
    assert!(!store.delete_secret(app, "token", None, &act()).await.unwrap());
    assert_eq!(store.secret(app, "token").await.unwrap(), None);
    let gone = store.put_secret(AppId(app.0 + 99), "token", sealed("a"), None, None, &act()).await;
    assert!(in_the_way(gone).is_empty());
}

pub(crate) async fn secrets_belong_to_their_app_and_go_with_it_and_deploys_leave_them(store: Arc<dyn Store>) {
    let app = store.deploy(deploy_of("kitchen"), &act()).await.unwrap();
    let other = make_app(&*store, "garden").await.id;
    for (app, name, value) in [(app.id, "b", "1"), (app.id, "a", "2"), (other, "b", "3")] {
        store.put_secret(app, name, sealed(value), None, None, &act()).await.unwrap();
    }
    let mut deploy = deploy_of("kitchen");
    deploy.expected = Some(app.revision);
    deploy.scripts = vec![endpoint("hello", "1")];
    store.deploy(deploy, &act()).await.unwrap();
    let first = store.secrets(app.id, &PageRequest { limit: Some(1), cursor: None }).await.unwrap();
    let rest = store.secrets(app.id, &PageRequest { limit: Some(1), cursor: first.cursor }).await.unwrap();
    let names: Vec<String> = first.items.into_iter().chain(rest.items).map(|secret| secret.name).collect();
    assert_eq!((names.join(""), rest.cursor), ("ab".to_owned(), None));

    assert_eq!(store.app_key(app.id).await.unwrap(), None);
    assert_eq!(store.put_app_key(app.id, b"first".to_vec()).await.unwrap(), b"first");
    assert_eq!(store.put_app_key(app.id, b"second".to_vec()).await.unwrap(), b"first", "an app has one key");
    assert_eq!(store.app_key(app.id).await.unwrap().as_deref(), Some(b"first".as_slice()));
    assert_eq!(store.app_key(other).await.unwrap(), None);

    store.delete_secret(app.id, "a", None, &act()).await.unwrap();
    assert!(store.app_key(app.id).await.unwrap().is_some());
    store.delete_secret(app.id, "b", None, &act()).await.unwrap();
    assert_eq!(store.app_key(app.id).await.unwrap(), None, "with the last secret, what sealed it goes");
    assert_eq!(store.put_app_key(app.id, b"second".to_vec()).await.unwrap(), b"second");
    store.put_secret(app.id, "b", sealed("1"), None, None, &act()).await.unwrap();

    assert!(store.delete_app(app.id, None, &act()).await.unwrap());
    assert!(store.sealed_secrets(app.id).await.unwrap().is_empty());
    assert_eq!(store.app_key(app.id).await.unwrap(), None);
    assert_eq!(store.sealed_secrets(other).await.unwrap().len(), 1);
}
