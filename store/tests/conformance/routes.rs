//! Cases of `Routes`.

use super::*;
use picloud_model::page::PageRequest;
use std::sync::Arc;

pub(crate) async fn a_route_needs_an_endpoint_of_its_own_app_and_the_revision_it_was_checked_against(
    store: Arc<dyn Store>,
) {
    let app = make_app(&*store, "kitchen").await;
    let other = make_app(&*store, "garden").await;
    store.save_script(other.id, &endpoint("hello", "1"), None, &act()).await.unwrap();
    store.save_script(app.id, &module("units", "fn a() {}"), None, &act()).await.unwrap();
    for script in ["hello", "units"] {
        let refused = store.create_route(app.id, &route(&[], "/", script), 2, &act()).await;
        assert_eq!(in_the_way(refused), ["route * /"], "{script}");
    }
    store.save_script(app.id, &endpoint("hello", "1"), None, &act()).await.unwrap();
    let spec = route(&["GET", "POST"], "/a/{b}", "hello");
    assert_eq!(stale(store.create_route(app.id, &spec, 2, &act()).await), (2, 3));
    let made = store.create_route(app.id, &spec, 3, &act_at(NOW + 4)).await.unwrap();
    assert_eq!(made.spec, spec);
    assert_eq!(store.route(app.id, made.id).await.unwrap(), Some(made.clone()));
    assert_eq!(store.route(other.id, made.id).await.unwrap(), None, "another app's route is not there");
    let after = store.app("kitchen").await.unwrap().unwrap();
    assert_eq!((after.revision, after.updated_at), (4, NOW + 4));
    assert_eq!(in_the_way(store.create_route(app.id, &spec, 4, &act()).await), ["route GET,POST /a/{b}"]);
}

pub(crate) async fn routes_keep_their_order_and_their_ids_are_not_reused(store: Arc<dyn Store>) {
    let app = make_app(&*store, "kitchen").await;
    store.save_script(app.id, &endpoint("hello", "1"), None, &act()).await.unwrap();
    let mut ids = Vec::new();
    for (revision, path) in (2..).zip(["/z", "/a", "/m"]) {
        ids.push(store.create_route(app.id, &route(&[], path, "hello"), revision, &act()).await.unwrap().id);
    }
    assert!(!store.delete_route(picloud_model::AppId(app.id.0 + 1), ids[2], &act()).await.unwrap());
    assert!(store.delete_route(app.id, ids[2], &act()).await.unwrap());
    assert!(!store.delete_route(app.id, ids[2], &act()).await.unwrap());
    let next = store.create_route(app.id, &route(&[], "/k", "hello"), 6, &act()).await.unwrap();
    assert!(!ids.contains(&next.id));
    let first = store.routes(app.id, &PageRequest { limit: Some(2), cursor: None }).await.unwrap();
    let rest = PageRequest { limit: Some(2), cursor: first.cursor };
    let rest = store.routes(app.id, &rest).await.unwrap();
    let paths: Vec<String> = first.items.into_iter().chain(rest.items).map(|route| route.spec.path).collect();
    assert_eq!((paths.join(" "), rest.cursor), ("/z /a /k".to_owned(), None));
}
