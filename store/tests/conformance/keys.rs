//! Cases of `Keys`.

use super::*;
use picloud_model::ids::KeyId;
use picloud_model::key::hash_of_key;
use picloud_model::page::PageRequest;
use picloud_store::KeyWrite;
use std::sync::Arc;

pub(crate) fn key(name: &str, scopes: &[&str]) -> KeyWrite {
    KeyWrite {
        name: name.to_owned(),
        hash: hash_of_key(&format!("picloud_{name}")),
        scopes: scopes.iter().map(|scope| scope.parse().unwrap()).collect(),
        expires_at: None,
    }
}

pub(crate) async fn a_key_is_made_once_and_known_by_its_hash(store: Arc<dyn Store>) {
    let write = KeyWrite { expires_at: Some(NOW + 9), ..key("laptop", &["script:read", "invoke@kitchen,garden"]) };
    let made = store.create_key(&write, &act_at(NOW + 1)).await.unwrap();
    assert_eq!((made.name.as_str(), &made.scopes, made.expires_at), ("laptop", &write.scopes, Some(NOW + 9)));
    assert_eq!((made.created_at, made.created_by.as_str(), made.last_used_at), (NOW + 1, "ada", None));
    assert_eq!(store.key(made.id).await.unwrap(), Some(made.clone()));
    assert_eq!(in_the_way(store.create_key(&write, &act()).await), ["key `laptop`"]);

    let entries = store.key_entries().await.unwrap();
    let [entry] = &entries[..] else { panic!("one key, got {entries:?}") };
    assert_eq!((entry.id, entry.name.as_str(), entry.hash), (made.id, "laptop", write.hash));
    assert_eq!((&entry.scopes, entry.expires_at), (&write.scopes, Some(NOW + 9)));
}

pub(crate) async fn a_deleted_key_is_gone_and_its_id_is_not_reused(store: Arc<dyn Store>) {
    let made = store.create_key(&key("laptop", &["invoke"]), &act()).await.unwrap();
    assert!(store.delete_key(made.id, &act()).await.unwrap());
    assert!(!store.delete_key(made.id, &act()).await.unwrap());
    assert_eq!(store.key(made.id).await.unwrap(), None);
    assert!(store.key_entries().await.unwrap().is_empty());
    let again = store.create_key(&key("laptop", &["invoke"]), &act()).await.unwrap();
    assert_ne!(again.id, made.id);
}

pub(crate) async fn when_a_key_was_used_only_goes_forward(store: Arc<dyn Store>) {
    let made = store.create_key(&key("laptop", &["invoke"]), &act()).await.unwrap();
    let other = store.create_key(&key("phone", &["invoke"]), &act()).await.unwrap();
    let used = |id: KeyId| {
        let store = store.clone();
        async move { store.key(id).await.unwrap().unwrap().last_used_at }
    };
    store.touch_keys(&[(made.id, NOW + 5), (KeyId(made.id.0 + 99), NOW)]).await.unwrap();
    store.touch_keys(&[(made.id, NOW + 3)]).await.unwrap();
    assert_eq!((used(made.id).await, used(other.id).await), (Some(NOW + 5), None));
    store.touch_keys(&[(made.id, NOW + 7)]).await.unwrap();
    assert_eq!(used(made.id).await, Some(NOW + 7));
    store.touch_keys(&[]).await.unwrap();
}

pub(crate) async fn keys_are_listed_oldest_first_page_by_page(store: Arc<dyn Store>) {
    for name in ["c", "a", "b"] {
        store.create_key(&key(name, &["invoke"]), &act()).await.unwrap();
    }
    let first = store.keys(&PageRequest { limit: Some(2), cursor: None }).await.unwrap();
    let rest = store.keys(&PageRequest { limit: Some(2), cursor: first.cursor }).await.unwrap();
    let names: Vec<String> = first.items.into_iter().chain(rest.items).map(|key| key.name).collect();
    assert_eq!((names.join(""), rest.cursor), ("cab".to_owned(), None));
}
