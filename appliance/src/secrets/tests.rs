//! The vault on a real store, whose sealed bytes somebody changes.

use super::*;
use picloud_model::app::NewApp;
use picloud_model::clock::SystemClock;
use picloud_store::OpenSettings;

fn act() -> Act {
    Act::of_appliance("test", 1)
}

async fn vault(dir: &Path) -> (Arc<dyn Store>, Arc<Vault>, AppId) {
    let store = picloud_store::open(OpenSettings::new(dir), Arc::new(SystemClock)).await.unwrap();
    let app = NewApp {
        name: "kitchen".to_owned(),
        hosts: Vec::new(),
        env: std::collections::BTreeMap::new(),
        limits: picloud_model::limits::AppLimits::default(),
        http: picloud_model::app::HttpPolicy::default(),
        placement: std::collections::BTreeMap::default(),
    };
    let app = store.create_app(&app, &act()).await.unwrap().id;
    (Arc::clone(&store), Arc::new(Vault::new(store, dir, crate::nodes::hub::Hub::default())), app)
}

fn write(name: &str, value: Option<&str>) -> SecretWrite {
    let value = value.map(|value| Zeroizing::new(value.to_owned()));
    SecretWrite { name: name.to_owned(), value, scripts: None, expected: None }
}

async fn set(vault: &Arc<Vault>, app: AppId, name: &str, value: &str) -> Put {
    vault.put(app, write(name, Some(value)), &act()).await.unwrap()
}

#[tokio::test]
async fn a_value_that_was_changed_or_moved_in_the_store_is_not_read() {
    let dir = tempfile::tempdir().unwrap();
    let (store, vault, app) = vault(dir.path()).await;
    for name in ["a", "b", "c"] {
        assert!(set(&vault, app, name, &format!("value of {name}")).await.is_new);
    }
    let read = async |vault: &Vault, name: &str| vault.read(app, "kitchen", "hello", name).await;
    assert_eq!(read(&vault, "a").await.unwrap(), "value of a");
    let sealed = store.sealed_secrets(app).await.unwrap();
    let mut changed = sealed[0].1.clone();
    *changed.last_mut().unwrap() ^= 1;
    store.put_secret(app, "a", Some(changed), None, None, &act()).await.unwrap();
    store.put_secret(app, "b", Some(sealed[2].1.clone()), None, None, &act()).await.unwrap();
    let fresh = Arc::new(Vault::new(Arc::clone(&store), dir.path(), crate::nodes::hub::Hub::default()));
    for name in ["a", "b"] {
        let problem = read(&fresh, name).await.unwrap_err();
        assert_eq!(problem.code, Code::Corrupted);
        assert_eq!(problem.detail, format!("the sealed value of secret `{name}` was changed, or is another secret's"));
    }
    assert_eq!(read(&fresh, "c").await.unwrap(), "value of c");
    assert!(!set(&fresh, app, "a", "value of a").await.is_new);
    assert_eq!(read(&fresh, "a").await.unwrap(), "value of a", "set again, it is whole again");
}

#[tokio::test]
async fn the_same_value_again_is_no_change_and_another_is_read_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let (_store, vault, app) = vault(dir.path()).await;
    let mut versions = Vec::new();
    for value in ["one", "one", "two", "two"] {
        versions.push(set(&vault, app, "a", value).await.secret.version);
        assert_eq!(vault.read(app, "kitchen", "hello", "a").await.unwrap(), value);
    }
    assert_eq!(versions, [1, 1, 2, 2]);
    let none = vault.put(app, write("new", None), &act()).await;
    assert!(matches!(none, Err(VaultError::NoValue(_))));
    assert!(vault.delete(app, "a", None, &act()).await.unwrap());
    assert_eq!(vault.read(app, "kitchen", "hello", "a").await.unwrap_err().code, Code::NotFound);
}
