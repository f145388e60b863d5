//! What is not seen over a socket: how often bytes are asked for, and what becomes of wrong ones.

use super::*;
use crate::route_table::tests_support::{app, file};
use futures_util::future::FutureExt;
use http_body_util::BodyExt;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Gives the same bytes for everything, and counts.
struct Always(Bytes, AtomicUsize);

impl StaticBytes for Always {
    fn read(&self, _: AppId, _: ContentHash, _: u64, _: u32) -> BoxFuture<'static, Result<Bytes, ServiceFailure>> {
        self.1.fetch_add(1, Ordering::SeqCst);
        let bytes = self.0.clone();
        async move { Ok(bytes) }.boxed()
    }
}

#[tokio::test]
async fn a_small_file_is_asked_for_once_and_a_head_asks_for_nothing() {
    let source = Arc::new(Always(Bytes::from_static(b"hello"), AtomicUsize::new(0)));
    let files = StaticFiles::new(Arc::clone(&source) as Arc<dyn StaticBytes>);
    let (app, entry) = (app(1, "a", &[]), file("x.txt", b"hello"));
    for method in [Method::HEAD, Method::GET, Method::GET] {
        let answer = files.answer(&app, &entry, &method, &HeaderMap::new()).await;
        assert_eq!(answer.headers()["content-type"], "text/plain; charset=utf-8");
    }
    assert_eq!(source.1.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn bytes_that_are_not_what_was_deployed_are_not_sent() {
    let files = StaticFiles::new(Arc::new(Always(Bytes::from_static(b"hellO"), AtomicUsize::new(0))));
    let answer = files.answer(&app(1, "a", &[]), &file("x.txt", b"hello"), &Method::GET, &HeaderMap::new()).await;
    assert_eq!(answer.status(), 500);
    let body = answer.into_body().collect().await.unwrap().to_bytes();
    assert!(String::from_utf8_lossy(&body).contains(r#""code":"corrupted""#));
}

#[tokio::test]
async fn a_big_file_that_breaks_off_breaks_the_answer_off() {
    let files = StaticFiles::new(Arc::new(Always(Bytes::from_static(b"short"), AtomicUsize::new(0))));
    let mut entry = file("x.bin", b"");
    entry.size_bytes = 1_000_000;
    let answer = files.answer(&app(1, "a", &[]), &entry, &Method::GET, &HeaderMap::new()).await;
    assert_eq!(answer.status(), 200);
    assert!(answer.into_body().collect().await.is_err());
}
