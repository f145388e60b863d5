//! Who is let in, until when, and what workers get to know.

use super::*;
use picloud_model::clock::ManualClock;
use picloud_model::scope::Grant;
use std::time::Instant;

const NOW: UnixMs = 1_700_000_000_000;

fn entry(id: i64, key: &str, scopes: &[&str], expires_at: Option<UnixMs>) -> KeyEntry {
    let scopes: Vec<Grant> = scopes.iter().map(|scope| scope.parse().unwrap()).collect();
    KeyEntry { id: KeyId(id), name: format!("key {id}"), hash: hash_of_key(key), scopes, expires_at }
}

fn ring(entries: impl IntoIterator<Item = KeyEntry>) -> KeyRing {
    let ring = KeyRing::default();
    ring.put(entries.into_iter().map(|entry| (entry.hash, Arc::new(Held::new(entry)))).collect());
    ring
}

#[test]
fn a_key_is_let_in_until_it_expires_or_is_forgotten() {
    let ring = ring([entry(1, "one", &["invoke"], None), entry(2, "two", &["script:read"], Some(NOW + 10))]);
    let check = |key, now| ring.check(key, now).map(|held| held.principal.name.clone());
    assert_eq!(check("one", NOW), Ok("key 1".to_owned()));
    assert_eq!(check("two", NOW + 9), Ok("key 2".to_owned()));
    assert_eq!(check("two", NOW + 10), Err(Unfit::Expired));
    let its_hash = hash_of_key("one").to_string();
    for wrong in ["", "three", "one ", &its_hash] {
        assert_eq!(check(wrong, NOW), Err(Unfit::Unknown), "{wrong:?}");
    }
    ring.forget(KeyId(1));
    assert_eq!(check("one", NOW), Err(Unfit::Unknown));
    assert_eq!((ring.count(), check("two", NOW)), (1, Ok("key 2".to_owned())));
}

#[test]
fn workers_know_only_the_keys_that_open_routes_or_versions() {
    let ring = ring([
        entry(3, "c", &["invoke@kitchen"], None),
        entry(1, "a", &["script:read", "instance:admin"], None),
        entry(2, "b", &["script:read", "script:write"], None),
    ]);
    assert_eq!(ring.for_workers().iter().map(|entry| entry.id.0).collect::<Vec<_>>(), [2, 3]);
}

#[test]
fn the_last_use_is_told_at_once_and_never_goes_back() {
    let ring = ring([entry(1, "one", &["invoke"], None)]);
    let shown = |last_used_at| {
        let scopes = Vec::new();
        let (name, created_by) = (String::new(), String::new());
        let key = ApiKey { id: KeyId(1), name, scopes, created_at: 0, created_by, expires_at: None, last_used_at };
        ring.with_last_use(key).last_used_at
    };
    assert_eq!((shown(None), shown(Some(5))), (None, Some(5)));
    ring.check("one", NOW).unwrap();
    ring.were_used(&[KeyId(1), KeyId(9)], NOW - 1);
    assert_eq!((shown(None), shown(Some(NOW + 1))), (Some(NOW), Some(NOW + 1)));
}

#[tokio::test]
async fn whoever_waits_for_a_key_to_go_is_woken_when_it_is_revoked_or_expires() {
    let ring = ring([entry(1, "one", &[], None), entry(2, "two", &[], Some(NOW + 30)), entry(3, "three", &[], None)]);
    let clock = ManualClock::new(NOW);
    let (revoked, expired) = (ring.gone(KeyId(1), &clock), ring.gone(KeyId(2), &clock));
    let (mut revoked, mut expired) = (std::pin::pin!(revoked), std::pin::pin!(expired));
    let waits = |poll: std::task::Poll<()>| poll.is_pending();
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    assert!(waits(revoked.as_mut().poll(&mut context)) && waits(expired.as_mut().poll(&mut context)));
    // Another key's end is none of theirs.
    ring.forget(KeyId(3));
    assert!(waits(revoked.as_mut().poll(&mut context)));
    ring.forget(KeyId(1));
    revoked.await;
    clock.advance(30);
    expired.await;
}

#[test]
fn a_check_among_all_keys_there_may_be_takes_microseconds() {
    let ring = ring((0..KEYS_MAX).map(|n| entry(i64::try_from(n).unwrap(), &format!("key {n}"), &["invoke"], None)));
    let key = format!("key {}", KEYS_MAX / 2);
    let began = Instant::now();
    for _ in 0..10_000 {
        ring.check(&key, NOW).unwrap();
    }
    let each = began.elapsed() / 10_000;
    // The goal is 5 µs as it ships; this is a build without optimisation on a machine that does other things.
    assert!(each < Duration::from_micros(200), "{each:?}");
}

#[test]
fn new_keys_are_long_and_never_the_same() {
    let (one, two) = (new_key().unwrap(), new_key().unwrap());
    assert_ne!(one, two);
    assert!(one.starts_with("picloud_") && one.len() == "picloud_".len() + 43, "{one}");
    assert!(one.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-'), "{one}");
}
